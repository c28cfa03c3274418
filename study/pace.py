"""How fast a study's trials are: seconds per epoch from its own ledger, or from a probe on this machine."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import Any

from study.grid import Cell
from study.ledger import Ledger
from study.plan import Planned
from study.spec import Study

_MOST_CURVES = 200  # read for the speed, spread over cells and arms


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


def from_ledger(study: Study, planned: Sequence[Planned]) -> Pace | None:
    """The pace of the trials that have begun; None where none has an epoch on disk."""
    ledger = Ledger(study.folder)
    records = dict(ledger.records(dict.fromkeys(each.key for each in planned)))
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in planned:
        if each.key in records:
            groups[each.cell_name, each.arm].append(each.key)
    seconds: dict[tuple[str, str], float] = {}
    kinds: Counter[str] = Counter()
    rates: list[float] = []
    for group, keys in groups.items():
        found = []
        for key in keys[: max(1, _MOST_CURVES // len(groups))]:
            record = records.get(key)
            if record is None or not record.epoch or not record.seconds:
                continue
            found.append(record.seconds / record.epoch)
            attempt = record.attempts[-1]
            if attempt.get("gpu"):
                kinds[attempt["gpu"]] += 1
            if attempt.get("usd_per_hour"):
                rates.append(attempt["usd_per_hour"])
        if found:
            seconds[group] = fmean(found)
    if not seconds:
        return None
    return Pace(
        source="this study's own trials",
        seconds=seconds,
        cells=cells_by_name(planned, study.cells),
        gpu=kinds.most_common(1)[0][0] if kinds else None,
        usd_per_gpu_hour=fmean(rates) if rates else None,
    )


def cells_by_name(planned: Sequence[Planned], cells: Sequence[Cell]) -> dict[str, Cell]:
    """The study's cells under the name that a planned trial calls them by."""
    names = dict.fromkeys(each.cell_name for each in planned)
    return dict(zip(names, cells, strict=True))


def spent_hours(study: Study, keys: Iterable[str]) -> float:
    """Trial-hours of all attempts at the trials of these keys."""
    ledger = Ledger(study.folder)
    return sum(_hours(attempt) for _, record in ledger.records(keys) if record for attempt in record.attempts)


def _hours(attempt: dict[str, Any]) -> float:
    try:
        start, end = (datetime.fromisoformat(attempt[name]) for name in ("start", "last_seen"))
    except (KeyError, TypeError, ValueError):
        return 0.0
    return max(0.0, (end - start).total_seconds() / 3600)
