"""EDAX's .ang text files, and EMsoft's flavour of them.

A row is phi1 Phi phi2 x y IQ CI phase ...: angles in radians, um. What goes wrong in the wild, and what is done:

* rows in any order, points absent: every point is placed by its coordinates, absent points are noise;
* the header lies about the grid: the coordinates win, with a warning;
* EMsoft writes 8 columns and a dot product in the seventh: it is no confidence index;
* phase 0 is the phase itself where the file has one phase, and "not indexed" where it has more;
* unindexed points are 4 pi triplets, CI -1, or zero angles with zero quality.
"""

import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd.grid import Grid, place
from qgan.ebsd.phases import crystal_code
from qgan.ebsd.scan import NOISE, OTHER, Phase, Scan
from qgan.errors import InputError
from qgan.files import whole_file

_COLUMNS = 8  # up to the phase; what follows (SEM signal, fit, ...) is not needed
_CUBIC = ("43", "23", "m-3m", "m3m")  # Laue groups as EDAX counts or writes them
_UNINDEXED = 4 * np.pi


@dataclass(frozen=True)
class _Header:
    text: str
    phases: list[dict[str, str]]  # lower-case key -> value, one per phase
    grid: dict[str, str]  # the same, of the whole file: grid, xstep, ncols_odd, nrows, ...


def looks_like_ang(head: bytes) -> bool:
    """Whether a file that begins so is a .ang file: by its content, never by its suffix."""
    text = head.decode("utf-8", "replace")
    if re.search(r"^#\s*(TEM_PIXperUM|GRID:|XSTEP:|MaterialName|Phase\s+\d|x-star)", text, re.M | re.I):
        return True
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    return _is_row(first)


def read_ang(path: Path, phase_map: dict[str, int]) -> Scan:
    """A .ang file as a `Scan`; `phase_map`: phase name -> code, where name and lattice do not tell."""
    text = path.read_bytes().decode("utf-8", "replace")
    header = _header(text)
    rows, width, warnings = _rows(str(path), text)
    euler, x, y, quality, seventh = rows[:, :3], rows[:, 3], rows[:, 4], rows[:, 5], rows[:, 6]
    is_emsoft = width == _COLUMNS or "emsoft" in header.text.lower()

    missing = np.all(np.isclose(euler, _UNINDEXED, atol=1e-3), axis=1)
    missing |= np.all(euler == 0, axis=1) & (quality == 0)
    if not is_emsoft:
        missing |= seventh <= -1
    if np.any(np.abs(euler[~missing]) > _UNINDEXED + 1e-3):
        euler = np.radians(euler)
        warnings.append("some angles are above 4 pi: all are taken for degrees")

    phases, code = _phases(header, rows[:, 7].astype(np.int64), missing, phase_map, warnings)
    code[missing] = NOISE
    grid = place(x, y, str(path), _number(header.grid.get("xstep")))
    warnings += [*grid.warnings, *_lies(header, grid)]
    euler = np.where((code == NOISE)[:, None], 0, euler)
    return Scan(
        source=path.name,
        euler=grid.scatter(euler.astype(np.float32), 0),
        phase=grid.scatter(code, NOISE),
        quality=grid.scatter(quality.astype(np.float32), np.nan),
        quality_kind="IQ",
        confidence=None if is_emsoft else grid.scatter(seventh.astype(np.float32), np.nan),
        step_um=grid.step_um,
        vendor="EMsoft" if is_emsoft else "EDAX",
        phases=phases,
        warnings=tuple(warnings),
    )


def write_ang(path: Path, scan: Scan) -> None:
    """A scan as .ang, exact to the last bit of its float32 values; a scan without confidence becomes EMsoft's."""
    lines = ["# TEM_PIXperUM          1.000000"]
    for phase in scan.phases:
        a = f"{phase.lattice_angstrom or 0:.3f}"
        lines += [f"# Phase {phase.id}", f"# MaterialName  \t{phase.name}", "# Symmetry              43"]
        lines += [f"# LatticeConstants      {a} {a} {a}  90.000  90.000  90.000"]
    rows, columns = scan.shape
    lines += ["# GRID: SqrGrid", f"# XSTEP: {scan.step_um:.9g}", f"# YSTEP: {scan.step_um:.9g}"]
    lines += [f"# NCOLS_ODD: {columns}", f"# NCOLS_EVEN: {columns}", f"# NROWS: {rows}", "#"]
    row, column = np.nonzero(~np.isnan(scan.quality))
    number = {phase.code: phase.id for phase in scan.phases}
    codes = scan.phase[row, column]
    euler = np.where((codes == NOISE)[:, None], _UNINDEXED, scan.euler[row, column])
    values = [*euler.T, column * scan.step_um, row * scan.step_um, scan.quality[row, column]]
    form = "%.9g %.9g %.9g %.9g %.9g %.9g %.9g %d"
    if scan.confidence is None:
        values.append(np.zeros(len(row)))  # a dot product nobody reads
    else:
        values.append(scan.confidence[row, column])
        form += " 0 0"
    values.append(np.array([number.get(int(code), 0) for code in codes]))
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        np.savetxt(file, np.column_stack(values), fmt=form)


