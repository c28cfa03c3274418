"""Pages about data: everything that a reader needs is on them."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.data_sheets import draw_histogram, patch_sheet, scan_sheet

CHANNELS = [
    {"name": "iq", "unit": "share", "full_scale": 1.0, "limit": 1.0, "sentinel": None},
    {"name": "phase", "unit": "class", "full_scale": 3.0, "limit": 3.0, "sentinel": None},
    {"name": "kam", "unit": "deg", "full_scale": 3.5, "limit": 3.0, "sentinel": 3.5},
    {"name": "ks_deviation", "unit": "deg", "full_scale": 20.0, "limit": 15.0, "sentinel": 20.0},
    {"name": "mask", "unit": "", "full_scale": 1.0, "limit": 1.0, "sentinel": None},
]
KEY = np.zeros((20, 24, 4), np.uint8), [("001", 0.0, 20.0), ("101", 24.0, 20.0), ("111", 20.0, 0.0)]


def words(figure: Figure) -> set[str]:
    figure.draw_without_rendering()
    return {text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))}  # type: ignore[arg-type]


def axes_inside(figure: Figure) -> bool:
    boxes = [ax.get_position() for ax in figure.axes]
    return all(-0.01 < edge < 1.01 for box in boxes for edge in (box.x0, box.x1, box.y0, box.y1))


def test_a_scan_sheet_has_map_key_channels_histograms_and_record() -> None:
    for tall, wide in ((30, 80), (80, 30), (40, 40)):
        pixels = np.random.default_rng(0).integers(0, 256, (4, tall, wide)).astype(np.uint8)
        colours = np.zeros((tall, wide, 3), np.uint8)
        figure = scan_sheet("map.ang", pixels, CHANNELS[:4], 0.5, colours, KEY, ["noise 3 %", "grains 5 deg"])
        assert {"map.ang", "orientation, IPF-Z", "001", "101", "111", "KAM", "KS deviation", "noise 3 %"} <= words(
            figure
        )
        assert any(word.endswith("µm") for word in words(figure))
        assert axes_inside(figure)


def test_a_patch_sheet_has_histograms_of_each_label() -> None:
    rng = np.random.default_rng(0)
    groups = [(label, rng.integers(0, 256, (2, 5, 16, 16)).astype(np.uint8)) for label in ("ferrite", "bainite")]
    counts = {
        CHANNELS[k]["name"]: {label: np.bincount(images[:, k].ravel(), minlength=256) for label, images in groups}
        for k in (2, 3)
    }
    figure = patch_sheet(groups, CHANNELS, 0.25, counts, ["12 maps"])  # type: ignore[arg-type]
    found = words(figure)
    assert {"ferrite", "bainite", "12 maps", "KAM (deg)", "KS deviation (deg)"} <= found
    assert axes_inside(figure)


def test_a_histogram_is_a_density_and_says_what_it_leaves_out() -> None:
    """Half of the pixels at 1 deg, a quarter at the limit, a quarter without measurement."""
    counts = np.zeros(256, np.int64)
    counts[round(1 / 3.5 * 255)], counts[218], counts[255] = 50, 25, 25
    ax: Axes = Figure().add_subplot()
    draw_histogram(ax, CHANNELS[2], {"steel": counts})
    values, edges, _ = ax.patches[0].get_data()  # type: ignore[attr-defined]
    assert np.sum(values * np.diff(edges)) == pytest.approx(0.5)
    assert edges[values.argmax()] <= 1 <= edges[values.argmax() + 1] + 0.014
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [  # type: ignore[union-attr]
        "steel: 25.0% at 3 or above, 25.0% noise"
    ]
