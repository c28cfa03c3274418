"""Scans as .ang text."""

from pathlib import Path

import numpy as np

from qgan.ebsd.ang import UNINDEXED
from qgan.ebsd.phases import SPACE_GROUPS, crystal_code
from qgan.ebsd.scan import NOISE, OTHER, Phase, Scan
from qgan.files import whole_file

_PART = 1 << 16  # points formatted at a time


def write_ang(path: Path, scan: Scan) -> None:
    """A scan as .ang, exact to the last bit of its float32 values; a scan without confidence becomes EMsoft's.

    Absent points are not written, so empty lines at the map's border are lost.
    """
    lines = ["# TEM_PIXperUM          1.000000"]
    for phase in scan.phases:
        lines += _phase_lines(phase)
    rows, columns = scan.shape
    lines += ["# GRID: SqrGrid", f"# XSTEP: {scan.step_um:.17g}", f"# YSTEP: {scan.step_um:.17g}"]
    lines += [f"# NCOLS_ODD: {columns}", f"# NCOLS_EVEN: {columns}", f"# NROWS: {rows}", "#"]
    number = {phase.code: phase.id for phase in scan.phases}
    unnamed = max([0, *number.values()]) + 1
    to_number = np.array([0, *(number.get(code, unnamed) for code in range(1, OTHER + 1))])
    form = "%.9g %.9g %.9g %.9g %.9g %.9g %.9g %d" + ("" if scan.confidence is None else " 0 0")
    present = np.flatnonzero(~np.isnan(scan.quality))
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        for start in range(0, len(present), _PART):
            row, column = np.unravel_index(present[start : start + _PART], scan.shape)
            codes = scan.phase[row, column]
            # a dot product nobody reads
            seventh = np.zeros(len(row)) if scan.confidence is None else scan.confidence[row, column]
            euler = np.where((codes == NOISE)[:, None], UNINDEXED, scan.euler[row, column])
            place = column * scan.step_um, row * scan.step_um
            values = [*euler.T, *place, scan.quality[row, column], seventh, to_number[codes]]
            np.savetxt(file, np.column_stack(values), fmt=form)


def _phase_lines(phase: Phase) -> list[str]:
    a = f"{phase.lattice_angstrom or 0:.9g}"
    name = " ".join(phase.name.split())
    lines = [f"# Phase {phase.id}", f"# MaterialName  \t{name}"]
    lines += [f"# Symmetry              {1 if phase.code == OTHER else 43}"]
    lines += [f"# LatticeConstants      {a} {a} {a}  90.000  90.000  90.000"]
    group = phase.space_group
    if group is None and phase.code != crystal_code(name, phase.code != OTHER, phase.lattice_angstrom, {}):
        group = SPACE_GROUPS[phase.code]  # known by the user's word only: said in the file, so that it comes back
    return lines if group is None else [*lines, f"# SpaceGroup            {group}"]
