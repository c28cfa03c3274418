import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from qgan.ebsd import crystal, ipf
from qgan.ebsd.scan import BCC, NOISE, OTHER


def test_corners_are_red_green_and_blue() -> None:
    assert ipf.direction_colours(ipf.CORNERS).tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_equivalents_have_one_colour(seed: int) -> None:
    q = crystal.unit(np.random.default_rng(seed).normal(size=4))
    for axis in ipf.AXES:
        colours = ipf.ipf_colours(crystal.multiply(crystal.symmetries(), q), axis).astype(int)
        assert np.abs(colours - colours[0]).max() <= 1


def test_a_turned_cube_shows_what_lies_along_each_axis() -> None:
    """phi1 = 45 deg about the normal: [001] along z, a <101> along x and y."""
    q = crystal.from_euler(np.array([np.pi / 4, 0.0, 0.0]))[None]
    assert ipf.ipf_colours(q, "z").tolist() == [[255, 0, 0]]
    for axis in "xy":
        red, green, blue = ipf.ipf_colours(q, axis)[0]
        assert (green, blue) == (255, 0) and red < 5


def test_noise_and_other_phases_have_colours_of_their_own() -> None:
    q = np.tile(np.eye(4)[0], (1, 3, 1))
    colours = ipf.map_colours(q, np.array([[NOISE, BCC, OTHER]], np.uint8))[0]
    assert len({tuple(colour) for colour in colours.tolist()}) == 3
    assert colours[1].tolist() == [255, 0, 0]


def test_the_key_is_the_standard_triangle() -> None:
    picture, corners = ipf.ipf_key()
    assert [name for name, _, _ in corners] == ["001", "101", "111"]
    assert 0.3 < (picture[..., 3] > 0).mean() < 0.7
    for (_, column, row), colour in zip(corners, np.eye(3), strict=True):
        # a little way from the corner towards the middle of the triangle
        middle = np.array([np.mean([each[1] for each in corners]), np.mean([each[2] for each in corners])])
        x, y = (0.95 * np.array([column, row]) + 0.05 * middle).astype(int)
        assert picture[y, x, 3] == 255 and np.argmax(picture[y, x, :3]) == np.argmax(colour)
