"""How fast a study's trials are: seconds per epoch from its own ledger, or from a probe on this machine."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from study.grid import Cell
from study.plan import Look, Planned


@dataclass(frozen=True)
class Pace:
    """Seconds per epoch of a trial, by where it was measured."""

    source: str  # as told to the user
    seconds: dict[tuple[str, str], float]  # (cell, arm) -> mean seconds per epoch
    cells: dict[str, Cell]  # by name, all of the study
    gpu: str | None  # the kind that most of the measured trials ran on
    usd_per_gpu_hour: float | None  # the rate in the ledger, where one is known

    def of(self, cell: str, arm: str) -> float | None:
        """Seconds per epoch: this arm's in this cell, else other arms' there, else scaled by the number of images."""
        if (cell, arm) in self.seconds:
            return self.seconds[cell, arm]
        here = [each for (name, _), each in self.seconds.items() if name == cell]
        if here:
            return fmean(here)
        mine = self.cells[cell]
        alike = [
            each * mine.images / self.cells[name].images
            for (name, _), each in self.seconds.items()
            if self.cells[name].train == mine.train
        ]
        return fmean(alike) if alike else None


def from_ledger(look: Look) -> Pace | None:
    """The pace of the trials that have begun; None where none has an epoch in the results."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    kinds: Counter[str] = Counter()
    rates: list[float] = []
    for each in look.planned:
        record = look.now.records.get(each.key)
        if record is None or not record.epoch or not record.seconds:
            continue
        found[each.cell_name, each.arm].append(record.seconds / record.epoch)
        attempt = record.attempts[-1]
        if attempt.get("gpu"):
            kinds[attempt["gpu"]] += 1
        if attempt.get("usd_per_hour") and attempt.get("gpus"):
            rates.append(attempt["usd_per_hour"] / attempt["gpus"])
    if not found:
        return None
    return Pace(
        source="this study's own trials",
        seconds={place: fmean(each) for place, each in found.items()},
        cells=cells_by_name(look.planned, look.study.cells),
        gpu=kinds.most_common(1)[0][0] if kinds else None,
        usd_per_gpu_hour=fmean(rates) if rates else None,
    )


def cells_by_name(planned: Sequence[Planned], cells: Sequence[Cell]) -> dict[str, Cell]:
    """The study's cells under the name that a planned trial calls them by."""
    names = dict.fromkeys(each.cell_name for each in planned)
    return dict(zip(names, cells, strict=True))
