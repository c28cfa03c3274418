"""Relative improvement (Eq. 10): against the latent dimension (Fig. 4), and as a forest of cells and the pooled effect.

Positions are log ratios d = log(MMD_B / MMD_Q), labels per cent, so that half and double lie equally far from zero.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import REFERENCE, blank_figure, legend, panels, percent_axis, reach_of, styled
from analysis.inference import Interval
from analysis.ink import INK
from analysis.published import Published

MARKERS = "osD^vPX*"
NO_PAIRS = "No relative improvement yet: no pair of trials is scored."


def improvement_figure(
    frame: pd.DataFrame,
    *,
    colours: dict[str, str],
    published: tuple[str, Published] | None = None,
    only: str | None = None,
) -> Figure:
    """Relative improvement against the latent dimension (Fig. 4), one panel per arm.

    `frame`: one row per pair and per cell at one horizon: arm, latent_dim (or the cell's name where the grid has
    none), others (the cell's other grid values), replicate (missing in the rows of cells), d, low, high (of cells).
    `published`: microstructure and its range. `only`: the panel of one arm, on the axes that all have in common.
    """
    frame = frame[np.isfinite(frame["d"].astype(float))]
    if frame.empty:
        return blank_figure(NO_PAIRS)
    arms = [arm for arm in colours if (frame["arm"] == arm).any() and only in (None, arm)]
    places = sorted(frame["latent_dim"].unique(), key=lambda each: (isinstance(each, str), each))
    others = list(dict.fromkeys(frame["others"]))
    shown = published[1].log_ratios if published else ()
    view = reach_of([*frame["d"].astype(float), *shown], [*frame["low"].astype(float), *frame["high"].astype(float)])
    with styled():
        figure, grid = panels(arms, (max(5.2 / min(len(arms), 2), 3.6), 3.4))
        for axes, arm in zip(grid, arms, strict=True):
            axes.axhline(0, color=INK, linewidth=1)
            for number, other in enumerate(others):
                here = frame[(frame["arm"] == arm) & (frame["others"] == other)]
                middle = (number - (len(others) - 1) / 2) * 0.8 / len(others)
                x = np.array([places.index(each) for each in here["latent_dim"]]) + middle
                marker = MARKERS[number % len(MARKERS)]
                pairs = here["replicate"].notna().to_numpy()
                jitter = (here["replicate"].astype(float).to_numpy() % 5 - 2) * 0.05 / len(others)
                beside = (x + jitter - 0.2 / len(others))[pairs]
                axes.plot(beside, here["d"][pairs], marker, color=colours[arm], alpha=0.4, ms=4, mew=0)
                for at, row in zip(x[~pairs], here[~pairs].itertuples(), strict=True):
                    _interval(axes, at, row.d, row.low, row.high, view, colours[arm], marker, vertical=True)
                if len(others) > 1:
                    axes.plot([], [], marker, color=INK, ms=6, linestyle="", label=other)
            if published:
                _published(axes.axhspan, published)
            axes.set_xticks(range(len(places)), [str(each).replace(", ", "\n") for each in places])
            axes.set(xlim=(-0.6, len(places) - 0.4), ylim=view)
            axes.set_xlabel("latent dimension n (bits)" if not isinstance(places[0], str) else "cell")
            percent_axis(axes.yaxis, *view)
            axes.set_ylabel("relative improvement (Eq. 10)")
            if len(arms) == 1 and len(colours) <= 2:
                axes.set_title(f"{arm} against {next(each for each in colours if each != arm)}" if len(colours) == 2
                               else arm)  # fmt: skip
        legend(figure, *grid)
        return figure


def forest_figure(
    pairs: pd.DataFrame,
    cells: pd.DataFrame,
    pooled: Mapping[str, Interval],
    *,
    colours: dict[str, str],
    prediction: Mapping[str, Interval] | None = None,
    published: tuple[str, Published] | None = None,
) -> Figure:
    """Relative improvement per cell at one horizon: pairs as points, mean and t interval, and pooled over cells.

    `pairs` (arm, cell, d) and `cells` (arm, cell, d, low, high) hold log ratios of that horizon; `pooled` and
    `prediction` (the interval of another cell's effect) are by arm and may be empty. An interval that leaves the axis
    ends in an arrow.
    """
    cells = cells[np.isfinite(cells["d"].astype(float))]
    if cells.empty:
        return blank_figure(NO_PAIRS)
    prediction = prediction or {}
    arms = [arm for arm in colours if (cells["arm"] == arm).any()]
    rows = list(dict.fromkeys(cells["cell"]))
    labels = [*(row.replace(", ", ",\n") for row in rows), *(["pooled\nover cells"] if pooled else [])]
    intervals = [*pooled.values(), *prediction.values()]
    view = reach_of(
        [*pairs["d"].astype(float), *cells["d"].astype(float), *(each.estimate for each in pooled.values())],
        [*cells["low"], *cells["high"], *(end for each in intervals for end in (each.low, each.high))],
    )
    with styled():
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
                    _interval(axes, row + offset, d, low, high, view, colours[arm], "|")
            if arm in prediction:
                each = prediction[arm]
                _interval(axes, len(rows) + offset, np.nan, each.low, each.high, view, colours[arm], "", width=0.8)
            if arm in pooled:
                each = pooled[arm]
                _interval(axes, len(rows) + offset, each.estimate, each.low, each.high, view, colours[arm], "D")
            axes.plot([], [], "-", color=colours[arm], linewidth=2, label=arm)
        axes.set_yticks(range(len(labels)), labels)
        axes.set(xlim=view, ylim=(len(labels) - 0.5, -0.5))
        axes.set_xlabel("relative improvement (Eq. 10); right of 0: better than the baseline")
        percent_axis(axes.xaxis, *view)
        axes.tick_params(axis="y", length=0)
        if published:
            _published(axes.axvspan, published)
        if len(arms) > 1 or published:
            legend(figure, axes, above=True)
        sns.despine(figure, left=True)
        return figure


def _published(span: Callable[..., object], published: tuple[str, Published]) -> None:
    """A shaded range, by `axvspan` or `axhspan`."""
    name, each = published
    label = f"published, {name}: {each.low:+g} % to {each.high:+g} %".replace("-", "−")
    span(*each.log_ratios, color=REFERENCE, alpha=0.18, linewidth=0, label=label, zorder=0)


def _interval(
    axes: Axes,
    place: float,
    d: float,
    low: float,
    high: float,
    view: tuple[float, float],
    colour: str,
    marker: str,
    vertical: bool = False,
    width: float = 2.0,
) -> None:
    """An estimate with its interval at `place`, along the other axis; an end outside the view is an arrow."""

    def at(value: float) -> tuple[float, float]:
        return (place, value) if vertical else (value, place)

    size = {"D": 6, "|": 13}.get(marker, 5)
    if np.isfinite(d):
        axes.plot(*at(d), marker, color=colour, ms=size, mew=2 if marker == "|" else 0.8, markeredgecolor=colour)
    if np.isfinite([low, high]).all():
        ends = at(max(low, view[0])), at(min(high, view[1]))
        axes.plot(*zip(*ends, strict=True), "-", color=colour, linewidth=width, solid_capstyle="butt")
        arrows = "v^" if vertical else "<>"
        for end, gone, arrow in [(view[0], low < view[0], arrows[0]), (view[1], high > view[1], arrows[1])]:
            if gone:
                axes.plot(*at(end), arrow, color=colour, ms=6, clip_on=False)
