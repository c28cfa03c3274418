"""Oxford's (HKL's) .ctf text files.

A row is Phase X Y Bands Error Euler1 Euler2 Euler3 MAD BC BS ...: um, degrees. What goes wrong in the wild, and what
is done:

* decimal commas, in the header too;
* points absent, rows in any order, cells of 0 in the header: every point is placed by its coordinates;
* space group 0 and names like "Iron bcc (old)": `phases` decides;
* cleaned by the vendor's software: phase and angles are there although indexing failed. They count as measured, with
  a warning.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd.grid import HeaderGrid
from qgan.ebsd.phases import phase_of
from qgan.ebsd.points import Collector, Points, assemble, phase_ids
from qgan.ebsd.rows import RowReader, is_row, number
from qgan.ebsd.scan import Phase, Scan
from qgan.errors import InputError

CUBIC_LAUE = (10, 11)  # m-3 and m-3m as Oxford counts them
_NEEDED = ("phase", "x", "y", "euler1", "euler2", "euler3")
_SHORTEST_ROW = 32  # characters; rows are rarely below 50
_QUALITIES = ("bc", "bs")  # the first that is there


def looks_like_ctf(head: bytes) -> bool:
    """Whether a file that begins so is a .ctf file."""
    text = head.decode("utf-8", "replace")
    return bool(re.search(r"\AChannel Text File", text) or re.search(r"^Phase\s+X\s+Y\s", text, re.M | re.I))


def read_ctf(path: Path, phase_map: Mapping[str, int]) -> Scan:
    """A .ctf file as a `Scan`; `phase_map`: phase name -> code, where space group, name and lattice do not tell."""
    with path.open(encoding="utf-8", errors="replace") as file:
        header, phases, names = _header(file, phase_map)
        absent = [name for name in _NEEDED if name not in names]
        kind = next((name for name in _QUALITIES if name in names), None)
        if not names or absent:
            raise InputError(
                f"{path}: no line names its columns, as in: Phase X Y Bands Error Euler1 Euler2 Euler3 MAD BC BS"
                if not names
                else f"{path}: has no column {absent[0]}; export the map again, with phase, position and Euler angles"
            )
        if kind is None:
            raise InputError(f"{path}: has neither band contrast (BC) nor band slope (BS); export the map with BC")
        error = names.index("error") if "error" in names else None
        columns = [names.index(name) for name in (*_NEEDED, kind)] + ([] if error is None else [error])
        rows = RowReader(file, str(path), columns)
        points = Collector(path.stat().st_size // _SHORTEST_ROW + 1, False)
        origin, repaired = None, 0
        for block in rows.blocks():
            origin = block[0, 1:3].copy() if origin is None else origin
            points.add(_points(block, origin))
            if error is not None:
                repaired += int(np.count_nonzero((block[:, 0] > 0) & (block[:, -1] != 0)))
    warnings = [*rows.warnings, *repaired_warning(repaired, len(points))]
    return assemble(
        points.points(),
        path=str(path),
        name=path.name,
        vendor="Oxford",
        quality_kind=kind.upper(),
        phases=phases,
        header=HeaderGrid(number(header.get("xcells")), number(header.get("ycells")), number(header.get("xstep"))),
        warnings=warnings,
    )


def repaired_warning(repaired: int, count: int) -> list[str]:
    """What to say about points that the vendor's software filled in."""
    if not repaired:
        return []
    return [
        f"{repaired} of {count} points have an orientation although their indexing failed: cleaned before, they count "
        "as measured"
    ]


def _points(rows: NDArray[np.float64], origin: NDArray[np.float64]) -> Points:
    return Points(
        x=(rows[:, 1] - origin[0]).astype(np.float32),
        y=(rows[:, 2] - origin[1]).astype(np.float32),
        euler=np.radians(rows[:, 3:6]).astype(np.float32),
        phase_id=phase_ids(rows[:, 0]),
        quality=rows[:, 6].astype(np.float32),
        confidence=None,
        missing=np.all(rows[:, 3:6] == 0, axis=1) & (rows[:, 6] == 0),
    )


def _header(file: TextIO, phase_map: Mapping[str, int]) -> tuple[dict[str, str], list[Phase], list[str]]:
    """Keys and values, the phase table and the columns' names; `file` then stands at the first row."""
    fields: dict[str, str] = {}
    phases: list[Phase] = []
    while line := file.readline(1 << 16):
        words = line.split()
        lower = [word.lower() for word in words]
        if lower[:1] == ["phase"] and {"x", "y"} <= set(lower):
            # columns of elements may be called "Fe K series": only tabs divide them
            return fields, phases, [name.strip().lower() for name in line.split("\t")] if "\t" in line else lower
        if is_row(line, 8):
            break
        if re.match(r"[\d.,]+;[\d.,]+;[\d.,]+\s", line):
            phases.append(_phase(len(phases) + 1, line, phase_map))
        elif len(words) >= 2:
            fields.setdefault(lower[0], words[1])
    return fields, phases, []


def _phase(index: int, line: str, phase_map: Mapping[str, int]) -> Phase:
    """From a line such as 2.87;2.87;2.87 90;90;90 Iron bcc (old) 11 229 ..., divided by tabs."""
    parts = [*line.rstrip("\r\n").split("\t"), *[""] * 5]
    lengths, angles = ([number(word) or 0 for word in part.split(";")] for part in parts[:2])
    laue, group = number(parts[3]), number(parts[4])
    return phase_of(
        index, parts[2], lengths, angles, laue is None or laue in CUBIC_LAUE, phase_map, int(group) if group else None
    )
