"""Pictures of patches and maps: every channel on its own fixed scale, in physical units.

Generated pixels lie anywhere between a channel's legal values. Each is drawn as what it is nearest to: phase and mask
as the nearest class, an angle between the limit and the sentinel as the nearer of the two. So a picture shows what a
reader would take a pixel for; how many pixels are illegal is a number, not a picture.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from analysis.errors import ResultsError
from analysis.ink import inked

Pixels = NDArray[np.uint8]
Channel = Mapping[str, Any]  # name, unit, full_scale, limit, sentinel: as in the Parquet footer

_TITLES = {"iq": "image quality", "phase": "phase", "kam": "KAM", "ks_deviation": "KS deviation", "mask": "mask"}
# discrete channels: a colour and a word per class
_CLASSES = {
    "phase": (("#202020", "noise"), ("#4477aa", "BCC"), ("#ddaa33", "FCC"), ("#bbbbbb", "other")),
    "mask": (("#dddddd", "around"), ("#225522", "grain")),
}
# continuous channels: colours, the colour of "no measurement" and its word
_SCALES = {
    "iq": ("gray", "#000000", ""),
    "kam": ("viridis", "#202020", "noise"),
    "ks_deviation": ("plasma", "#d0d0d0", "n/a"),
}
_OTHER_SCALE = ("cividis", "#d0d0d0", "n/a")

_TILE, _GAP = 1.15, 0.05  # inches: a patch, and the space between patches
_LEFT, _RIGHT, _TOP, _BOTTOM, _BETWEEN = 0.35, 0.12, 0.3, 0.52, 0.14  # inches around and between groups
FONT = 7.5


def draw_channel(ax: Axes, pixels: Pixels, channel: Channel, step_um: float | None = None) -> AxesImage:
    """Draw one channel (H, W) of a patch or map into `ax`, with a scale bar where the step is known."""
    image = _paint(ax, pixels, channel, (0, pixels.shape[1], pixels.shape[0], 0))
    if step_um:
        draw_scale_bar(ax, pixels.shape[1], pixels.shape[0], step_um)
    return image


@inked()
def contact_sheet(
    rows: Sequence[tuple[str, Pixels]],
    channels: Sequence[Channel],
    step_um: float | None = None,
    below: float = 0.0,
) -> Figure:
    """Patches in rows grouped by label ("real", "bernoulli", ...), one column per channel, scales underneath.

    `rows`: label and patches (k, len(channels), H, W) of each group. `below`: inches left free under the scales.
    """
    rows = [(label, patches) for label, patches in rows if len(patches)]
    if not rows:
        raise ResultsError("a contact sheet needs one patch or more")
    tallest = [len(patches) * (_TILE + _GAP) - _GAP for _, patches in rows]
    width = _LEFT + len(channels) * (_TILE + 2 * _GAP) - 2 * _GAP + _RIGHT
    height = _TOP + sum(tallest) + (len(rows) - 1) * _BETWEEN + _BOTTOM + below
    figure = Figure(figsize=(width, height), dpi=150)
    bottom = height - _TOP
    for (label, patches), tall in zip(rows, tallest, strict=True):
        bottom -= tall
        middle = (bottom + tall / 2) / height
        figure.text(0.1 / width, middle, label, rotation=90, va="center", ha="left", fontsize=FONT + 1)
        for number, channel in enumerate(channels):
            left = _LEFT + number * (_TILE + 2 * _GAP)
            ax = figure.add_axes((left / width, bottom / height, _TILE / width, tall / height))
            _column(ax, patches[:, number], channel)
            if number == 0 and step_um:
                draw_scale_bar(ax, patches.shape[3], patches.shape[2], step_um)
            if label == rows[0][0]:
                ax.set_title(channel_title(channel), fontsize=FONT + 1, pad=4)
        bottom -= _BETWEEN
    for number, channel in enumerate(channels):
        left = _LEFT + number * (_TILE + 2 * _GAP)
        bar = figure.add_axes((left / width, (below + _BOTTOM - 0.2) / height, _TILE / width, 0.09 / height))
        draw_legend(bar, channel)
    return figure


def missing_word(channel: Channel) -> str:
    """What a channel calls pixels without measurement."""
    return _SCALES.get(channel["name"], _OTHER_SCALE)[2]


def channel_title(channel: Channel) -> str:
    """A channel's name for people."""
    return _TITLES.get(channel["name"], str(channel["name"]))


