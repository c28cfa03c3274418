"""EDAX's .h5 files of OIM and TEAM.

Of a scan, /NAME/EBSD/Data and /NAME/EBSD/Header are read. Columns mean what they mean in .ang: radians, um, CI -1 and
4 pi for unindexed, phase 0 for the one phase of a file of one.

Source: the format is not published; names as in EbsdLib's H5OIMReader and kikuchipy's edax_h5ebsd.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd.ang import CUBIC, edax_missing, settle_edax
from qgan.ebsd.grid import HeaderGrid, is_count, is_step
from qgan.ebsd.hdf5 import Columns, child, number, text
from qgan.ebsd.phases import phase_of
from qgan.ebsd.points import Collector, Points, assemble, phase_ids
from qgan.ebsd.scan import Phase, Scan
from qgan.errors import InputError

_COLUMNS = ("Phi1", "Phi", "Phi2", "IQ", "CI", "Phase")
_LENGTHS = ("Lattice Constant a", "Lattice Constant b", "Lattice Constant c")
_ANGLES = ("Lattice Constant alpha", "Lattice Constant beta", "Lattice Constant gamma")


def find_edax(file: Any) -> list[Any]:
    """The scans of an EDAX file; empty for files of other vendors."""
    groups = [file.get(key) for key in file]
    return [each for each in groups if child(child(child(each, "EBSD"), "Data"), "Phi1") is not None]


def read_edax(path: Path, scans: Sequence[Any], phase_map: Mapping[str, int]) -> Scan:
    """The first scan of an open EDAX file as a `Scan`."""
    warnings = []
    if len(scans) > 1:
        warnings.append(f"{len(scans)} scans in one file: {scans[0].name} is read")
    data, header = (child(child(scans[0], "EBSD"), name) for name in ("Data", "Header"))
    table = Columns(path, data)
    for name in _COLUMNS:
        table.need(name)
    grid = (text(header, "Grid Type") or "").lower()
    said = HeaderGrid(
        number(header, "nColumns"), number(header, "nRows"), number(header, "Step X"), grid.startswith("hex")
    )
    step_y = number(header, "Step Y")
    has_places = table.add("X Position") and table.add("Y Position")
    if not has_places and not (is_count(said.columns) and is_step(said.step_um) and is_step(step_y)):
        raise InputError(f"{path}: neither X and Y Position nor nColumns, Step X and Step Y: no places for the points")

    points = Collector(table.count, True)
    for part, block in table.parts():
        if has_places:
            x, y = block["X Position"], block["Y Position"]
        else:
            x, y = _places(np.arange(part.start, part.stop), said, step_y or 0)
        euler = np.stack([block[name] for name in _COLUMNS[:3]], axis=1)
        ids, quality, confidence = phase_ids(block["Phase"]), block["IQ"], block["CI"]
        missing = ~np.isfinite(euler).all(axis=1) | edax_missing(euler, quality, confidence)
        points.add(Points(x, y, euler, ids, quality, confidence, missing).placed())
    collected = points.points()
    phases = _phases(child(header, "Phase"), phase_map)
    settle_edax(collected, phases, warnings)
    return assemble(
        collected,
        path=str(path),
        name=path.name,
        vendor="EDAX",
        quality_kind="IQ",
        phases=phases,
        header=said,
        warnings=warnings,
    )


def _places(
    index: NDArray[np.int64], header: HeaderGrid, step_y: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coordinates of points that follow the rows of the map; even rows of a hexagonal one have a point fewer."""
    width = int(header.columns or 1)
    if not header.is_hexagonal:
        row, place = np.divmod(index, width)
        return (place * (header.step_um or 0)).astype(np.float32), (row * step_y).astype(np.float32)
    pair, place = np.divmod(index, 2 * width - 1)
    shifted = place >= width
    x = np.where(shifted, place - width + 0.5, place) * (header.step_um or 0)
    return x.astype(np.float32), ((2 * pair + shifted) * step_y).astype(np.float32)


def _phases(table: Any, phase_map: Mapping[str, int]) -> list[Phase]:
    phases = []
    for key in table if table is not None else ():
        group = table.get(key)
        if not (key.isdecimal() and len(key) < 4 and hasattr(group, "keys")):
            continue
        lengths, angles = ([number(group, name) or 0 for name in names] for names in (_LENGTHS, _ANGLES))
        name = text(group, "MaterialName") or text(group, "Material Name") or text(group, "Formula")
        symmetry = number(group, "Symmetry")
        phases.append(
            phase_of(int(key), name, lengths, angles, symmetry is None or f"{symmetry:g}" in CUBIC, phase_map)
        )
    return phases
