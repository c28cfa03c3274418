"""What all figures share: ink, one colour per arm, axes of MMD, of relative improvement and of shares.

Text and axes are drawn in INK on no background; `analysis.figures.files` turns INK into the colour of the page's text,
so that a figure reads in light and dark.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from analysis.effects import signed_percent
from analysis.ink import inked

REFERENCE = "#8a8f96"  # published ranges and shaded regions: grey that shows on white and on black
POINTS = 400  # of a drawn curve: two per millimetre at the width of a report
PANEL = (5.2, 3.5)  # inches
_STYLE: dict[Any, Any] = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "legend.frameon": False,
}
# per cent that may label an axis of relative improvement, the most wanted first
_PERCENT = [0, 100, -50, 300, -75, 900, -90, 50, -33, 25, -20, 10, -10, 200, -67, 20, 5, -5, 15, 30, 2, -2, 1, -1]


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the style of all figures."""
    with sns.axes_style("ticks"), sns.plotting_context("notebook", font_scale=0.75), inked(), rc_context(_STYLE):
        yield


def arm_colours(arms: Sequence[str]) -> dict[str, str]:
    """One colour per arm, by its place in the study file; told apart with any colour vision up to ten arms.

    From the eleventh on the colours come again, darker.
    """
    palette = np.array(sns.color_palette("colorblind", 10))
    shades = [palette * 0.55**cycle for cycle in range(-(-len(arms) // len(palette)))]
    colours = np.concatenate(shades or [palette])[: len(arms)]
    return dict(zip(arms, sns.color_palette([tuple(each) for each in colours]).as_hex(), strict=True))


def panels(titles: Sequence[str], size: tuple[float, float] = PANEL) -> tuple[Figure, list[Axes]]:
    """A figure with one panel of `size` inches per title, one beside the other, two from the second on."""
    columns = min(len(titles), 2) or 1
    rows = -(-len(titles) // columns) or 1
    figure = Figure(figsize=(columns * size[0], rows * size[1]), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for unused in grid[len(titles) :]:
        unused.set_axis_off()
    for axes, title in zip(grid, titles, strict=False):
        axes.set_title(title)
    sns.despine(figure)
    return figure, list(grid[: len(titles)])


def blank(axes: Axes, why: str) -> None:
    """An empty panel that says why it is empty."""
    axes.set(xticks=[], yticks=[])
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", wrap=True)


def blank_figure(why: str) -> Figure:
    """A figure that says why there is none."""
    with styled():
        figure = Figure(figsize=(PANEL[0], 1.2))
        axes = figure.add_subplot()
        blank(axes, why)
        sns.despine(figure, left=True, bottom=True)
        return figure


def legend(figure: Figure | SubFigure, *drawn: Axes, above: bool = False) -> None:
    """One legend for all panels, below or above them, in as many columns as fit; a name stands in it once."""
    found: dict[str, Any] = {}
    for axes in drawn:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        room = 15 * figure.bbox.width / figure.dpi  # characters of a line
        columns = max(1, int(room // (max(map(len, found)) + 6)))
        place: Any = "outside upper center" if above else "outside lower center"
        figure.legend([*found.values()], [*found], loc=place, ncols=columns)


def thin(length: int, most: int = POINTS) -> NDArray[np.intp]:
    """Positions of at most `most` of `length` rows, the first and the last among them."""
    return np.unique(np.linspace(0, length - 1, min(length, most)).round().astype(np.intp))


def epoch_axis(axes: Axes, last: int) -> None:
    """Epochs from 0 to `last`, with whole numbers."""
    axes.set(xlabel="epoch", xlim=(0, last))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]))


def log_axis(axes: Axes, low: float, high: float) -> None:
    """A vertical log axis with plain numbers, also where it spans less than a decade."""
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high / low > 8 else MaxNLocator(6))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def percent_axis(axis: Axis, low: float, high: float) -> None:
    """Label log ratios d between low and high as relative improvement in per cent (Eq. 10)."""
    chosen: list[float] = []
    for each in _PERCENT:
        d = float(np.log1p(each / 100))
        if low <= d <= high and all(abs(d - other) > (high - low) / 10 for other in chosen):
            chosen.append(d)
    axis.set_major_locator(FixedLocator(sorted(chosen)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda d, _: signed_percent(d)))


def reach_of(estimates: Sequence[float], ends: Sequence[float]) -> tuple[float, float]:
    """The part of an axis of log ratios to show: all estimates and zero, and interval ends that are not far off."""
    reach = max(3 * float(np.nanmax(np.abs([*estimates]), initial=0.05)), 0.2)
    values = np.array([*estimates, *ends, 0.0], dtype=float)
    shown = np.clip(values[~np.isnan(values)], -reach, reach)
    low, high = float(shown.min()), float(shown.max())
    room = 0.08 * max(high - low, 0.05)
    return low - room, high + room
