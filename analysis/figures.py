"""Figures: every function takes frames and returns a matplotlib Figure; `svg` and `png` embed one in HTML.

Text and axes are drawn in INK, which `svg` turns into the colour of the page's text, so that a figure reads
in light and dark.
"""

import base64
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis.effects import signed_percent
from analysis.inference import Interval, t_band

INK = "#1c1e21"
POINTS = 400  # of a drawn curve: two per millimetre at the width of a report
_STYLE: dict[Any, Any] = {
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
}
_SVG: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "analysis"}  # the page's font; same figure, same bytes
# per cent that may label an axis of relative improvement, the most wanted first
_PERCENT = [0, 100, -50, 300, -75, 900, -90, 50, -33, 25, -20, 10, -10, 200, -67, 20, 5, -5, 15, 30, 2, -2, 1, -1]


@contextmanager
def _styled() -> Iterator[None]:
    with sns.axes_style("ticks"), sns.plotting_context("notebook", font_scale=0.75), rc_context(_STYLE):
        yield


def arm_colours(arms: Sequence[str]) -> dict[str, str]:
    """One colour per arm, by its place in the study file; told apart with any colour vision up to ten arms."""
    return dict(zip(arms, sns.color_palette("colorblind", len(arms)).as_hex(), strict=True))


