"""The final trial as a trial of Ray Tune: trained on a worker, watched from here, detached or called off by Ctrl-C."""

import dataclasses
import logging
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
import ray
from ray import tune

from qgan.errors import InputError, Stopped
from study import cluster, connection, tuning
from study.qpu import calibration
from study.qpu.actor import RESOURCE, actor
from study.qpu.final import Final
from study.qpu.run import Run
from study.qpu.trial import Ended, train
from study.storage import StorageError, sentence
from study.trainable import Job

_LINE_EVERY_S = 5.0
_DEATHS = 10  # of the trial's process, after which it needs a person


def connect(address: str | None, final: Final, *, trains: bool) -> None:
    """Join the cluster, or start Ray here; raises InputError where it has no node for the actor or what `trains`."""
    connection.join(address, {RESOURCE: 1})
    if not final.rung.simulated and not ray.cluster_resources().get(RESOURCE):
        raise InputError(
            f"this cluster has no node with the resource {RESOURCE}: start its head with "
            f"ray start --head --resources='{{\"{RESOURCE}\": 1}}', as cluster.yaml does"
        )
    if trains:
        connection.require_room(address, final.study.resources)
        cluster.require_shared(final.study)


def survey(run: Run) -> dict[str, Any]:
    """What the actor finds out about the machine; raises InputError where it cannot serve the run."""
    found: dict[str, Any] = _asked(actor().survey.remote(run))
    return found


def calibrate(job: Job) -> Any:
    """Gains from a worker."""
    task = ray.remote(num_cpus=job.cpus, num_gpus=job.gpus, max_retries=2)(calibration.calibrate)
    return _asked(task.remote(job))


def run(job: Job, run: Run | None) -> Ended:
    """Run the final trial on the connected cluster to its end, whatever that is."""
    with cluster.marked(job.folder) as mark, tuning.notes_folder() as notes:
        return _run(job, run, mark, notes)


def _run(job: Job, run: Run | None, mark: str, notes: str) -> Ended:
    watch = _Watch(job, run)
    started = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S-%f")
    resources = {"cpu": job.cpus, "gpu": job.gpus}
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_on_worker, job=job, run=run, mark=mark), resources),
        tune_config=tune.TuneConfig(num_samples=1, trial_dirname_creator=lambda trial: "trial"),
        run_config=tune.RunConfig(
            name=started,
            storage_path=notes,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=_DEATHS),
            callbacks=[watch],
        ),
    )
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what goes wrong is said by us
    with _signals(watch):
        tuner.fit()
    watch.tell()
    return watch.ended or Ended("lost", f"the trial's process died {_DEATHS + 1} times (killed, or out of memory)")


class _Watch(tune.Callback):  # type: ignore[misc]
    """Says how far the trial and its run on the machine are."""

    def __init__(self, job: Job, run: Run | None) -> None:
        self.job, self.run = job, run
        self.ended: Ended | None = None
        self.result: dict[str, Any] = {}
        self.lines = 0  # of the actor's, that were told
        self.last = ""
        self.told = time.monotonic()
        self.looked: Any = None  # the answer that the actor owes us
        self.ending = tuning.Ending()

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its callbacks for a restore that we never ask for."""
        return {}

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if time.monotonic() - self.told > _LINE_EVERY_S:
            self.told = time.monotonic()
            self.tell(wait_s=0)
        self.ending.step()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if "ended" in result:
            self.ended = Ended(result["ended"], result["told"])
        else:
            self.result = result

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        click.echo("the trial's process died; it goes on from its last checkpoint, and in the cycle from the journal")

    def tell(self, wait_s: float = 2.0) -> None:
        """Print what has changed."""
        parts = []
        if self.result:
            mmd = self.result["mmd_v"]
            parts.append(f"epoch {self.result['epoch']}/{self.job.horizons[-1]}")
            parts += [] if mmd is None else [f"MMD {mmd:.4g} (floor {self.result['floor_v']:.4g})"]
        for found in self._looked(wait_s):
            self.lines += len(found["told"])
            for line in found["told"]:
                click.echo(line)
            if found["waits_for"]:
                parts.append(f"waiting for the machine, which is used by {found['waits_for']}")
            elif found["done"]:
                parts.append(f"{found['done']} circuits measured, ${found['spent']:,.2f} ordered")
        line = "  ".join(parts)
        if line and line != self.last:
            click.echo(line)
            self.last = line

    def _looked(self, wait_s: float) -> Iterator[dict[str, Any]]:
        """The actor's last answer, if it has come; asks again."""
        if self.run is None:
            return
        try:
            if self.looked is None:
                self.looked = actor().look.remote(self.run, self.lines)
            if ray.wait([self.looked], timeout=wait_s)[0]:
                answer, self.looked = self.looked, None
                yield ray.get(answer)
        except ray.exceptions.RayError:
            self.looked, self.lines = None, 0  # killed: it is started anew, and has told nothing yet


@contextmanager
def _signals(watch: _Watch) -> Iterator[None]:
    """Ctrl-C asks whether to cancel, detach or go on; a batch system that sends SIGTERM wants to detach."""

    def stop(how: str, told: str) -> None:
        watch.ended = Ended(how, told)
        watch.ending.asked = True

    def interrupted(number: int, frame: Any) -> None:
        choice = "d"
        if number == signal.SIGINT and watch.run is not None and sys.stdin.isatty():
            choice = _asked_on_ctrl_c()
        if choice == "g":
            return
        told = "detached: what is ordered stays ordered, and the same command goes on with it"
        stop("detached", _called_off(watch.run) if choice == "c" and watch.run is not None else told)

    with tuning.signals_to(interrupted):
        yield


def _asked_on_ctrl_c() -> str:
    """c, d or g; d where the question itself is interrupted, or its terminal closed."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        click.echo(
            "\n[c]ancel: call off the jobs that have not begun; [d]etach: leave the jobs at the service, to go on "
            "with the same command; [g]o on"
        )
        choice: str = click.prompt("c, d or g", type=click.Choice(["c", "d", "g"]), show_choices=False)
        return choice
    except (click.Abort, KeyboardInterrupt, EOFError):
        return "d"
    finally:
        signal.signal(signal.SIGINT, before)


def _called_off(run: Run) -> str:
    """Call off the run's jobs that have not begun; what came of it, in words."""
    try:
        running = _asked(actor().cancel.remote(run))
    except (InputError, Stopped) as error:
        return f"detached, as the jobs could not be called off: {error}"
    ran = f"; these jobs run on or are done, and are kept: {', '.join(running)}" if running else ""
    return f"cancelled: what had not begun is called off and costs nothing{ran}"


def _on_worker(config: dict[str, Any], job: Job, run: Run | None, mark: str) -> None:
    """Tune's trainable: a thin coat over `trial.train`."""
    watch = tuning.Reporter()
    try:
        cluster.require_seen(job.folder, mark, job.patches)
    except StorageError as error:
        ended = Ended("refused", sentence(error))
    else:
        ended = train(job, run, watch)
    tune.report(watch.result)
    tune.report({**watch.result, **dataclasses.asdict(ended)})


def _asked(reference: Any) -> Any:
    """The answer; what was raised there is raised here as it was."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, Exception) else error from None
    except ray.exceptions.RayError as error:
        told = str(error).strip().splitlines()[0]
        raise InputError(f"the process that was asked died ({told}); the same command goes on where it was") from None
