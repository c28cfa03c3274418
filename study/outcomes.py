"""What becomes of the trials of a sweep, as Tune hears it: told to display, gate and ledger."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.tune.progress_reporter import TrialProgressCallback

from qgan.trial import canonical
from study.exit_codes import INPUT
from study.gate import Gate
from study.ledger import LOST_ATTEMPTS, failed, lost_in_a_row
from study.plan import Look
from study.progress import Progress
from study.storage import is_storage_trouble, sentence
from study.trainable import Job
from study.tuning import Ending


class Outcomes(TrialProgressCallback):  # type: ignore[misc]
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