def _header(text: str) -> _Header:
    end = re.search(r"^[^#\n]*\d", text, re.M)
    head = text[: end.start() if end else len(text)]
    grid: dict[str, str] = {}
    phases: list[dict[str, str]] = []
    for line in head.splitlines():
        words = line.lstrip("# \t").split(None, 1)
        if not words:
            continue
        key, value = words[0].rstrip(":").lower(), words[1].strip() if len(words) > 1 else ""
        if key == "phase" and value.isdigit():
            phases.append({"id": value})
        elif phases and key in ("materialname", "formula", "symmetry", "latticeconstants"):
            phases[-1].setdefault(key, value)
        elif key in ("grid", "xstep", "ystep", "ncols_odd", "ncols_even", "nrows"):
            grid[key] = value
    return _Header(head, phases, grid)


def _rows(source: str, text: str) -> tuple[NDArray[np.float64], int, list[str]]:
    """The first 8 columns of all points (n, 8), how many columns the file has, and warnings."""
    first = next((line for line in text.splitlines() if _is_row(line)), None)
    if first is None:
        raise InputError(f"{source}: has a header but no points")
    width = len(first.split())
    warnings: list[str] = []
    try:
        rows = np.loadtxt(io.StringIO(text), comments="#", usecols=range(_COLUMNS), ndmin=2)
    except ValueError:  # a cut last line, a word among the numbers, decimal commas
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        good = [line.replace(",", ".") for line in lines if _is_row(line)]
        if len(good) < 0.9 * len(lines):
            raise InputError(
                f"{source}: {len(lines) - len(good)} of {len(lines)} lines are no rows of {_COLUMNS} numbers: "
                "not a .ang scan"
            ) from None
        if len(good) < len(lines):
            warnings.append(f"{len(lines) - len(good)} lines could not be read and are left out")
        rows = np.loadtxt(good, usecols=range(_COLUMNS), ndmin=2)
    finite = np.isfinite(rows).all(axis=1) & (np.abs(rows) < 1e9).all(axis=1)
    if not finite.all():
        warnings.append(f"{np.sum(~finite)} points hold no finite numbers and are left out")
    if not finite.any():
        raise InputError(f"{source}: no point holds finite numbers")
    return rows[finite], width, warnings


def _is_row(line: str) -> bool:
    return len(line.split()) >= _COLUMNS and all(
        _number(word.replace(",", ".")) is not None for word in line.split()[:_COLUMNS]
    )


def _number(word: str | None) -> float | None:
    try:
        return float(word) if word else None
    except ValueError:
        return None


def _phases(
    header: _Header,
    ids: NDArray[np.int64],
    missing: NDArray[np.bool_],
    phase_map: dict[str, int],
    warnings: list[str],
) -> tuple[tuple[Phase, ...], NDArray[np.uint8]]:
    """The phase table and the code of each point (n,); appends to `warnings`."""
    phases = [_phase(fields, phase_map) for fields in header.phases]
    used = np.unique(ids[~missing]).tolist()
    table = {phase.id: phase.code for phase in phases}
    if len(phases) == 1 and len(used) == 1:
        table = {used[0]: phases[0].code}  # whatever number its points carry, 0 as a rule
    code = np.full(len(ids), NOISE, np.uint8)
    for number in used:
        if number not in table and number <= 0:
            continue  # several phases: 0 is "not indexed"
        if number not in table:
            warnings.append(f"points of phase {number}, which the header does not describe, count as other")
        code[ids == number] = table.get(number, OTHER)
    for phase in phases:
        if phase.code == OTHER:
            warnings.append(
                f'phase "{phase.name}" is neither BCC nor FCC by name or lattice; if it is, say so with '
                f'--phase-map "{phase.name}=bcc"'
            )
    if not phases:
        warnings.append("the header describes no phase: all points count as other")
    return tuple(phases), code


def _phase(fields: dict[str, str], phase_map: dict[str, int]) -> Phase:
    name = fields.get("materialname") or fields.get("formula") or f"phase {fields['id']}"
    cell = [_number(word) for word in fields.get("latticeconstants", "").split()]
    lattice = cell[0] if cell else None
    is_cubic = fields.get("symmetry", "43").lower() in _CUBIC
    if len(cell) >= 6 and lattice:
        is_cubic &= cell[0] == cell[1] == cell[2] and cell[3] == cell[4] == cell[5] == 90
    return Phase(int(fields["id"]), name, lattice, crystal_code(name, is_cubic, lattice, phase_map))


def _lies(header: _Header, grid: Grid) -> list[str]:
    """A warning where the header describes another grid than the points."""
    rows, columns = grid.shape
    said = [header.grid.get(key) for key in ("ncols_odd", "nrows", "xstep")]
    lies = [
        name
        for name, text, found in zip(("columns", "rows", "step"), said, (columns, rows, grid.step_um), strict=True)
        if (number := _number(text)) is not None and abs(number - found) > 0.02 * found
    ]
    lies += ["a hexagonal grid"] if header.grid.get("grid", "").lower().startswith("hex") else []
    if not lies:
        return []
    return [
        f"the header's {' and '.join(lies)} disagree with the points: {columns} x {rows} at {grid.step_um:g} um is used"
    ]
