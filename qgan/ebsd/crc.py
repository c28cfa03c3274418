"""Oxford's (HKL's) .cpr header with its .crc points: one binary record per point.

A record is the phase, one byte, and then the fields that [Fields] of the header numbers, in that order: 1 X, 2 Y,
3-5 Euler angles (radians), 6 MAD, 12 reliability and all above 12 as float32; 7 BC, 8 BS, 9 unknown, 10 bands,
11 error as one byte. On a regular grid there are no coordinates: records follow the rows of the map.

Source: the format is not published; these are the numbers of MTEX's loadEBSD_crc, checked on a real file.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd.ctf import CUBIC_LAUE, repaired_warning
from qgan.ebsd.grid import HeaderGrid, is_count, is_step
from qgan.ebsd.phases import phase_of
from qgan.ebsd.points import Collector, Points, assemble
from qgan.ebsd.rows import number
from qgan.ebsd.scan import Phase, Scan
from qgan.errors import InputError

_X, _Y, _EULER, _BC, _BS, _ERROR = 1, 2, (3, 4, 5), 7, 8, 11
_BYTES = (7, 8, 9, 10, 11)  # fields of one byte
_ANGLES = ("alpha", "beta", "gamma")
_RECORDS = 1 << 16  # read at a time
_HEAD = 16384

Sections = dict[str, dict[str, str]]


def looks_like_cpr(head: bytes) -> bool:
    """Whether a file that begins so is a .cpr header."""
    text = head.decode("utf-8", "replace")
    return bool(re.search(r"^\[(General|Job)\]", text, re.M | re.I) and re.search(r"^\[Fields\]", text, re.M | re.I))


def header_of(path: Path) -> Path | None:
    """The .cpr header of a .crc file: beside it, of the same name but for the suffix; None where there is none."""
    for other in _siblings(path):
        with other.open("rb") as file:
            if looks_like_cpr(file.read(_HEAD)):
                return other
    return None


def read_cpr(path: Path, phase_map: Mapping[str, int]) -> Scan:
    """A .cpr header and its .crc points as a `Scan`; `phase_map`: phase name -> code, where it does not tell."""
    header = _sections(path.read_text(encoding="utf-8", errors="replace"))
    job = header.get("job", {})
    fields = _fields(path, header)
    record = np.dtype([("phase", "u1"), *((str(field), "u1" if field in _BYTES else "<f4") for field in fields)])
    points_path = _points_file(path, record.itemsize)
    size = points_path.stat().st_size
    count, warnings = size // record.itemsize, []
    if size % record.itemsize:
        warnings.append(f"the last {size % record.itemsize} bytes of {points_path.name} are no whole record: left out")
    columns, rows, step_x, step_y = (number(job.get(key)) for key in ("xcells", "ycells", "griddistx", "griddisty"))
    if is_count(columns) and is_count(rows):
        width, height = int(columns), int(rows)
        if count > width * height:
            warnings.append(
                f"{count} points for {width} x {height} places: the last {count - width * height} are left out"
            )
            count = width * height
    elif _X in fields and _Y in fields:
        width = 0
    else:
        raise InputError(f"{path}: [Job] has no xCells and yCells, and the points have no coordinates: not a map")
    if width and not (is_step(step_x) and is_step(step_y)):
        raise InputError(f"{path}: [Job] has no GridDistX and GridDistY: the step size is not known")

    points, repaired = Collector(count, False), 0
    with points_path.open("rb") as file:
        for start in range(0, count, _RECORDS):
            block = np.fromfile(file, record, min(_RECORDS, count - start))
            if width:
                y, x = np.divmod(np.arange(start, start + len(block)), width)
                places = x * step_x, y * step_y
            else:
                places = block[str(_X)], block[str(_Y)]
            points.add(_points(block, *places).placed())
            if _ERROR in fields:
                repaired += int(np.count_nonzero((block["phase"] > 0) & (block[str(_ERROR)] != 0)))
    return assemble(
        points.points(),
        path=str(path),
        name=path.name,
        vendor="Oxford",
        quality_kind="BC" if _BC in fields else "BS",
        phases=_phases(header, phase_map),
        header=HeaderGrid(columns, rows, step_x),
        warnings=[*warnings, *repaired_warning(repaired, len(points))],
    )


def _points(block: NDArray[np.void], x: NDArray[np.generic], y: NDArray[np.generic]) -> Points:
    names = block.dtype.names or ()
    quality = block[str(_BC if str(_BC) in names else _BS)].astype(np.float32)
    euler = np.stack([block[str(field)] for field in _EULER], axis=1)
    return Points(
        x=x.astype(np.float32),
        y=y.astype(np.float32),
        euler=euler,
        phase_id=block["phase"].astype(np.int16),
        quality=quality,
        confidence=None,
        missing=np.all(euler == 0, axis=1) & (quality == 0),
    )


def _sections(text: str) -> Sections:
    """An INI file with lower-case keys; what is no key=value line is passed over."""
    sections: Sections = {}
    section: dict[str, str] = {}
    for line in text.splitlines():
        if head := re.match(r"\s*\[(.*)\]", line):
            section = sections.setdefault(head[1].strip().lower(), {})
        elif "=" in line:
            key, _, value = line.partition("=")
            section.setdefault(key.strip().lower(), value.strip())
    return sections


def _fields(path: Path, header: Sections) -> list[int]:
    """The numbers of a record's fields, in their order."""
    listed = header.get("fields", {})
    count = number(listed.get("count"))
    if count is None or not 0 < count <= 1000:
        raise InputError(f"{path}: [Fields] has no Count: what a point holds is not known")
    fields = [int(number(listed.get(f"field{k}")) or 0) for k in range(1, int(count) + 1)]
    if min(fields) < 1 or len(set(fields)) < len(fields):
        raise InputError(f"{path}: [Fields] must number its {len(fields)} fields from 1, each once")
    if not set(_EULER) <= set(fields) or not {_BC, _BS} & set(fields):
        raise InputError(f"{path}: [Fields] has no Euler angles (3, 4, 5) or no band contrast (7) or slope (8)")
    return fields


def _phases(header: Sections, phase_map: Mapping[str, int]) -> list[Phase]:
    phases = []
    for name, fields in header.items():
        if index := re.fullmatch(r"phase([0-9]{1,3})", name):
            lengths, angles = ([number(fields.get(key)) or 0 for key in keys] for keys in ("abc", _ANGLES))
            laue, group = number(fields.get("lauegroup")), number(fields.get("spacegroup"))
            is_cubic = laue is None or laue in CUBIC_LAUE
            phases.append(
                phase_of(
                    int(index[1]), fields.get("structurename"), lengths, angles, is_cubic, phase_map, int(group or 0)
                )
            )
    return phases


def _points_file(path: Path, record_bytes: int) -> Path:
    """The .crc beside a header; of several files of that name the one that holds whole records."""
    others = [other for other in _siblings(path) if other.suffix.lower() == ".crc"]
    if not others:
        raise InputError(f"{path}: its points, {path.stem}.crc, are not beside it; copy both files")
    return min(others, key=lambda other: other.stat().st_size % record_bytes)


def _siblings(path: Path) -> list[Path]:
    stem = path.stem.lower()
    return sorted(
        other
        for other in path.parent.iterdir()
        if other.stem.lower() == stem and other.name != path.name and other.is_file()
    )
