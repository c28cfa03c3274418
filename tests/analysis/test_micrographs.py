import io
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.errors import ResultsError
from analysis.micrographs import contact_sheet, draw_channel

CHANNELS: list[dict[str, Any]] = [
    {"name": "iq", "unit": "share", "full_scale": 1.0, "limit": 1.0, "sentinel": None},
    {"name": "phase", "unit": "class", "full_scale": 3.0, "limit": 3.0, "sentinel": None},
    {"name": "kam", "unit": "deg", "full_scale": 3.5, "limit": 3.0, "sentinel": 3.5},
    {"name": "ks_deviation", "unit": "deg", "full_scale": 20.0, "limit": 15.0, "sentinel": 20.0},
    {"name": "mask", "unit": "", "full_scale": 1.0, "limit": 1.0, "sentinel": None},
]


def drawn(channel: dict[str, Any], *pixels: int) -> np.ndarray:
    """The colours (pixels, 4) that bytes of a channel get."""
    image = draw_channel(Figure().add_subplot(), np.array([pixels], np.uint8), channel)
    return np.asarray(image.to_rgba(image.get_array()))[0]


def test_angles_are_drawn_on_fixed_scales_with_the_sentinel_apart() -> None:
    for channel, limit, between, missing in ((CHANNELS[2], 218, (225, 250), 255), (CHANNELS[3], 191, (200, 240), 255)):
        colours = drawn(channel, 0, limit, *between, missing)
        np.testing.assert_array_equal(colours[1], colours[2])  # nearer to the limit
        np.testing.assert_array_equal(colours[3], colours[4])  # nearer to the sentinel
        assert len({tuple(colour) for colour in colours}) == 3
        np.testing.assert_array_equal(drawn(channel, 0)[0], colours[0])  # the scale does not follow the image


def test_classes_are_drawn_as_the_nearest() -> None:
    phases = drawn(CHANNELS[1], 0, 40, 50, 85, 120, 170, 220, 255)
    np.testing.assert_array_equal(phases[[0, 2, 4, 6]], phases[[1, 3, 3, 7]])
    assert len({tuple(colour) for colour in phases}) == 4
    masks = drawn(CHANNELS[4], 0, 120, 135, 255)
    np.testing.assert_array_equal(masks[[0, 3]], masks[[1, 2]])


def test_an_unknown_channel_is_drawn_on_its_own_scale() -> None:
    gos = {"name": "gos", "unit": "deg", "full_scale": 10.0, "limit": 8.0, "sentinel": 10.0}
    colours = drawn(gos, 0, 100, 200, 255)
    assert len({tuple(colour) for colour in colours}) == 4


def test_contact_sheet_names_groups_channels_units_and_scale() -> None:
    rng = np.random.default_rng(0)
    groups = [
        (label, rng.integers(0, 256, (count, 5, 20, 20), np.uint8)) for label, count in (("real", 3), ("qcbm", 2))
    ]
    figure = contact_sheet(groups, CHANNELS, step_um=0.25)
    words = {text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))}  # type: ignore[arg-type]
    expected = {"real", "qcbm", "image quality", "phase", "KAM", "KS deviation", "mask", "deg", "noise", "n/a", "2 µm"}
    assert expected <= words
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    assert picture.getvalue().startswith(b"\x89PNG")


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(ResultsError, match="one patch"):
        contact_sheet([("real", np.zeros((0, 5, 8, 8), np.uint8))], CHANNELS)
