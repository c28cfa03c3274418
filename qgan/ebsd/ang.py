"""EDAX's .ang text files, and EMsoft's and MTEX's flavours of them.

A row is phi1 Phi phi2 x y IQ CI phase ...: angles in radians, um. What goes wrong in the wild, and what is done:

* rows in any order, points absent: every point is placed by its coordinates, absent points are noise;
* the header lies about the grid: the coordinates win, with a warning;
* EMsoft writes 8 columns and a dot product in the seventh: it is no confidence index;
* MTEX writes symmetries as point groups, m-3m, and older files keep the phase in a later column;
* headers of VERSION 7 name their columns and hold notes that look like phases;
* phase 0 is the phase itself where the file has one phase, and "not indexed" where it has more;
* unindexed points are 4 pi triplets, CI -1, or zero angles with zero quality.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd.grid import HeaderGrid
from qgan.ebsd.phases import phase_of
from qgan.ebsd.points import Collector, Points, assemble, phase_ids
from qgan.ebsd.rows import RowReader, is_row, number
from qgan.ebsd.scan import Phase, Scan

_COLUMNS = ("phi1", "phi", "phi2", "x", "y", "iq", "ci", "phase index")  # as headers of VERSION 7 call them
CUBIC = ("43", "23", "m-3m", "m3m", "m-3", "m3", "432", "-43m")  # as EDAX counts, or as point groups
UNINDEXED = 4 * np.pi


@dataclass(frozen=True)
class _Header:
    text: str
    phases: list[dict[str, str]]  # lower-case key -> value, one per phase
    fields: dict[str, str]  # the same, of the whole file: grid, xstep, ncols_odd, column_headers, ...


def looks_like_ang(head: bytes) -> bool:
    """Whether a file that begins so is a .ang file: by its content, never by its suffix."""
    text = head.decode("utf-8", "replace")
    if re.search(r"^#\s*(TEM_PIXperUM|GRID:|XSTEP:|MaterialName|Phase\s+\d|x-star|COLUMN_COUNT)", text, re.M | re.I):
        return True
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    return is_row(first, len(_COLUMNS))


def read_ang(path: Path, phase_map: Mapping[str, int]) -> Scan:
    """A .ang file as a `Scan`; `phase_map`: phase name -> code, where name and lattice do not tell."""
    with path.open(encoding="utf-8", errors="replace") as file:
        header, first = _header(file)
        width = len(first.split())
        has_confidence = width > len(_COLUMNS) and "emsoft" not in header.text.lower()
        phases = tuple(_phase(fields, phase_map) for fields in header.phases)
        named = _named_columns(header, width)
        rows = RowReader(file, str(path), named or tuple(range(len(_COLUMNS))), first)
        warnings = []
        if not named and width > len(_COLUMNS):
            phase_column = _phase_column(path, [phase.id for phase in phases], width)
            rows.columns = (*rows.columns[:-1], phase_column)
            if phase_column != len(_COLUMNS) - 1:
                warnings.append(f"column 8 holds no phase numbers: column {phase_column + 1} is taken")
        points = Collector(path.stat().st_size // max(len(first), 16) + 1000, has_confidence)
        origin = None
        for block in rows.blocks():
            origin = block[0, 3:5].copy() if origin is None else origin
            points.add(_points(block, origin, has_confidence))
    warnings += rows.warnings
    collected = points.points()
    settle_edax(collected, phases, warnings)
    return assemble(
        collected,
        path=str(path),
        name=path.name,
        vendor="EDAX" if has_confidence else "EMsoft",
        quality_kind="IQ",
        phases=phases,
        header=HeaderGrid(
            number(header.fields.get("ncols_odd")),
            number(header.fields.get("nrows")),
            number(header.fields.get("xstep")),
            header.fields.get("grid", "").lower().startswith("hex"),
        ),
        warnings=warnings,
    )


def edax_missing(
    euler: NDArray[np.floating], quality: NDArray[np.floating], confidence: NDArray[np.floating] | None
) -> NDArray[np.bool_]:
    """Which points (n,) EDAX's software could not index."""
    missing = np.asarray(np.all(np.abs(euler - UNINDEXED) < 1e-3, axis=1))
    missing |= np.all(euler == 0, axis=1) & (quality == 0)
    if confidence is not None:
        missing |= confidence <= -1
    return missing


