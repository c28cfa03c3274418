"""A scan's points as columns, in the order of their file, and the map they make.

Columns are joined, placed and dropped one at a time: at its peak the memory of a scan is less than three times that
of the columns kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd.grid import HeaderGrid, place
from qgan.ebsd.phases import point_codes
from qgan.ebsd.scan import NOISE, Phase, Scan
from qgan.errors import InputError

_FARTHEST = 1e9  # um


@dataclass(eq=False)
class Points:
    """Columns (n,) of points in any order; `assemble` empties it."""

    x: NDArray[np.float32]  # um, from any origin near the map
    y: NDArray[np.float32]
    euler: NDArray[np.float32]  # (n, 3), Bunge, radians
    phase_id: NDArray[np.int16]  # the file's number; 0 and below: not indexed
    quality: NDArray[np.float32]  # NaN where there was no measurement
    confidence: NDArray[np.float32] | None
    missing: NDArray[np.bool_]  # not indexed, whatever the phase says

    def __len__(self) -> int:
        return len(self.phase_id)

    def placed(self) -> "Points":
        """Only the points that have coordinates."""
        chosen = (np.abs(self.x) < _FARTHEST) & (np.abs(self.y) < _FARTHEST)
        if chosen.all():
            return self
        columns: dict[str, Any] = {}
        for field in fields(self):
            values = getattr(self, field.name)
            columns[field.name] = None if values is None else values[chosen]
        return Points(**columns)


class Collector:
    """Points that arrive block by block, in columns that grow in place.

    A list of blocks would need its memory twice when they are joined; room that is never written to costs nothing.
    """

    def __init__(self, room: int, has_confidence: bool) -> None:
        self._count = 0
        self._points = Points(
            x=np.empty(room, np.float32),
            y=np.empty(room, np.float32),
            euler=np.empty((room, 3), np.float32),
            phase_id=np.empty(room, np.int16),
            quality=np.empty(room, np.float32),
            confidence=np.empty(room, np.float32) if has_confidence else None,
            missing=np.empty(room, np.bool_),
        )

    def __len__(self) -> int:
        return self._count

    def add(self, block: Points) -> None:
        """Append a block."""
        end = self._count + len(block)
        if end > len(self._points):
            self._resize(end + end // 4)
        for field in fields(Points):
            if (values := getattr(block, field.name)) is not None:
                getattr(self._points, field.name)[self._count : end] = values
        self._count = end

    def points(self) -> Points:
        """All points so far; the last call."""
        self._resize(self._count)
        return self._points

    def _resize(self, room: int) -> None:
        for field in fields(Points):
            if (values := getattr(self._points, field.name)) is not None:
                values.resize((room, *values.shape[1:]), refcheck=False)


def phase_ids(values: NDArray[np.floating]) -> NDArray[np.int16]:
    """Phase numbers of any type as int16; what is no phase number becomes 0."""
    return np.where(np.abs(values) < 2**15, values, 0).astype(np.int16)


def assemble(
    points: Points,
    *,
    path: str,
    name: str,
    vendor: str,
    quality_kind: str,
    phases: Sequence[Phase],
    header: HeaderGrid,
    warnings: Sequence[str],
) -> Scan:
    """The map of all points; `InputError` where they make none.

    An unindexed point of quality 0 is a ghost, no measurement: it counts as absent.
    """
    if not len(points):
        raise InputError(f"{path}: has a header but no points")
    grid = place(points.x, points.y, path, header)
    points.x = points.y = np.empty(0, np.float32)
    notes = [*warnings]
    points.missing |= ~np.isfinite(points.euler).all(axis=1)
    code = point_codes(points.phase_id, points.missing, phases, notes)
    points.phase_id = np.empty(0, np.int16)
    points.missing = code == NOISE
    points.euler[points.missing] = 0
    points.quality[points.missing & (points.quality == 0) | ~np.isfinite(points.quality)] = np.nan
    phase = grid.scatter(code, NOISE)
    del code
    euler = grid.scatter(points.euler, 0)
    points.euler = np.empty((0, 3), np.float32)
    quality = grid.scatter(points.quality, np.nan)
    points.quality = np.empty(0, np.float32)
    return Scan(
        source=name,
        euler=euler,
        phase=phase,
        quality=quality,
        quality_kind=quality_kind,
        confidence=None if points.confidence is None else grid.scatter(points.confidence, np.nan),
        step_um=grid.step_um,
        vendor=vendor,
        phases=tuple(phases),
        warnings=(*notes, *grid.warnings),
    )
