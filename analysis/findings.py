"""What the figures and sections of one study share, each worked out once and only when asked for."""

from functools import cached_property

import pandas as pd

from analysis import export, quality
from analysis.confirm import confirmed
from analysis.effects import Comparison, compare
from analysis.figures import arm_colours, smooth
from analysis.gains import GainsSearch, read_gains
from analysis.ink import INK
from analysis.published import PUBLISHED, Published
from analysis.qpu_runs import QpuRun, qpu_runs
from analysis.records import Plan
from analysis.results import Results

ROLLING, FINAL = 100, 500  # epochs, of Fig. 3: rolling mean, and final line


class Findings:
    """The frames and settings behind the pages and figures of one study."""

    def __init__(self, results: Results) -> None:
        self.results = results

    @property
    def plan(self) -> Plan:
        return self.results.plan

    @property
    def horizon(self) -> int:
        """The longest horizon, epochs."""
        return max(self.plan.horizons)

    @property
    def windows(self) -> tuple[int, int]:
        """Rolling mean and final line in epochs: those of Fig. 3, or the study's window where horizons are short."""
        window = min(self.plan.window, self.horizon)
        return (ROLLING, FINAL) if self.horizon >= 2 * FINAL else (window, window)

    @cached_property
    def colours(self) -> dict[str, str]:
        """The one colour of every arm."""
        return arm_colours(self.plan.arms)

    def colour(self, run: QpuRun) -> str:
        """That of the arm of a final trial; ink where the plan has no such arm."""
        return self.colours.get(run.described["arm"], INK)

    @cached_property
    def published(self) -> tuple[str, Published] | None:
        """The microstructure and what the paper reports of it; None where it reports nothing."""
        microstructure = str(self.plan.data.get("microstructure"))
        return (microstructure, PUBLISHED[microstructure]) if microstructure in PUBLISHED else None

    @cached_property
    def comparison(self) -> Comparison:
        """Every arm against the baseline."""
        return compare(self.results)

    @cached_property
    def confirmed(self) -> pd.DataFrame | None:
        """Chosen cells on fresh replicates (see `confirm.confirmed`); None where the study file declares no choice."""
        return confirmed(self.results)

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """See `Results.scored_epochs`."""
        return self.results.scored_epochs()

    @cached_property
    def smoothed(self) -> pd.DataFrame:
        """See `figures.smooth`, over the rolling window of Fig. 3."""
        return smooth(self.epochs, self.windows[0])

    @cached_property
    def trials(self) -> pd.DataFrame:
        """See `export.trials`."""
        return export.trials(self.results)

    @cached_property
    def qpu_runs(self) -> list[QpuRun]:
        """See `qpu_runs.qpu_runs`."""
        return qpu_runs(self.results)

    @cached_property
    def updates(self) -> pd.DataFrame:
        """See `export.updates`."""
        return export.updates(self.results)

    @cached_property
    def gains(self) -> GainsSearch | None:
        """The search of SPSA's gains; None where there was none."""
        return read_gains(self.results.folder)

    @cached_property
    def quality(self) -> pd.DataFrame:
        """Means of the full scores at the last epoch that all arms of a cell have (see `quality.summarise`)."""
        return quality.summarise(quality.latest(quality.full_scores(self.results)))

    @cached_property
    def channels(self) -> dict[str, pd.DataFrame]:
        """By cell with full scores: see `quality.channel_means`, at the epoch of `quality`."""
        last = self.quality.drop_duplicates("cell")
        places = zip(last["cell"], last["epoch"], strict=True)
        return {cell: quality.channel_means(self.results, cell, epoch) for cell, epoch in places}

    @property
    def unread(self) -> dict[str, str]:
        """See `Results.unread`, of every table behind the pages and figures: they are read for it."""
        _ = self.trials, self.updates, self.quality, self.channels
        return self.results.unread
