"""From points with coordinates, in any order, to pixels of a square grid."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray

from qgan.errors import InputError

Value = TypeVar("Value", bound=np.generic)
Coordinates = NDArray[np.float32] | NDArray[np.float64]

_SPARSE = 20  # more grid places than this per point: the coordinates are not a map's
_OFF_GRID = 0.25  # distance from the grid, in steps, from which a point is off it
_PART = 1 << 16  # points handled at a time: bounds the memory beside the columns


@dataclass(frozen=True)
class HeaderGrid:
    """The grid that a file's header speaks of; None where it is silent. The points overrule it."""

    columns: float | None = None
    rows: float | None = None
    step_um: float | None = None
    is_hexagonal: bool = False


@dataclass(frozen=True, eq=False)
class Grid:
    """Where points belong on a square grid."""

    shape: tuple[int, int]
    step_um: float
    place: NDArray[np.int64]  # (points,), index into the flattened map; -1: left out in resampling
    warnings: tuple[str, ...]

    def scatter(self, values: NDArray[Value], absent: float) -> NDArray[Value]:
        """Values per point (points, ...) as a map (H, W, ...), `absent` where there is no point."""
        image = np.full((*self.shape, *values.shape[1:]), absent, values.dtype)
        flat = image.reshape(-1, *values.shape[1:])
        for part in _parts(len(values)):
            kept = self.place[part] >= 0
            flat[self.place[part][kept]] = values[part][kept]
        return image


def place(x: Coordinates, y: Coordinates, source: str, header: HeaderGrid | None = None) -> Grid:
    """The square grid of points at x, y (points,), um; hexagonal grids are resampled.

    A hexagonal grid has rows sqrt(3)/2 steps apart, every other one shifted by half a step. Each row of square pixels
    takes the nearest row of points and in it the nearest point, at the same step: no point is used twice, so no
    disorientation of zero is made up.

    `InputError` for oblong and broken grids. The header's step only helps where it agrees with the coordinates.
    """
    header = header or HeaderGrid()
    lines_x, lines_y = _lines(x), _lines(y)
    step_x, step_y = _step(lines_x, header.step_um), _step(lines_y, header.step_um)
    if step_x is None or step_y is None:
        raise InputError(f"{source}: all points lie on one line: not a map")
    columns, rows = (
        round(float(lines[-1] - lines[0]) / step) + 1 for lines, step in ((lines_x, step_x), (lines_y, step_y))
    )

    off = even = 0
    for part in _parts(len(x)):
        row, row_off = _pixels(y[part], lines_y[0], step_y)
        column, column_off = _pixels(x[part], lines_x[0], step_x)
        off += int(np.count_nonzero((row_off > _OFF_GRID) | (column_off > _OFF_GRID)))
        even += int(np.count_nonzero((row + column) % 2 == 0))
    if off > 0.05 * len(x):
        raise InputError(
            f"{source}: {off / len(x):.0%} of the points lie between the places of a square grid: not a map"
        )
    is_hexagonal = abs(step_y / step_x - np.sqrt(3)) < 0.05 and not 0.05 < even / len(x) < 0.95
    if not is_hexagonal and abs(step_y / step_x - 1) > 0.02:
        raise InputError(f"{source}: pixels of {step_x:g} x {step_y:g} um are not square, which is not supported")
    if rows * columns > _SPARSE * len(x):
        raise InputError(
            f"{source}: {len(x)} points at steps of {step_x:g} um spread over {columns} x {rows} places: not a map"
        )

    step = 2 * step_x if is_hexagonal else step_x
    to_row = np.arange(rows)
    if is_hexagonal:
        columns //= 2  # half steps; the last one is there in every other row only
        nearest = np.rint(np.arange(int((rows - 1) * step_y / step + 1e-6) + 1) * step / step_y).astype(np.int64)
        to_row = np.full(rows, -1)
        to_row[nearest] = np.arange(len(nearest))
        rows = len(nearest)
    index = np.empty(len(x), np.int64)
    taken = np.zeros(rows * columns, np.bool_)
    for part in _parts(len(x)):
        row = to_row[_pixels(y[part], lines_y[0], step_y)[0]]
        column = _pixels(x[part], lines_x[0], step_x)[0] // (2 if is_hexagonal else 1)
        index[part] = np.where((row >= 0) & (column < columns), row * columns + column, -1)
        taken[index[part][index[part] >= 0]] = True

    warnings = [] if is_hexagonal else _lies(header, rows, columns, step)
    used, places = int(np.count_nonzero(index >= 0)), int(np.count_nonzero(taken))
    if is_hexagonal:
        warnings.append(
            f"a hexagonal grid of {step:g} um is resampled to square pixels of the same step by nearest neighbour; "
            f"{len(x) - used} of {len(x)} points are left out"
        )
    if places < used:
        warnings.append(f"{used - places} points share a place with another: the later one is kept")
    if places < len(taken):
        warnings.append(f"{len(taken) - places} of {len(taken)} points are absent: noise")
    return Grid((rows, columns), float(step), index, tuple(warnings))


def is_step(value: float | None) -> TypeGuard[float]:
    """Whether a header's number can be a step, um."""
    return value is not None and 1e-6 <= value <= 1e6


def is_count(value: float | None) -> TypeGuard[float]:
    """Whether a header's number can be a number of rows or columns."""
    return value is not None and 1 <= value <= 1e9


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, start + _PART) for start in range(0, count, _PART))


def _lines(values: Coordinates) -> NDArray[np.float64]:
    """The distinct coordinates, sorted."""
    parts = [np.unique(np.round(values[part].astype(np.float64), 4)) for part in _parts(len(values))]
    return np.unique(np.concatenate(parts))


def _step(lines: NDArray[np.float64], header_step_um: float | None) -> float | None:
    """Distance of neighbouring lines of the grid; None where there is only one line."""
    if len(lines) < 2:
        return None
    extent = float(lines[-1] - lines[0])
    gap = float(np.median(np.diff(lines)))
    # a gap rounded in print, 0.33 for 1/3, drifts over a wide map; how many gaps there are says it better
    steps = [extent / count for count in (round(extent / gap), len(lines) - 1) if count > 0]
    if header_step_um and abs(header_step_um / gap - 1) < 0.1:
        steps = [header_step_um, extent / max(round(extent / header_step_um), 1), *steps]
    return min(steps, key=lambda step: float(_pixels(lines, lines[0], step)[1].mean().round(3)))


def _pixels(values: Coordinates, origin: float, step: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The nearest lines of the grid, and how far off them, in steps, the values are."""
    exact = (values.astype(np.float64) - origin) / step
    nearest = np.rint(exact)
    return nearest.astype(np.int64), np.abs(exact - nearest)


def _lies(header: HeaderGrid, rows: int, columns: int, step: float) -> list[str]:
    """A warning where the header describes another grid than the points."""
    said = (("columns", header.columns, columns), ("rows", header.rows, rows), ("step", header.step_um, step))
    lies = [name for name, number, found in said if number is not None and abs(number - found) > 0.02 * found]
    lies += ["a hexagonal grid"] if header.is_hexagonal else []
    if not lies:
        return []
    return [f"the header's {' and '.join(lies)} disagree with the points: {columns} x {rows} at {step:g} um is used"]
