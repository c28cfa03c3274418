"""Inverse pole figure colours of cubic orientations: which crystal direction lies along an axis of the specimen.

Red, green and blue at [001], [101] and [111]; in between, each colour by how far the direction is from the opposite
side of the standard triangle, the strongest at full, as OIM and other software colour theirs.
"""

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd import crystal
from qgan.ebsd.scan import NOISE, OTHER
from qgan.ebsd.strips import in_strips

AXES = {"x": 0, "y": 1, "z": 2}  # of the specimen; z is the normal of the surface
CORNERS = crystal.unit(np.array([[0.0, 0, 1], [1, 0, 1], [1, 1, 1]]))
CORNER_NAMES = ("001", "101", "111")
_NOISE_COLOUR, _OTHER_COLOUR = (32, 32, 32), (187, 187, 187)
_KEY_SIZE = 240  # pixels of the key's height


def ipf_colours(orientations: crystal.Floats, axis: str = "z") -> NDArray[np.uint8]:
    """Colours (..., 3) of orientations (..., 4) along an axis of the specimen, in the frame of the file."""
    q = orientations.reshape(-1, 4)
    directions = in_strips(lambda each: _directions(each, AXES[axis]), np.empty((len(q), 3)), q)
    return direction_colours(directions).reshape(*orientations.shape[:-1], 3)


def map_colours(orientations: crystal.Floats, phase: NDArray[np.uint8], axis: str = "z") -> NDArray[np.uint8]:
    """Colours (H, W, 3) of a map: noise dark, phases that are not known to be cubic grey."""
    colours = ipf_colours(orientations, axis)
    colours[phase == NOISE] = _NOISE_COLOUR
    colours[phase == OTHER] = _OTHER_COLOUR
    return colours


def _directions(q: crystal.Floats, axis: int) -> crystal.Floats:
    """Column `axis` of the rotation matrices of q (n, 4): the specimen's axis seen from the crystal (n, 3)."""
    a, v = q[:, 0], q[:, 1:]
    e = np.eye(3)[axis]
    along = v[:, axis]
    return np.asarray((2 * a * a - 1)[:, None] * e + 2 * along[:, None] * v + 2 * a[:, None] * np.cross(v, e))


def direction_colours(directions: crystal.Floats) -> NDArray[np.uint8]:
    """Colours (n, 3) of crystal directions (n, 3), unit vectors."""
    return in_strips(_direction_colours, np.empty((len(directions), 3), np.uint8), directions)


def _direction_colours(directions: crystal.Floats) -> NDArray[np.uint8]:
    low, middle, high = np.sort(np.abs(directions), axis=1).T
    inside = np.stack([middle, low, high], axis=1)  # in the triangle x >= y >= 0, z >= x
    # a direction is a positive sum of the corners; the weights are its distances from the opposite sides
    weights = np.clip(inside @ np.linalg.inv(CORNERS), 0, None)
    strongest = weights.max(axis=1, keepdims=True)
    return np.asarray(np.rint(255 * np.sqrt(weights / np.maximum(strongest, 1e-12))), np.uint8)


def ipf_key() -> tuple[NDArray[np.uint8], list[tuple[str, float, float]]]:
    """A picture (H, W, 4) of the standard triangle, transparent outside it, and its corners' names and places.

    Stereographic projection; places are column and row in pixels.
    """
    right, top = 2**0.5 - 1, (3**0.5 - 1) / 2  # projections of [101] and of [111]: x and y
    width = round(_KEY_SIZE * right / top)
    x, y = np.meshgrid((np.arange(width) + 0.5) / width * right, (np.arange(_KEY_SIZE)[::-1] + 0.5) / _KEY_SIZE * top)
    length = 1 + x * x + y * y
    direction = np.stack([2 * x / length, 2 * y / length, (1 - x * x - y * y) / length], axis=-1)
    inside = (direction[..., 1] <= direction[..., 0]) & (direction[..., 0] <= direction[..., 2])
    colours = direction_colours(direction.reshape(-1, 3)).reshape(_KEY_SIZE, width, 3)
    picture = np.dstack([colours, np.where(inside, 255, 0).astype(np.uint8)])
    scale = width / right, _KEY_SIZE / top
    places = []
    for name, corner in zip(CORNER_NAMES, CORNERS, strict=True):
        px, py = corner[0] / (1 + corner[2]), corner[1] / (1 + corner[2])
        places.append((name, float(px * scale[0]), float(_KEY_SIZE - py * scale[1])))
    return picture, places