def _column(ax: Axes, patches: Pixels, channel: Channel) -> None:
    """Patches (k, H, W) below each other in one set of axes: many small axes are slow to draw."""
    tall, wide = patches.shape[1:]
    pitch = tall * (1 + _GAP / _TILE)
    for number, patch in enumerate(patches):
        top = number * pitch
        _paint(ax, patch, channel, (0, wide, top + tall, top))
    ax.set(xlim=(0, wide), ylim=((len(patches) - 1) * pitch + tall, 0))


def _paint(ax: Axes, pixels: Pixels, channel: Channel, extent: tuple[float, float, float, float]) -> AxesImage:
    values = pixels * (channel["full_scale"] / 255)
    limit, sentinel = channel["limit"], channel["sentinel"]
    if sentinel is not None:
        missing = values > (limit + sentinel) / 2
        values = np.where(missing, 2 * limit, np.minimum(values, limit))
    colours, norm = _scale(channel)
    ax.set_axis_off()
    return ax.imshow(values, cmap=colours, norm=norm, extent=extent, interpolation="nearest", aspect="auto")


def _scale(channel: Channel) -> tuple[Colormap, Normalize]:
    if channel["name"] in _CLASSES:
        classes = _CLASSES[channel["name"]]
        edges = np.arange(len(classes) + 1) - 0.5
        return ListedColormap([colour for colour, _ in classes]), BoundaryNorm(edges, len(classes))
    name, missing, _ = _SCALES.get(channel["name"], _OTHER_SCALE)
    return mpl.colormaps[name].with_extremes(over=missing), Normalize(0, channel["limit"])


def draw_legend(ax: Axes, channel: Channel) -> None:
    """The scale of a channel: classes by name, angles with their unit and the colour of "no measurement"."""
    colours, norm = _scale(channel)
    missing = channel["sentinel"] is not None
    figure = ax.get_figure()
    assert figure is not None
    bar = figure.colorbar(
        ScalarMappable(norm, colours),
        cax=ax,
        orientation="horizontal",
        extend="max" if missing else "neither",
        extendrect=True,
        extendfrac=0.25,
    )
    bar.outline.set_linewidth(0.4)
    limit = channel["limit"]
    ax.tick_params(labelsize=FONT - 1, length=2, pad=1.5, width=0.4)
    if channel["name"] in _CLASSES:
        words = [word for _, word in _CLASSES[channel["name"]]]
        bar.set_ticks(list(range(len(words))), labels=words)
        ax.tick_params(length=0, which="both")
    elif channel["name"] == "iq":
        bar.set_ticks([0, limit], labels=["low", "high"])
        first, last = ax.get_xticklabels()
        first.set_horizontalalignment("left")
        last.set_horizontalalignment("right")
    else:
        ticks = [limit * k / 3 for k in range(4)]
        bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        ax.text(0.5, -2.6, channel["unit"], transform=ax.transAxes, fontsize=FONT - 1, ha="center", va="center")
    if missing:
        word = missing_word(channel)
        # a line below the ticks: beside the last one there is no room
        ax.text(1.125, -2.6, word, transform=ax.transAxes, fontsize=FONT - 1, ha="center", va="center")


def draw_scale_bar(ax: Axes, width: int, height: int, step_um: float) -> None:
    """A bar of 1, 2 or 5 times a power of ten, about a third of the width, in the first patch's lower corner."""
    third = width * step_um / 2.5
    decade = 10.0 ** np.floor(np.log10(third))
    length_um = max(k * decade for k in (1, 2, 5) if k * decade <= third)
    length, pad = length_um / step_um, 0.06 * width
    thick = 0.03 * height
    bar = Rectangle((pad, height - pad - thick), length, thick, facecolor="white", edgecolor="black", linewidth=0.5)
    ax.add_patch(bar)
    ax.text(
        pad + length / 2,
        height - pad - 1.6 * thick,
        f"{length_um:g} µm",
        color="white",
        fontsize=FONT,
        ha="center",
        va="bottom",
        path_effects=[withStroke(linewidth=1.5, foreground="black")],
    )