def mmd_figure(
    epochs: pd.DataFrame,
    scores: pd.DataFrame,
    *,
    colours: dict[str, str],
    window: int,
    horizons: Sequence[int],
    title: str = "",
) -> Figure:
    """MMD against epoch of one cell's arms.

    `epochs` has one row per replicate and scored epoch (arm, replicate, epoch, mmd_v, floor_v), `scores` the
    final scores at the longest horizon (arm, mmd_v); `window` is in epochs. The band is the t interval of the
    mean log MMD over replicates, of rolling means.
    """
    with _styled():
        figure = Figure(figsize=(5.2, 3.5), layout="constrained")
        axes = figure.add_subplot()
        for arm, colour in colours.items():
            if (epochs["arm"] == arm).any():
                _draw_arm(axes, epochs[epochs["arm"] == arm], arm, colour, window)
            final = scores.loc[scores["arm"] == arm, "mmd_v"].dropna().astype(float)
            if len(final):
                level = float(np.exp(np.log(final).mean()))
                axes.hlines(level, 0, max(horizons), colour, "--", linewidth=1, alpha=0.9)
        floor = epochs["floor_v"].astype(float).mean()
        if floor > 0:
            axes.axhline(floor, color=INK, linestyle=":", linewidth=1.2, label="floor")
        axes.axvspan(max(0, max(horizons) - window), max(horizons), color=INK, alpha=0.08, linewidth=0)
        for horizon in horizons[:-1]:
            axes.axvline(horizon, color=INK, alpha=0.25, linewidth=0.8)
        axes.set(xlabel="epoch", ylabel="MMD (Eq. 9)", title=title, xlim=(0, max(horizons)))
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]))
        # a band over two replicates can be decades wide and must not set the scale, so the curves do
        levels = epochs["mmd_v"].astype(float)
        levels = levels[np.isfinite(levels) & (levels > 0)]
        if len(levels):
            low = min(levels.min(), floor) if floor > 0 else levels.min()
            _log_scale(axes, low / 1.2, levels.max() * 1.2)
            longest = max(map(len, axes.get_legend_handles_labels()[1]))
            figure.legend(loc="outside lower center", ncols=max(1, 96 // (longest + 8)), frameon=False)
        else:
            axes.set_yticks([])
            axes.text(0.5, 0.5, "no scored epoch yet", transform=axes.transAxes, ha="center")
        sns.despine(figure)
        return figure


def _draw_arm(axes: Axes, epochs: pd.DataFrame, arm: str, colour: str, window: int) -> None:
    table = epochs.pivot(index="epoch", columns="replicate", values="mmd_v").astype(float)
    table = table.where(table > 0)  # the report names trials with other values
    shown = table.iloc[_thin(len(table))]
    marker = "." if len(shown) < 15 else ""
    axes.plot(shown.index, shown, color=colour, alpha=0.3, linewidth=0.6, marker=marker)
    every_epoch = table.reindex(range(1, int(table.index.max()) + 1))
    rolling = every_epoch.rolling(window, min_periods=1).mean().loc[table.index].where(table.notna())
    mean, low, high = np.exp(t_band(np.log(rolling.iloc[_thin(len(table))])))
    count = table.shape[1]
    label = f"{arm} ({count} replicate{'s' if count > 1 else ''})"
    axes.plot(shown.index, mean, color=colour, linewidth=1.8, label=label)
    axes.fill_between(shown.index, low, high, color=colour, alpha=0.2, linewidth=0)


def _thin(length: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Positions of at most POINTS of `length` rows, the first and the last among them."""
    return np.unique(np.linspace(0, length - 1, min(length, POINTS)).round().astype(int))


def _log_scale(axes: Axes, low: float, high: float) -> None:
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high / low > 8 else MaxNLocator(6))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def improvement_figure(
    pairs: pd.DataFrame, cells: pd.DataFrame, pooled: dict[str, Interval], *, colours: dict[str, str]
) -> Figure:
    """Relative improvement (Eq. 10) per cell at one horizon: pairs as points, mean and t interval, and pooled.

    `pairs` (arm, cell, d) and `cells` (arm, cell, d, low, high) hold log ratios of that horizon; `pooled` is
    by arm and may be empty. Positions are log ratios, labels per cent. An interval that leaves the axis ends
    in an arrow.
    """
    arms = [arm for arm in colours if (cells["arm"] == arm).any()]
    rows = list(dict.fromkeys(cells["cell"]))
    labels = [*(row.replace(", ", ",\n") for row in rows), *(["pooled\nover cells"] if pooled else [])]
    edges = np.abs([*pairs["d"], *cells["d"], *(each.estimate for each in pooled.values())]).astype(float)
    reach = max(3 * np.nanmax(edges, initial=0.05), 0.2)
    ends = [*pairs["d"], *cells["d"], *cells["low"], *cells["high"]]
    ends += [end for each in pooled.values() for end in (each.low, each.high)]
    left, right = (float(each(np.clip([*ends, 0.0], -reach, reach))) for each in (np.nanmin, np.nanmax))
    left, right = left - 0.08 * (right - left), right + 0.08 * (right - left)
    with _styled():
        figure = Figure(figsize=(5.2, 0.9 + (0.28 + 0.16 * len(arms)) * len(labels)), layout="constrained")
        axes = figure.add_subplot()
        axes.axvline(0, color=INK, linewidth=1)
        if pooled:
            axes.axhline(len(rows) - 0.5, color=INK, linewidth=0.6, alpha=0.5)
        for index, arm in enumerate(arms):
            offset = (index - (len(arms) - 1) / 2) * 0.7 / len(arms)
            for row, cell in enumerate(rows):
                met = pairs[(pairs["arm"] == arm) & (pairs["cell"] == cell)]
                below = np.full(len(met), row + offset + 0.2 / len(arms))
                axes.plot(met["d"], below, "o", color=colours[arm], alpha=0.6, ms=4, mew=0)
                here = cells[(cells["arm"] == arm) & (cells["cell"] == cell)]
                for d, low, high in here[["d", "low", "high"]].itertuples(index=False):
                    _draw_interval(axes, row + offset, d, low, high, (left, right), colours[arm], "|")
            if arm in pooled:
                each = pooled[arm]
                _draw_interval(
                    axes, len(rows) + offset, each.estimate, each.low, each.high, (left, right), colours[arm], "D"
                )
            axes.plot([], [], "-", color=colours[arm], linewidth=2, label=arm)
        axes.set_yticks(range(len(labels)), labels)
        axes.set(xlim=(left, right), ylim=(len(labels) - 0.5, -0.5))
        axes.set_xlabel("relative improvement (Eq. 10); right of 0: better than the baseline")
        ticks = _percent_ticks(left, right)
        axes.xaxis.set_major_locator(FixedLocator([float(np.log1p(each / 100)) for each in ticks]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda d, _: signed_percent(d)))
        axes.tick_params(axis="y", length=0)
        if len(arms) > 1:
            figure.legend(loc="outside upper center", ncols=4, frameon=False)
        sns.despine(figure, left=True)
        return figure


def _draw_interval(
    axes: Axes, y: float, d: float, low: float, high: float, view: tuple[float, float], colour: str, marker: str
) -> None:
    axes.plot(d, y, marker, color=colour, ms=6 if marker == "D" else 13, mew=2)
    if np.isfinite([low, high]).all():
        axes.hlines(y, max(low, view[0]), min(high, view[1]), colour, linewidth=2)
        for end, gone, arrow in [(view[0], low < view[0], "<"), (view[1], high > view[1], ">")]:
            if gone:
                axes.plot(end, y, arrow, color=colour, ms=6, clip_on=False)


def _percent_ticks(left: float, right: float) -> list[int]:
    chosen: list[int] = []
    for each in _PERCENT:
        d = np.log1p(each / 100)
        apart = all(abs(d - np.log1p(other / 100)) > (right - left) / 10 for other in chosen)
        if left <= d <= right and apart:
            chosen.append(each)
    return sorted(chosen)


def svg(figure: Figure) -> str:
    """The figure as an SVG element for an HTML page, without ids, links or a fixed ink."""
    buffer = io.StringIO()
    with rc_context(_SVG):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r' id="[A-Za-z2]+_\d+"', "", text)
    return text.replace(INK, "currentColor")


def png(figure: Figure) -> str:
    """The figure as a data URL of a PNG at twice the screen's resolution, on white."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=2 * 96, facecolor="white")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
