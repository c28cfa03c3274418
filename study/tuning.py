"""Ray Tune as a sweep asks for it: trials in the plan's order, processes that may die, an end at any time."""

import math
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune
from ray.air.execution._internal import RayActorManager
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune.execution import tune_controller
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from study.gate import Gate
from study.processes import abandoned, stamp

if TYPE_CHECKING:
    from qgan.training import Epoch

_REPORT_EVERY_S = 1.0
_NOTES = "study-tune-"

# read by Tune as an experiment starts
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # no files per trial
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # ours drains
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "86400")  # of Tune's own state, which we never ask for


class Pending(Searcher):  # type: ignore[misc]
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


class Scheduler(FIFOScheduler):  # type: ignore[misc]
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


class Reporter:
    """Watches a trial's epochs on its worker, and tells Tune of one per second at most."""

    def __init__(self) -> None:
        self.result: dict[str, Any] = {"epoch": 0, "mmd_v": None, "floor_v": None}  # of the last epoch
        self._reported = -math.inf

    def __call__(self, epoch: "Epoch") -> None:
        self.result = {name: getattr(epoch, name) for name in ("epoch", "seconds", "mmd_v", "floor_v")}
        if time.monotonic() - self._reported > _REPORT_EVERY_S:
            tune.report(self.result)
            self._reported = time.monotonic()


class Ending:
    """An end of Tune's experiment that a signal asks for at any time, before Tune listens too."""

    def __init__(self) -> None:
        self.asked = False

    def step(self) -> None:
        """To be called at the end of each of Tune's steps."""
        if self.asked:
            os.kill(os.getpid(), signal.SIGUSR1)  # on which Tune ends


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
def notes_folder() -> Iterator[str]:
    """A folder for what Tune notes, and nothing of ours reads; what killed launchers have left there is removed."""
    for left in Path(tempfile.gettempdir()).glob(f"{_NOTES}*"):
        if abandoned(left.name.removeprefix(_NOTES)):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_NOTES + stamp(), ignore_cleanup_errors=True) as folder:
        yield folder
