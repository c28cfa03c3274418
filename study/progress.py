"""A live table of a sweep on a terminal; plain lines when piped."""

import os
import time
from collections import Counter
from dataclasses import dataclass
from statistics import fmean
from types import TracebackType

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table

from study.ledger import checkpointed
from study.pace import Pace, cells_by_name, from_ledger
from study.plan import STATES, Look, Planned, counts, tally

_LINE_EVERY_S = 60.0  # a plain line on the whole, when piped
_PIPE_WIDTH = 120

Row = tuple[str, str]  # cell and arm


@dataclass
class _Seen:
    """The last report of a running trial."""

    epoch: int
    mmd: float | None
    since: float  # s, monotonic clock, of the first report
    first: int  # epoch of the first report


class Progress:
    """What the launcher shows while trials run; `keys` are those that it is to run."""

    def __init__(self, look: Look, keys: list[str]) -> None:
        pace = from_ledger(look)
        self.places = {each.key: each for each in reversed(look.planned)}
        self.planned = look.planned
        self.longest = look.study.horizons[-1]
        self.states = {key: "pending" if key in keys else state for key, state in look.states.items()}
        self.left = dict.fromkeys(keys)  # trials of this launch that are neither done nor failed
        self.at = {key: checkpointed(record) for key, record in look.now.records.items()}  # epochs
        # what was measured before, and the trials that run now
        self.pace = Pace(
            "", dict(pace.seconds) if pace else {}, cells_by_name(look.planned, look.study.cells), None, None
        )
        self.timed: dict[Row, dict[str, float]] = {}  # seconds per epoch of each trial that was seen
        self.seen: dict[str, _Seen] = {}
        self.start = self.told = time.monotonic()
        self.console = console()
        self.live = Live(console=self.console, refresh_per_second=2, get_renderable=self.table, transient=True)

    def __enter__(self) -> "Progress":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()
        if self.console.is_terminal:
            self.console.print(self.table())

    def epoch(self, key: str, epoch: int, seconds: float, mmd: float | None) -> None:
        """A running trial has come to `epoch` after so many seconds of training, those of earlier attempts too."""
        self.states[key] = "running"
        seen = self.seen.setdefault(key, _Seen(epoch, mmd, time.monotonic(), epoch))
        seen.epoch, seen.mmd = epoch, mmd if mmd is not None else seen.mmd
        self.at[key] = epoch
        place = self.places[key].cell_name, self.places[key].arm
        timed = self.timed.setdefault(place, {})
        timed[key] = seconds / epoch
        self.pace.seconds[place] = fmean(timed.values())

    def stopped(self, key: str) -> None:
        """A trial does not run any more, and is neither done nor failed."""
        self.states[key] = "pending"
        self.seen.pop(key, None)

    def ended(self, key: str, state: str, detail: str) -> None:
        """A trial is done or failed; this is a line of its own, piped or not."""
        self.states[key] = state
        self.seen.pop(key, None)
        self.left.pop(key, None)
        finished = sum(each in ("done", "failed") for each in self.states.values())
        self.say(f"[{finished}/{len(self.states)}] {self.places[key]}: {state}, {detail}")

    def say(self, line: str) -> None:
        """A line of its own, above the table if there is one."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def tick(self) -> None:
        """When piped, say from time to time how far the whole is."""
        now = time.monotonic()
        if self.console.is_terminal or now - self.told < _LINE_EVERY_S:
            return
        self.told = now
        mmds = [seen.mmd for seen in self.seen.values() if seen.mmd is not None]
        mmd = f", MMD {fmean(mmds):.3g}" if mmds else ""
        self.say(f"{duration(now - self.start)}: {tally(self.states)}; {self._speed():.1f} epochs/s{mmd}{self._rest()}")

    def table(self) -> Table:
        """State, speed, MMD and time left per cell and arm."""
        title = f"{duration(time.monotonic() - self.start)}{self._rest()}"
        table = _table((*STATES, "epochs/s", "MMD now", "left"), title)
        running: dict[Row, list[_Seen]] = {}
        for each in self.planned:
            if each.key in self.seen:
                running.setdefault((each.cell_name, each.arm), []).append(self.seen[each.key])
        rest = self.seconds_left()
        for place, number in counts(self.planned, self.states).items():
            left = rest.get(place)
            table.add_row(*place, *_row(number), *_now(running.get(place, [])), duration(left) if left else "")
        return table

    def seconds_left(self) -> dict[Row, float | None]:
        """Of the trials of this launch, if as many run at once as now; None where nothing is known of the pace."""
        at_once = max(1, len(self.seen))
        left: dict[Row, float | None] = {}
        for key in self.left:
            each = self.places[key]
            place = each.cell_name, each.arm
            pace = self.pace.of(*place)
            so_far = left.get(place, 0.0)
            more = None if pace is None else pace * max(0, self.longest - self.at.get(key, 0)) / at_once
            left[place] = None if so_far is None or more is None else so_far + more
        return left

    def _speed(self) -> float:
        return _epochs_per_second(list(self.seen.values()))

    def _rest(self) -> str:
        rest = self.seconds_left().values()
        known = [each for each in rest if each is not None]
        if not known:
            return ""
        return f"; {'about' if len(known) == len(rest) else 'more than'} {duration(sum(known))} left"


def state_table(look: Look) -> Table:
    """How many replicates of each cell and arm are done, running, failed, pending, and what they have come to."""
    table = _table((*STATES, "epochs", "MMD now", "floor"))
    groups: dict[Row, list[Planned]] = {}
    for each in look.planned:
        groups.setdefault((each.cell_name, each.arm), []).append(each)
    for place, number in counts(look.planned, look.states).items():
        records = [look.now.records[each.key] for each in groups[place] if each.key in look.now.records]
        epochs = sum(record.epoch for record in records) / len(groups[place])
        mmds = [record.mmd_v for record in records if record.mmd_v is not None]
        floors = [record.floor_v for record in records if record.floor_v is not None]
        means = [f"{fmean(each):.3g}" if each else "" for each in (mmds, floors)]
        table.add_row(*place, *_row(number), f"{epochs:.0f}" if records else "", *means)
    if look.now.records:
        table.caption = "epochs, MMD now and floor: means over the replicates, at each one's last epoch"
    return table


def duration(seconds: float) -> str:
    """As people say it: 42 s, 7 min, 3.2 h, 2.1 days."""
    for unit, size in (("days", 86400.0), ("h", 3600.0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def console() -> Console:
    """What tables are printed on; a pipe or a file has no width of its own."""
    found = Console()
    return found if found.is_terminal or "COLUMNS" in os.environ else Console(width=_PIPE_WIDTH)


def _table(numbers: tuple[str, ...], title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, caption_justify="left")
    table.add_column("cell", overflow="fold")  # the only one that gives way on a narrow terminal
    table.add_column("arm", no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _row(number: Counter[str]) -> list[str]:
    return [str(number[state] or "") for state in STATES]


def _epochs_per_second(running: list[_Seen]) -> float:
    now = time.monotonic()
    return sum((seen.epoch - seen.first) / max(now - seen.since, 1e-9) for seen in running)


def _now(running: list[_Seen]) -> tuple[str, str]:
    if not running:
        return "", ""
    mmds = [seen.mmd for seen in running if seen.mmd is not None]
    return f"{_epochs_per_second(running):.1f}", f"{fmean(mmds):.3g}" if mmds else ""
