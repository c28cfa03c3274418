"""Pages about data: a whole scan or a file of patches on one sheet, with histograms and what cleaning did."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.ink import INK, inked
from analysis.micrographs import (
    FONT,
    Channel,
    Pixels,
    channel_title,
    contact_sheet,
    draw_channel,
    draw_legend,
    draw_scale_bar,
    missing_word,
)

Counts = NDArray[np.int64]  # (256,), pixels of each byte
Key = tuple[NDArray[np.uint8], Sequence[tuple[str, float, float]]]  # picture (H, W, 4), corners: name, column, row

_COLOURS = ("#4477aa", "#cc6677", "#228833", "#aa3377", "#66ccee")  # of histograms, told apart by the colour-blind
_LINE = 0.145  # inches of a line of the record
_BINS = 60


@inked()
def scan_sheet(
    title: str,
    pixels: Pixels,
    channels: Sequence[Channel],
    step_um: float,
    colours: NDArray[np.uint8],
    key: Key,
    record: Sequence[str],
) -> Figure:
    """A map: orientations in inverse pole figure colours with their key, four channels, histograms, the record.

    `pixels` (4, H, W), `colours` (H, W, 3).
    """
    tall, wide = pixels.shape[1:]
    tile = min(3.4, 4.6 * wide / tall)  # inches across a map
    high = max(tile * tall / wide, 1.1)
    line = high + 0.85
    width = 2 * max(tile, 2.6) + 0.7
    room = _LINE * len(record) + 0.25
    height = 0.35 + 3 * line + room
    figure = Figure(figsize=(width, height), dpi=200)
    figure.text(0.5, 1 - 0.13 / height, title, ha="center", va="top", fontsize=FONT + 2)
    left = [0.2, width / 2 + 0.15]

    def axes(number: int) -> Axes:
        bottom = height - 0.35 - (number // 2 + 1) * line + 0.6
        return figure.add_axes((left[number % 2] / width, bottom / height, tile / width, tile * tall / wide / height))

    first = axes(0)
    first.imshow(colours, interpolation="nearest")
    first.set_title("orientation, IPF-Z", fontsize=FONT + 1, pad=4)
    first.set_axis_off()
    bottom = height - 0.35 - line + 0.6
    _draw_key(figure.add_axes(((left[0] + 0.25) / width, (bottom - 0.5) / height, 0.5 / width, 0.43 / height)), key)
    figure.text((left[0] + 1.1) / width, (bottom - 0.28) / height, _FRAME, fontsize=FONT - 1, va="center")
    for number, channel in enumerate(channels, 1):
        ax = axes(number)
        draw_channel(ax, pixels[number - 1], channel)
        ax.set_title(channel_title(channel), fontsize=FONT + 1, pad=4)
        if number == 1:
            draw_scale_bar(ax, wide, tall, step_um)
        bar_bottom = height - 0.35 - (number // 2 + 1) * line + 0.6 - 0.18
        bar = figure.add_axes((left[number % 2] / width, bar_bottom / height, tile / width, 0.1 / height))
        draw_legend(bar, channel)
    angles = [k for k, channel in enumerate(channels) if channel["sentinel"] is not None]
    bottom = height - 0.35 - 3 * line + 0.45
    start = left[1] + 0.15
    across = width - start - 0.2
    each = (across - 0.35 * (len(angles) - 1)) / max(len(angles), 1)
    for place, k in enumerate(angles):
        at = (start + place * (each + 0.35), bottom, each, high + 0.05)
        ax = figure.add_axes((at[0] / width, at[1] / height, at[2] / width, at[3] / height))
        draw_histogram(ax, channels[k], {"": np.bincount(pixels[k].ravel(), minlength=256)})
    _draw_record(figure, record)
    return figure


@inked()
def patch_sheet(
    groups: Sequence[tuple[str, Pixels]],
    channels: Sequence[Channel],
    step_um: float | None,
    counts: Mapping[str, Mapping[str, Counts]],
    record: Sequence[str],
) -> Figure:
    """Patches as a contact sheet, over histograms of all patches and the record.

    `counts`: channel name -> label -> how many pixels of the file have each byte.
    """
    room = _LINE * len(record) + 0.25
    figure = contact_sheet(groups, channels, step_um, below=1.9 + room)
    figure.set_dpi(200)
    width, height = figure.get_size_inches()
    shown = [channel for channel in channels if channel["name"] in counts]
    each = (width - 0.45 * len(shown) - 0.15) / max(len(shown), 1)
    for place, channel in enumerate(shown):
        at = (0.45 + place * (each + 0.45), room + 0.42, each, 1.15)
        ax = figure.add_axes((at[0] / width, at[1] / height, at[2] / width, at[3] / height))
        draw_histogram(ax, channel, counts[channel["name"]])
    _draw_record(figure, record)
    return figure


_FRAME = "crystal direction along the normal,\nin the frame of the file"


def draw_histogram(ax: Axes, channel: Channel, counts: Mapping[str, Counts]) -> None:
    """Density of a channel's measured values, per label, and the share of pixels without measurement."""
    limit, sentinel, full = channel["limit"], channel["sentinel"], channel["full_scale"]
    values = np.arange(256) * full / 255
    top = int(limit / full * 255 + 1e-9)  # the byte of the limit: it also holds what was clipped to it, told in words
    # bins of as many bytes each: otherwise they hold six and seven in turn
    bytes_each = max(1, top // _BINS)
    edges = np.arange(0, top + 1, bytes_each)
    measured = values <= limit if sentinel is not None else np.ones(256, bool)
    for colour, (label, count) in zip(_COLOURS * (len(counts) // len(_COLOURS) + 1), counts.items(), strict=False):
        total = max(count.sum(), 1)
        heights = np.add.reduceat(count[: edges[-1]], edges[:-1]) / total / (bytes_each * full / 255)
        words = [
            f"{count[top] / total:.1%} at {limit:g} or above",
            f"{count[~measured].sum() / total:.1%} {missing_word(channel)}",
        ]
        ax.stairs(
            heights,
            edges * full / 255,
            color=colour,
            linewidth=0.9,
            label=": ".join(filter(None, [label, ", ".join(words)])),
        )
    ax.set_xlim(0, limit)
    ax.set_ylim(0, ax.get_ylim()[1] * (1.12 + 0.1 * len(counts)))
    ax.set_xlabel(f"{channel_title(channel)} ({channel['unit']})", fontsize=FONT, labelpad=1.5)
    ax.set_ylabel(f"share of pixels per {channel['unit']}", fontsize=FONT - 1, labelpad=1.5)
    ax.tick_params(labelsize=FONT - 1, length=2, pad=1.5, width=0.4)
    ax.legend(fontsize=FONT - 2, frameon=False, loc="upper right", handlelength=1.2, borderpad=0.1, labelspacing=0.2)
    for side in ax.spines.values():
        side.set_linewidth(0.4)
    ax.spines[["top", "right"]].set_visible(False)


def _draw_key(ax: Axes, key: Key) -> None:
    picture, corners = key
    ax.imshow(picture, interpolation="bilinear")
    ax.set_axis_off()
    middle = picture.shape[1] / 2
    for name, column, row in corners:
        low = row > picture.shape[0] / 2
        shift = (-4 if column < middle else 4, 0) if low else (4, 1)
        ax.annotate(
            name,
            (column, row),
            shift,
            textcoords="offset points",
            ha="right" if low and column < middle else "left",
            va="center",
            fontsize=FONT - 1.5,
        )


def _draw_record(figure: Figure, record: Sequence[str]) -> None:
    """Lines of text at the foot of the page."""
    width, height = figure.get_size_inches()
    for number, words in enumerate(reversed(record)):
        figure.text(0.2 / width, (0.12 + number * _LINE) / height, words, fontsize=FONT - 1, va="bottom", color=INK)
