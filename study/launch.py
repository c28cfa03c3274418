"""Ray Tune runs the pending trials; the ledger remembers."""

import hashlib
import logging
import math
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# read by Ray: no logger files per trial, no usage reports, CPU trials see no GPU
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # ours drains
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "86400")  # of Tune's own state, which we never ask for

import ray
from ray import tune
from ray.air.execution._internal import RayActorManager
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune.execution import tune_controller
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from qgan.errors import InputError
from qgan.trial import canonical
from study import cluster, trainable
from study.exit_codes import INPUT, INTERRUPTED
from study.gate import Gate
from study.lease import place, runs
from study.ledger import LOST_ATTEMPTS, failed, lost_in_a_row
from study.nodes import slots
from study.plan import Look
from study.progress import Progress
from study.sections import Resources
from study.storage import Place, is_storage_trouble, sentence
from study.trainable import Job

_REPORT_EVERY_S = 1.0


def connect(address: str | None, resources: Resources) -> None:
    """Join the cluster at `address`, or start Ray in this machine's processes, for trials that need `resources`.

    Raises InputError where the cluster does not answer, or no node of it has what one trial needs.
    """
    join(address)
    require_room(address, resources)


def join(address: str | None, offers: dict[str, float] | None = None) -> None:
    """Join the cluster at `address`, or start Ray in this machine's processes, which then `offers` such resources.

    Raises InputError where the cluster does not answer.
    """
    if address is not None:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        _probe(address)
    try:
        ray.init(
            address=address or "local",
            resources=offers if address is None else None,
            include_dashboard=False if address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        problem = str(error).splitlines()[0]
        if address is None:
            raise InputError(f"Ray does not start on this machine ({problem})") from None
        raise InputError(f"--address {address}: no Ray cluster answers there ({problem})") from None


def require_room(address: str | None, resources: Resources) -> None:
    """Raises InputError where no node of the joined cluster, or one that it may grow, has what one trial needs."""
    grows = cluster.growth() if address is not None else []
    nodes = cluster.nodes() + grows
    # a trial waits for every slot, or processes and nodes would be started one after the other, seconds each
    os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", str(1 + slots(resources, nodes)))
    if not slots(resources, nodes):
        raise InputError(
            f"resources: a trial needs cpu {resources.cpu:g} and gpu {resources.gpu:g} on one node, but the largest "
            f"node offers cpu {max(node.cpus for node in nodes):g} and gpu {max(node.gpus for node in nodes):g}; "
            "lower `resources:` or join a larger cluster"
        )


def _probe(address: str) -> None:
    """Refuse an address where nothing listens, which Ray would ask for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    if not (colon and host and port.isdigit()):
        raise InputError(f"--address {address or '(empty)'}: write it as HOST:PORT, or `auto` on the cluster's head")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"--address {address}: no Ray cluster answers there ({error})") from None


class _Pending(Searcher):  # type: ignore[misc]
    """Hands out the pending trials in the plan's order while the gate is open."""

    def __init__(self, keys: Sequence[str], gate: Gate) -> None:
        super().__init__(metric="epoch", mode="max")
        self.keys, self.gate = list(keys), gate

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        return {"key": self.keys.pop(0)} if self.keys and self.gate.check() else Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing to learn: the ledger holds the results."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to keep: a new run asks the ledger what is missing."""

    def restore(self, checkpoint_path: str) -> None:
        """See save."""


class _Scheduler(FIFOScheduler):  # type: ignore[misc]
    """Starts waiting trials in the plan's order, and takes them back where the gate has closed or one is settled."""

    def __init__(self, keys: Iterable[str], gate: Gate, settled: set[str]) -> None:
        super().__init__()
        self.place = {key: number for number, key in enumerate(keys)}
        self.gate, self.settled = gate, settled

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """The first waiting trial that has no process yet; None where there is none."""
        waiting = []
        closed = not self.gate.check()
        for trial in list(tune_controller.get_live_trials()):
            if trial.status != trial.PENDING:
                continue
            if closed or trial.config["key"] in self.settled:
                tune_controller.stop_trial(trial)
            elif trial.temporary_state.ray_actor is None:
                waiting.append(trial)
        return min(waiting, key=lambda trial: self.place[trial.config["key"]], default=None)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Tune keeps an idle process for each trial that it has staged, and forgets none that is taken back."""
        if trial in tune_controller._staged_trials:
            tune_controller._unstage_trial_with_resources(trial)

    def __getstate__(self) -> dict[str, Any]:
        return {}


class ActorManager(RayActorManager):  # type: ignore[misc]
    """Tune's processes; one that the memory monitor killed, or that went with its node, has died like any other.

    Ray's own manager raises at an error of such a kind, and Tune's experiment ends with all of its trials.
    """

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, RayError) and not isinstance(exception, RayActorError | RayTaskError):
            exception = RayActorError(error_msg=str(exception))
        super()._actor_task_failed(tracked_actor_task, exception)


tune_controller.RayActorManager = ActorManager  # Tune asks for no other


class Ending:
    """An end of Tune's experiment that a signal asks for at any time, before Tune listens too."""

    def __init__(self) -> None:
        self.asked = False

    def step(self) -> None:
        """To be called at the end of each of Tune's steps."""
        if self.asked:
            os.kill(os.getpid(), signal.SIGUSR1)  # on which Tune ends


class _Watch(TrialProgressCallback):  # type: ignore[misc]
    """Tells display, gate and ledger what Tune hears of trials and of processes that died, in the place of its own."""

    def __init__(self, jobs: dict[str, Job], look: Look, progress: Progress, gate: Gate) -> None:
        super().__init__()
        self.jobs, self.ledger, self.progress, self.gate = jobs, look.ledger, progress, gate
        self.attempts = {key: len(record.attempts) for key, record in look.now.records.items()}  # that are over
        self.settled: set[str] = set()  # trials that are done or failed, or that Tune is to leave alone
        self.ending = Ending()

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its callbacks for a restore that we never ask for; a terminal cannot be pickled."""
        return {}

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self.progress.tick()
        self.ending.step()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.gate.started(trial.config["key"])

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if not result.get("ended"):
            self.progress.epoch(trial.config["key"], result["epoch"], result["seconds"], result["mmd_v"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        if trouble := trial.last_result.get("trouble"):
            self.gate.close(trouble, INPUT)
        with self._trouble_ends():
            self._take_note(trial.config["key"], trial.last_result)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        with self._trouble_ends():
            self._lost(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        with self._trouble_ends():
            self._lost(trial)

    @property
    def noted(self) -> tuple[int, int]:
        """How many trials are settled and how many attempts are over: what a round of trials moves."""
        return len(self.settled), sum(self.attempts.values())

    @contextmanager
    def _trouble_ends(self) -> Iterator[None]:
        """Inside, results that cannot be read or kept close the gate; Tune would make a traceback of it."""
        try:
            yield
        except OSError as error:
            if not is_storage_trouble(error):
                raise
            self.gate.close(sentence(error), INPUT)

    def _take_note(self, key: str, result: dict[str, Any]) -> None:
        """The trial's process has ended, or Tune took the trial out of its queue."""
        if key in self.settled:  # taken back after its last process had died
            return
        record = self.ledger.trial(key).record()
        begun = record is not None and len(record.attempts) > self.attempts.get(key, 0)
        self.gate.stopped(key, record if begun else None)
        if record is None or not begun or record.status == "running":
            self.progress.stopped(key)
            return
        self.attempts[key] = len(record.attempts)
        self.settled.add(key)
        self.gate.counted(failed=record.status == "failed")
        if record.cause:
            self.progress.ended(key, "failed", record.cause["error"])
        else:
            mmd, floor = result.get("mmd_v"), result.get("floor_v")
            score = f"MMD {mmd:.4g} (floor {floor:.4g}), " if mmd is not None else ""
            self.progress.ended(key, "done", f"{record.epoch} epochs, {score}{record.seconds:.0f} s")

    def _lost(self, trial: Any) -> None:
        """The trial's process died."""
        key, raised = trial.config["key"], _raised(trial)
        folder, job = self.ledger.trial(key), self.jobs[key]
        record = folder.record()
        if record is None or len(record.attempts) <= self.attempts.get(key, 0):
            nothing = {"note": "the worker died before it began"}  # and used no GPU, which would need a price
            record = folder.begin(key, trial=canonical(job.planned.trial), command=job.command, provenance=nothing)
        if record.status == "running":  # else it died after its last word
            record = folder.lost(record)
            killed = raised is None or isinstance(raised, RayActorError)
            if not killed:  # a fault of this program
                folder.write_record(failed(record, str(raised).strip().splitlines()[-1], record.epoch, str(raised)))
            elif lost_in_a_row(record) >= LOST_ATTEMPTS:
                error = (
                    f"the worker died {LOST_ATTEMPTS} times in a row without a new checkpoint (killed, out of memory)"
                )
                folder.write_record(failed(record, error, record.epoch, str(raised or "")))
        self._take_note(key, trial.last_result)
        self.attempts[key] = len(record.attempts)


def _raised(trial: Any) -> Exception | None:
    """What Ray told of the end of the trial's process; Tune's own `get_error` looks where nothing is written."""
    path = trial.pickled_error_file
    if path is None or not os.path.exists(path):
        return None
    with open(path, "rb") as file:
        found: Exception = ray.cloudpickle.load(file)
        return found


def sweep(jobs: Sequence[Job], look: Look, gate: Gate) -> None:
    """Run the jobs on the connected cluster while the gate is open. Every outcome is in the ledger."""
    by_key = {job.planned.key: job for job in jobs}
    progress, resources = Progress(look, list(by_key)), look.study.resources
    watch = _Watch(by_key, look, progress, gate)
    folder = look.ledger.folder.absolute()
    with progress, _signals(watch), cluster.marked(folder) as mark, _notes() as notes:
        # a second round takes up trials whose process died before it began: Tune gives those up
        while (left := {key: job for key, job in by_key.items() if key not in watch.settled}) and gate.check():
            before = watch.noted
            _fit(left, watch, resources, (folder, mark), notes)
            if watch.noted == before:
                gate.close(f"{folder}: the trials that ran have left nothing there", INPUT)


def _fit(jobs: dict[str, Job], watch: _Watch, resources: Resources, marked: tuple[Place, str], notes: str) -> None:
    """One experiment of Tune, which keeps its own notes in the folder `notes`."""
    started = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S-%f")
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(_run_on_worker, jobs=jobs, marked=marked), {"cpu": resources.cpu, "gpu": resources.gpu}
        ),
        tune_config=tune.TuneConfig(
            search_alg=_Pending(list(jobs), watch.gate),
            scheduler=_Scheduler(jobs, watch.gate, watch.settled),
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
def _notes() -> Iterator[str]:
    """A folder for what Tune notes, and nothing of ours reads; what killed launchers have left there is removed."""
    prefix = f"study-tune-{hashlib.sha256(place().encode()).hexdigest()[:8]}-"
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*-*"):
        process = left.name.removeprefix(prefix).partition("-")[0]
        if process.isdigit() and not runs(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{prefix}{os.getpid()}-", ignore_cleanup_errors=True) as folder:
        yield folder


@contextmanager
def signals_to(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM call `handler` inside, and afterwards what they called before."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, each in before.items():
            signal.signal(number, each)


@contextmanager
def _signals(watch: _Watch) -> Iterator[None]:
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


def _run_on_worker(config: dict[str, Any], jobs: dict[str, Job], marked: tuple[Place, str]) -> None:
    """Tune's trainable: a thin coat over `trainable.run`."""
    reported = -math.inf
    result: dict[str, Any] = {"epoch": 0, "mmd_v": None, "floor_v": None}

    def watch(epoch: Any) -> None:
        nonlocal reported, result
        result = {name: getattr(epoch, name) for name in ("epoch", "seconds", "mmd_v", "floor_v")}
        if time.monotonic() - reported > _REPORT_EVERY_S:
            tune.report(result)
            reported = time.monotonic()

    trouble = None
    try:
        job = jobs[config["key"]]
        cluster.require_seen(*marked, job.patches)
        trainable.run(job, watch, gpu_needed=True)
    except OSError as error:  # results cannot be kept: no other trial would fare better
        trouble = sentence(error)
    tune.report({**result, "ended": True, "trouble": trouble})
