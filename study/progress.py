"""A live table of a sweep on a terminal; plain lines when piped."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from study.plan import STATES, Planned, counts


@dataclass
class _Seen:
    """The last report of a running trial."""

    epoch: int
    mmd: float | None
    since: float  # s, monotonic clock, of the first report
    first: int  # epoch of the first report


class Progress:
    """What the launcher shows while trials run."""

    def __init__(self, planned: list[Planned], states: Mapping[str, str]) -> None:
        self.planned = {each.key: each for each in planned}
        self.places = planned
        self.states = dict(states)
        self.seen: dict[str, _Seen] = {}
        self.start = time.monotonic()
        self.console = Console()
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

    def epoch(self, key: str, epoch: int, mmd: float | None) -> None:
        """A running trial has come to `epoch`."""
        self.states[key] = "running"
        seen = self.seen.setdefault(key, _Seen(epoch, mmd, time.monotonic(), epoch))
        seen.epoch, seen.mmd = epoch, mmd if mmd is not None else seen.mmd

    def ended(self, key: str, state: str, detail: str) -> None:
        """A trial is done or failed; this is a line of its own, piped or not."""
        self.states[key] = state
        self.seen.pop(key, None)
        finished = sum(each in ("done", "failed") for each in self.states.values())
        self.console.print(
            f"[{finished}/{len(self.states)}] {self.planned[key]}: {state}, {detail}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    def table(self) -> Table:
        """State, speed and MMD per cell and arm."""
        table = Table(title=f"{time.monotonic() - self.start:.0f} s", title_justify="left")
        _columns(table, (*STATES, "epochs/s", "MMD now"))
        running: dict[tuple[str, str], list[_Seen]] = {}
        for each in self.places:
            if each.key in self.seen:
                running.setdefault((each.cell_name, each.arm), []).append(self.seen[each.key])
        for (cell, arm), number in counts(self.places, self.states).items():
            table.add_row(cell, arm, *_row(number), *_now(running.get((cell, arm), [])))
        return table


def state_table(planned: list[Planned], states: Mapping[str, str]) -> Table:
    """How many replicates of each cell and arm are done, running, failed, pending."""
    table = Table()
    _columns(table, STATES)
    for (cell, arm), number in counts(planned, dict(states)).items():
        table.add_row(cell, arm, *_row(number))
    return table


def _columns(table: Table, numbers: tuple[str, ...]) -> None:
    for title in ("cell", "arm"):
        table.add_column(title, overflow="fold")
    for title in numbers:
        table.add_column(title, justify="right", overflow="fold")


def _row(number: Counter[str]) -> list[str]:
    return [str(number[state] or "") for state in STATES]


def _now(running: list[_Seen]) -> tuple[str, str]:
    if not running:
        return "", ""
    now = time.monotonic()
    speed = sum((seen.epoch - seen.first) / max(now - seen.since, 1e-9) for seen in running)
    mmds = [seen.mmd for seen in running if seen.mmd is not None]
    return f"{speed:.1f}", f"{sum(mmds) / len(mmds):.3g}" if mmds else ""
