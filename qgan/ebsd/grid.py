"""From points with coordinates, in any order, to pixels of a square grid."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from qgan.errors import InputError

Value = TypeVar("Value", bound=np.generic)

_SPARSE = 20  # more grid places than this per point: the coordinates are not a map's
_OFF_GRID = 0.25  # distance from the grid, in steps, from which a point is off it


@dataclass(frozen=True, eq=False)
class Grid:
    """Where points belong on a square grid."""

    shape: tuple[int, int]
    step_um: float
    row: NDArray[np.int64]  # (points,)
    column: NDArray[np.int64]
    warnings: tuple[str, ...]

    def scatter(self, values: NDArray[Value], absent: float) -> NDArray[Value]:
        """Values per point (points, ...) as a map (H, W, ...), `absent` where there is no point."""
        image = np.full((*self.shape, *values.shape[1:]), absent, values.dtype)
        image[self.row, self.column] = values
        return image


def place(x: NDArray[np.float64], y: NDArray[np.float64], source: str, header_step_um: float | None = None) -> Grid:
    """The square grid of points at x, y (points,), um; `InputError` for hexagonal, oblong and broken grids.

    The header's step only helps where it agrees with the coordinates.
    """
    step_x, step_y = _step(x, header_step_um), _step(y, header_step_um)
    if step_x is None or step_y is None:
        raise InputError(f"{source}: all points lie on one line: not a map")
    row, row_off = _pixels(y, step_y)
    column, column_off = _pixels(x, step_x)
    off = np.mean((row_off > _OFF_GRID) | (column_off > _OFF_GRID))
    if off > 0.05:
        raise InputError(f"{source}: {off:.0%} of the points lie between the places of a square grid: not a map")
    if abs(step_y / step_x - np.sqrt(3)) < 0.05 and _is_staggered(x, y, step_x, step_y):
        raise InputError(f"{source}: a hexagonal grid, which is not supported yet; export the scan with a square grid")
    if abs(step_y / step_x - 1) > 0.02:
        raise InputError(f"{source}: pixels of {step_x:g} x {step_y:g} um are not square, which is not supported")
    shape = int(row.max()) + 1, int(column.max()) + 1
    if shape[0] * shape[1] > _SPARSE * len(x):
        raise InputError(
            f"{source}: {len(x)} points at steps of {step_x:g} um spread over {shape[1]} x {shape[0]} places: not a map"
        )
    warnings = []
    places = len(np.unique(row * shape[1] + column))
    if places < len(x):
        warnings.append(f"{len(x) - places} points share a place with another: the later one is kept")
    if places < shape[0] * shape[1]:
        warnings.append(f"{shape[0] * shape[1] - places} of {shape[0] * shape[1]} points are absent: noise")
    return Grid(shape, float(step_x), row, column, tuple(warnings))


def _step(values: NDArray[np.float64], header_step_um: float | None) -> float | None:
    """Distance of neighbouring lines of the grid; None where there is only one line."""
    lines = np.unique(np.round(values, 4))
    if len(lines) < 2:
        return None
    extent = float(lines[-1] - lines[0])
    gap = float(np.median(np.diff(lines)))
    # a gap rounded in print, 0.33 for 1/3, drifts over a wide map; how many gaps there are says it better
    counts = [round(extent / gap), len(lines) - 1]
    if header_step_um and abs(header_step_um / gap - 1) < 0.1:
        counts.insert(0, round(extent / header_step_um))
    steps = [extent / count for count in counts if count > 0]
    return min(steps, key=lambda step: float(_pixels(lines, step)[1].mean().round(3)))


def _pixels(values: NDArray[np.float64], step: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    exact = (values - values.min()) / step
    nearest = np.rint(exact)
    return nearest.astype(np.int64), np.abs(exact - nearest)


def _is_staggered(x: NDArray[np.float64], y: NDArray[np.float64], step_x: float, step_y: float) -> bool:
    """Whether every other place is empty, as in a hexagonal grid seen as columns of half a step."""
    parity = _pixels(x, step_x)[0] + _pixels(y, step_y)[0]
    even = np.mean(parity % 2 == 0)
    return bool(even > 0.95 or even < 0.05)
