"""Oxford's .h5oina files, versions 1 to 8.

Of a slice, /1/EBSD/Data and /1/EBSD/Header are read: radians, um, Phase 0 for unindexed, Error 1 for success (not 0,
as in .ctf), NaN outside the acquired area. Positions are optional: without them points follow the rows of the map.
What AZtecCrystal cleaned lies in /1/Data Processing and is not read: cleaning is this program's, and recorded.

Source: Oxford Instruments NanoAnalysis HDF5 File Specification, github.com/oinanoanalysis/h5oina.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qgan.ebsd.ctf import CUBIC_LAUE, repaired_warning
from qgan.ebsd.grid import HeaderGrid, is_count, is_step
from qgan.ebsd.hdf5 import Columns, child, number, numbers, text
from qgan.ebsd.phases import phase_of
from qgan.ebsd.points import Collector, Points, assemble, phase_ids
from qgan.ebsd.scan import Phase, Scan
from qgan.errors import InputError

_LAST_VERSION = 8
_QUALITIES = (("Band Contrast", "BC"), ("Band Slope", "BS"), ("Pattern Quality", "PQ"))
_SUCCESS = 1


def find_h5oina(file: Any) -> list[Any]:
    """The slices of an .h5oina file that hold EBSD; empty for files of other vendors."""
    if child(file, "Format Version") is None and child(file, "Index") is None:
        return []
    slices = [file.get(key) for key in file]
    return [each for each in slices if child(child(child(each, "EBSD"), "Data"), "Euler") is not None]


def read_h5oina(path: Path, slices: Sequence[Any], phase_map: Mapping[str, int]) -> Scan:
    """The first EBSD slice of an open .h5oina file as a `Scan`."""
    warnings = []
    if len(slices) > 1:
        warnings.append(f"{len(slices)} EBSD acquisitions in one file: {slices[0].name} is read")
    version = text(slices[0].parent, "Format Version")
    if version and version.split(".")[0].isdecimal() and int(version.split(".")[0]) > _LAST_VERSION:
        warnings.append(f"format version {version} is newer than {_LAST_VERSION}, the last one known here")
    if child(slices[0], "Data Processing") is not None:
        warnings.append("what AZtecCrystal cleaned is not used: the raw points are read and cleaned here")
    data, header = (child(child(slices[0], "EBSD"), name) for name in ("Data", "Header"))
    columns, rows, step_x, step_y = (number(header, key) for key in ("X Cells", "Y Cells", "X Step", "Y Step"))

    table = Columns(path, data)
    table.need("Euler", 3)
    table.need("Phase")
    name, kind = next(((name, kind) for name, kind in _QUALITIES if table.add(name)), ("", ""))
    if not name:
        raise InputError(f"{path}: {slices[0].name}/EBSD/Data has no Band Contrast; export the map with it")
    has_error = table.add("Error")
    has_places = table.add("X") and table.add("Y")
    if not has_places and not (is_count(columns) and is_step(step_x) and is_step(step_y)):
        raise InputError(f"{path}: neither X and Y nor X Cells, X Step and Y Step: where the points are is not known")

    points, repaired = Collector(table.count, False), 0
    for part, block in table.parts():
        if not has_places:
            row, place = np.divmod(np.arange(part.start, part.stop), int(columns or 1))
            block |= {"X": (place * (step_x or 0)).astype(np.float32), "Y": (row * (step_y or 0)).astype(np.float32)}
        # NaN outside the acquired area; columns of whole numbers cannot say so themselves
        outside = ~np.isfinite(block["Euler"]).all(axis=1)
        quality = np.where(outside, np.float32(np.nan), block[name])
        missing = outside | np.all(block["Euler"] == 0, axis=1) & (quality == 0)
        ids = phase_ids(block["Phase"])
        points.add(Points(block["X"], block["Y"], block["Euler"], ids, quality, None, missing).placed())
        if has_error:
            repaired += int(np.count_nonzero((ids > 0) & ~missing & (block["Error"] != _SUCCESS)))
    warnings += repaired_warning(repaired, len(points))
    return assemble(
        points.points(),
        path=str(path),
        name=path.name,
        vendor="Oxford",
        quality_kind=kind,
        phases=_phases(child(header, "Phases"), phase_map),
        header=HeaderGrid(columns, rows, step_x),
        warnings=warnings,
    )


def _phases(table: Any, phase_map: Mapping[str, int]) -> list[Phase]:
    phases = []
    for key in table if table is not None else ():
        group = table.get(key)
        if not (key.isdecimal() and len(key) < 4 and hasattr(group, "keys")):
            continue
        laue, space_group = number(group, "Laue Group"), number(group, "Space Group")
        phases.append(
            phase_of(
                int(key),
                text(group, "Phase Name"),
                numbers(group, "Lattice Dimensions"),
                np.degrees(numbers(group, "Lattice Angles")).tolist(),
                laue is None or laue in CUBIC_LAUE,
                phase_map,
                int(space_group) if space_group else None,
            )
        )
    return phases
