"""One cycle of SPSA with given gains and seed, from start to end, with its ledger entry: what Ray runs."""

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.errors import ResultsError
from qgan.errors import InputError
from qgan.prior_settings import Gains, TrainedSettings
from qgan.trial import canonical
from study import ledger, provenance, trainable
from study.spending import usd_per_hour
from study.storage import Place, is_storage_trouble

if TYPE_CHECKING:
    from qgan.cycle import FrozenWgan

SCHEMA = 1  # bump when the meaning of a cycle's numbers changes: every key changes with it


@dataclass(frozen=True)
class Evaluation:
    """All that a process anywhere needs to run one cycle."""

    start: trainable.Job  # of the trial whose checkpoint the cycle begins at
    prior: TrainedSettings  # with the gains to try; without any the cycle calibrates them
    seed: str  # names the cycle's random streams: the same directions and shots for every candidate
    continuation: int  # epochs of training after the cycle
    folder: Place  # of the ledger's trials

    @property
    def key(self) -> str:
        """16 hex digits that name this cycle in the ledger."""
        text = json.dumps({"cycle": SCHEMA, **self.describe()}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def describe(self) -> dict[str, Any]:
        """Everything that changes the cycle's numbers."""
        return {
            "start": self.start.planned.key,
            "epoch": self.start.horizons[-1],
            "prior": canonical(self.prior),
            "seed": self.seed,
            "continuation": self.continuation,
        }

    @property
    def trial_folder(self) -> ledger.TrialFolder:
        return ledger.TrialFolder(self.folder / self.key)


@dataclass(frozen=True)
class Outcome:
    """What a cycle of the ledger found, or why it failed."""

    gains: Gains | None  # of the cycle, calibrated by it where it was given none; None where it failed
    losses: tuple[float, ...]  # of all evaluations, the last one at the final theta
    start_loss: float  # of the codes that the checkpoint's prior gives
    mmds: tuple[float, ...]  # mmd_v of the scored epochs of the continuation
    circuits: int
    seconds: float  # of the cycle itself
    cause: str | None = None

    def objective(self, window: int) -> float:
        """The final loss; after a continuation the log of the mean MMD of its last `window` scored epochs."""
        if self.cause is not None:
            return math.nan
        if self.mmds:
            shown = self.mmds[-window:]
            return math.log(sum(shown) / len(shown))
        return self.losses[-1]


def outcome(evaluation: Evaluation) -> Outcome | None:
    """What the ledger knows of a cycle; None where it is not ended."""
    folder = evaluation.trial_folder
    try:
        record = folder.record()
        found = folder.cycle() if record is not None and record.status == "done" else None
    except ResultsError:
        return None  # damaged: it runs again
    if record is not None and record.status == "failed":
        return Outcome(None, (), math.nan, (), 0, 0.0, str((record.cause or {}).get("error", "unknown")))
    if found is None:
        return None
    try:
        return Outcome(
            Gains(**found["gains"]),
            tuple(found["losses"]),
            found["start_loss"],
            tuple(found["mmds"]),
            found["circuits"],
            found["seconds"],
        )
    except (KeyError, TypeError, InputError):
        return None  # of another make: it runs again


def run(evaluation: Evaluation) -> None:
    """Run the cycle and keep its ledger entry; what goes wrong becomes a failure with its cause.

    Results that cannot be kept are no fault of the cycle: OSError, and it stays to be run.
    """
    import torch

    start = evaluation.start
    torch.set_num_threads(max(1, int(start.cpus)))
    folder = evaluation.trial_folder
    found_here = dict(provenance.collect())
    record = folder.begin(
        evaluation.key,
        trial=evaluation.describe(),
        command=start.command,
        provenance=found_here,
        gpus=start.gpus,
        usd_per_hour=usd_per_hour(found_here["gpu"], start.gpus, start.usd_per_gpu_hour),
    )
    try:
        device = "cuda" if start.gpus and torch.cuda.is_available() else "cpu"
        found = _frozen(start, device).cycle(evaluation.prior, evaluation.seed, evaluation.continuation)
        folder.write_cycle(dataclasses.asdict(found))
        folder.write_record(dataclasses.replace(record, status="done"))
    except Exception as error:  # a user's or a program's error ends this cycle, not the search
        if is_storage_trouble(error):
            raise
        folder.write_record(ledger.failed(record, trainable.cause(error), 0, trainable.log(error)))
    finally:
        if evaluation.continuation:
            _kept.clear()  # its networks have trained on


def _frozen(start: trainable.Job, device: str) -> "FrozenWgan":
    """The checkpoint's networks; a worker runs many cycles from one checkpoint, which S3 sends once."""
    from qgan.cycle import FrozenWgan

    name = (start.folder, start.planned.key, start.horizons[-1], device)
    if name not in _kept:
        _kept.clear()
        checkpoint = ledger.TrialFolder(start.folder).checkpoint
        _kept[name] = FrozenWgan(start.planned.trial, trainable.checked_patches(start), checkpoint, device)
    return _kept[name]


_kept: dict[tuple[object, ...], "FrozenWgan"] = {}  # one at most