def settle_edax(points: Points, phases: Sequence[Phase], warnings: list[str]) -> None:
    """What EDAX's columns mean only as a whole: degrees, and the number of a lone phase; changes `points`."""
    if any(np.any(np.abs(angle[~points.missing]) > UNINDEXED + 1e-3) for angle in points.euler.T):
        np.radians(points.euler, out=points.euler)
        warnings.append("some angles are above 4 pi: all are taken for degrees")
    used = np.unique(points.phase_id[~points.missing])
    if len(phases) == 1 and len(used) == 1:
        points.phase_id[:] = phases[0].id  # whatever number its points carry, 0 as a rule


def _points(rows: NDArray[np.float64], origin: NDArray[np.float64], has_confidence: bool) -> Points:
    confidence = rows[:, 6] if has_confidence else None
    return Points(
        x=(rows[:, 3] - origin[0]).astype(np.float32),
        y=(rows[:, 4] - origin[1]).astype(np.float32),
        euler=rows[:, :3].astype(np.float32),
        phase_id=phase_ids(rows[:, 7]),
        quality=rows[:, 5].astype(np.float32),
        confidence=None if confidence is None else confidence.astype(np.float32),
        missing=edax_missing(rows[:, :3], rows[:, 5], confidence),
    )


def _header(file: TextIO) -> tuple[_Header, str]:
    """All up to the first row, and that row, "" where there is none; `file` then stands behind it."""
    text: list[str] = []
    fields: dict[str, str] = {}
    phases: list[dict[str, str]] = []
    first = ""
    while line := file.readline(1 << 16):
        if is_row(line, len(_COLUMNS)):
            first = line
            break
        text.append(line)
        words = line.lstrip("# \t").split(None, 1)
        if not words:
            continue
        key, value = words[0].rstrip(":").lower(), words[1].strip() if len(words) > 1 else ""
        if key == "phase" and value.isdecimal():
            phases.append({"id": value[:4]})
        elif phases and key in ("materialname", "formula", "symmetry", "latticeconstants", "spacegroup"):
            phases[-1].setdefault(key, value)
        elif key in ("grid", "xstep", "ystep", "ncols_odd", "ncols_even", "nrows", "column_headers"):
            fields[key] = value
    return _Header("".join(text), phases, fields), first


def _named_columns(header: _Header, width: int) -> tuple[int, ...] | None:
    """Where the eight columns are by the header's own words; None where it does not say."""
    names = [name.strip().lower() for name in header.fields.get("column_headers", "").split(",")]
    names = ["phase index" if name == "phase" else name for name in names]
    if len(names) > width or not set(_COLUMNS) <= set(names):
        return None
    return tuple(names.index(name) for name in _COLUMNS)


def _phase_column(path: Path, known: Sequence[int], width: int) -> int:
    """The eighth column, unless its first values are no phase numbers and a later column's are."""
    eighth = len(_COLUMNS) - 1
    sample: list[list[float | None]] = []
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            words = line.split()
            if len(words) == width and is_row(line, len(_COLUMNS)):
                sample.append([number(word) for word in words])
            if len(sample) == 1000:
                break
    if all(
        value is not None and value == int(value) and -1 <= value < 100 for value in (row[eighth] for row in sample)
    ):
        return eighth
    allowed = {0, -1, *known}
    return next((k for k in range(eighth + 1, width) if all(row[k] in allowed for row in sample)), eighth)


def _phase(fields: dict[str, str], phase_map: Mapping[str, int]) -> Phase:
    cell = [value for word in fields.get("latticeconstants", "").split() if (value := number(word)) is not None]
    group = number(fields.get("spacegroup"))
    return phase_of(
        int(fields["id"]),
        fields.get("materialname") or fields.get("formula"),
        cell[:3],
        cell[3:6],
        fields.get("symmetry", "43").lower() in CUBIC,
        phase_map,
        None if group is None else int(group),
    )
