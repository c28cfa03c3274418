"""Ray Tune runs the pending trials; the ledger remembers."""

import logging
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import ray
from ray import tune

from study import cluster, trainable
from study.exit_codes import INPUT, INTERRUPTED
from study.gate import Gate
from study.outcomes import Outcomes
from study.plan import Look
from study.progress import Progress
from study.sections import Resources
from study.storage import Place, sentence
from study.trainable import Job
from study.tuning import Pending, Reporter, Scheduler, notes_folder, signals_to


def sweep(jobs: Sequence[Job], look: Look, gate: Gate) -> None:
    """Run the jobs on the connected cluster while the gate is open. Every outcome is in the ledger."""
    by_key = {job.planned.key: job for job in jobs}
    progress, resources = Progress(look, list(by_key)), look.study.resources
    watch = Outcomes(by_key, look, progress, gate)
    folder = look.ledger.folder.absolute()
    with progress, _signals(watch), cluster.marked(folder) as mark, notes_folder() as notes:
        # a second round takes up trials whose process died before it began: Tune gives those up
        while (left := {key: job for key, job in by_key.items() if key not in watch.settled}) and gate.check():
            before = watch.noted
            _fit(left, watch, resources, (folder, mark), notes)
            if watch.noted == before:
                gate.close(f"{folder}: the trials that ran have left nothing there", INPUT)


def _fit(jobs: dict[str, Job], watch: Outcomes, resources: Resources, marked: tuple[Place, str], notes: str) -> None:
    """One experiment of Tune, which keeps its own notes in the folder `notes`."""
    started = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S-%f")
    # in a list, so that Tune hands over the reference: it would fetch thousands of jobs anew for every trial
    on_worker = tune.with_parameters(_run_on_worker, jobs=[ray.put(jobs)], marked=marked)
    tuner = tune.Tuner(
        tune.with_resources(on_worker, {"cpu": resources.cpu, "gpu": resources.gpu}),
        tune_config=tune.TuneConfig(
            search_alg=Pending(list(jobs), watch.gate),
            scheduler=Scheduler(jobs, watch.gate, watch.settled),
            num_samples=len(jobs),
            reuse_actors=True,  # seconds less per trial; every random stream is the trial's own
            trial_dirname_creator=lambda trial: str(trial.config["key"]),
        ),
        run_config=tune.RunConfig(
            name=started,
            storage_path=notes,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=-1),  # the ledger counts attempts
            callbacks=[watch],
        ),
    )
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are rows of the ledger
    tuner.fit()


@contextmanager
def _signals(watch: Outcomes) -> Iterator[None]:
    """Ctrl-C once drains, twice stops; a batch system that sends SIGTERM wants an end soon."""
    presses = 0

    def interrupted(number: int, frame: Any) -> None:
        nonlocal presses
        presses += 1 if number == signal.SIGINT else 2
        watch.gate.close("stopped by " + ("Ctrl-C" if number == signal.SIGINT else "SIGTERM"), INTERRUPTED)
        if presses == 1:
            watch.progress.say(
                "no further trial starts; those that run go on to their end. Ctrl-C again stops them now"
            )
        else:
            watch.progress.say("stopping now: trials go on from their last checkpoints another time")
            watch.ending.asked = True

    with signals_to(interrupted):
        yield


@lru_cache(maxsize=1)
def _fetched(jobs: ray.ObjectRef) -> dict[str, Job]:
    """All jobs, once per process: unpacking 10,000 takes half a second."""
    found: dict[str, Job] = ray.get(jobs)
    return found


def _run_on_worker(config: dict[str, Any], jobs: list[ray.ObjectRef], marked: tuple[Place, str]) -> None:
    """Tune's trainable: a thin coat over `trainable.run`."""
    watch, trouble = Reporter(), None
    try:
        job = _fetched(jobs[0])[config["key"]]
        cluster.require_seen(*marked, job.patches)
        trainable.run(job, watch, gpu_needed=True)
    except OSError as error:  # results cannot be kept: no other trial would fare better
        trouble = sentence(error)
    tune.report({**watch.result, "ended": True, "trouble": trouble})
