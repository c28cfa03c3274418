"""All full scores of the arms against their floors."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.figures.style import REFERENCE, blank_figure, legend, styled
from analysis.ink import INK
from analysis.quality import ORDER, OWN, QUALITY

_EDGE = 1.5  # decades beyond the shaded order that are always shown
_ROW = 0.19  # inches


def profile_figure(summary: pd.DataFrame, *, colours: dict[str, str]) -> Figure:
    """Fault of every score over its floor's fault, one row per score and one point per arm and cell.

    `summary` is `quality.summarise`, one epoch per cell; only the arms' own priors are drawn. 1: as near to the
    ideal as real images; shaded: within the floor's order. An arrow marks a point beyond the axis: no fault at all,
    or one where real images have none. Scores without a floor have a panel of their own, from 0 to 1.
    """
    own = summary[(summary["prior"] == OWN) & summary["value"].notna()]
    if own.empty:
        return blank_figure("No full scores yet: no trial has scores.parquet.")
    arms = [arm for arm in colours if (own["arm"] == arm).any()]
    floored = [name for name in QUALITY if own.loc[own["score"] == name, "floor"].notna().any()]
    alone = [name for name in QUALITY if name not in floored and (own["score"] == name).any()]
    with styled():
        heights = [max(len(names), 1.2) for names in (floored, alone) if names]
        figure = Figure(figsize=(5.6, 1.3 + _ROW * sum(heights) + 0.5 * len(heights)), layout="constrained")
        grid = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        if floored:
            _draw_floored(grid[0], own, floored, arms, colours)
        if alone:
            axes = grid[-1]
            _rows(axes, alone)
            for x, y, arm in _points(own, alone, arms, "value"):
                axes.plot(x, y, "o", color=colours[arm], alpha=0.75, ms=4.5, mew=0)
            axes.set(xlim=(-0.03, 1.03), xlabel="no floor; 1 is ideal")
        for arm in arms:
            grid[0].plot([], [], "o", color=colours[arm], ms=5, label=arm)
        legend(figure, grid[0], above=True)
        sns.despine(figure, left=True)
        return figure


def _draw_floored(axes: Axes, own: pd.DataFrame, names: list[str], arms: list[str], colours: dict[str, str]) -> None:
    known = own[own["score"].isin(names) & own["floor_fault"].notna()]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = known["fault"].to_numpy(float) / known["floor_fault"].to_numpy(float)
    ratio[(known["fault"] == 0) & (known["floor_fault"] == 0)] = 1.0  # both perfect
    known = known.assign(ratio=ratio)
    inside = np.log10(ratio[np.isfinite(ratio) & (ratio > 0)])
    low, high = np.clip([inside.min(), inside.max()], -3, 5) if len(inside) else (0.0, 0.0)
    left, right = 10 ** min(low - 0.3, -_EDGE), 10 ** max(high + 0.3, _EDGE)
    _rows(axes, names)
    axes.set_xscale("log")
    axes.axvspan(1 / ORDER, ORDER, color=REFERENCE, alpha=0.18, linewidth=0)
    axes.axvline(1, color=INK, linewidth=1)
    for x, y, arm in _points(known, names, arms, "ratio"):
        marker = "<" if x < left else ">" if x > right else "o"
        axes.plot(np.clip(x, left, right), y, marker, color=colours[arm], alpha=0.75, ms=4.5, mew=0, clip_on=False)
    axes.set(xlim=(left, right), xlabel="fault / fault of real images (shaded: its order)")
    axes.xaxis.set_major_locator(LogLocator(numticks=8))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def _points(frame: pd.DataFrame, names: list[str], arms: list[str], column: str) -> list[tuple[float, float, str]]:
    """x, y and arm of every point; the arms of a score lie one under the other."""
    found = []
    for arm, score, x in frame[["arm", "score", column]].itertuples(index=False):
        if arm in arms and score in names:
            offset = (arms.index(arm) - (len(arms) - 1) / 2) * 0.6 / len(arms)
            found.append((float(x), names.index(score) + offset, str(arm)))
    return found


def _rows(axes: Axes, names: list[str]) -> None:
    units = [QUALITY[name].unit for name in names]
    labels = [QUALITY[name].label + (f" ({unit})" if unit else "") for name, unit in zip(names, units, strict=True)]
    axes.set_yticks(range(len(names)), labels)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0, labelsize=8)
    groups = [QUALITY[name].group for name in names]
    for row in range(1, len(names)):
        edge = groups[row] != groups[row - 1]
        axes.axhline(row - 0.5, color=INK, linewidth=0.7 if edge else 0.3, alpha=0.5 if edge else 0.15)
