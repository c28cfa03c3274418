"""The grains of a map as a table: to look at, and to label by hand.

`study data grains` writes it with an empty column `microstructure`; filled in, it labels patches grain by grain.
A grain is found again by its scan and its centre, not by its number: numbers change with the settings.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd import crystal
from qgan.ebsd.channels import kernel_average, ks_deviation
from qgan.ebsd.cleaning import CleanMap
from qgan.ebsd.grains import Grains, centres, mean_orientations
from qgan.ebsd.scan import PHASE_WORDS
from qgan.ebsd.settings import Settings
from qgan.errors import InputError
from qgan.files import whole_file


@dataclass(frozen=True)
class GrainRow:
    """One grain; degrees, um and pixels as the names say, NaN where there is no measurement."""

    scan: str
    grain: int
    row: int  # pixel of the centre
    column: int
    phase: str
    pixels: int
    diameter_um: float  # of the circle of its area
    gos_deg: float  # grain orientation spread: mean disorientation from the grain's mean
    kam_mean_deg: float
    ks_mean_deg: float
    microstructure: str = ""  # for the user


@dataclass(frozen=True)
class GrainLabel:
    """One line of a filled table."""

    row: int
    column: int
    microstructure: str
    line: int  # of the file, for errors


def grain_rows(cleaned: CleanMap, grains: Grains, settings: Settings) -> list[GrainRow]:
    """The grains of a map that are large enough for a patch."""
    if not grains.count:
        return []
    inside = grains.labels >= 0
    label = grains.labels[inside]
    means = mean_orientations(cleaned.orientations, grains)
    spread = np.degrees(crystal.disorientation(cleaned.orientations[inside], means[label]))
    kam, ks = kernel_average(cleaned, grains, settings)[inside], ks_deviation(cleaned, grains, settings)[inside]
    gos, kam_mean, ks_mean = (_means(label, values, grains.count) for values in (spread, kam, ks))
    row, column = centres(grains)
    diameter = 2 * np.sqrt(grains.sizes / np.pi) * cleaned.step_um
    return [
        GrainRow(
            scan=cleaned.record.source,
            grain=int(k),
            row=int(row[k]),
            column=int(column[k]),
            phase=PHASE_WORDS[grains.phase[k]],
            pixels=int(grains.sizes[k]),
            diameter_um=float(diameter[k]),
            gos_deg=float(gos[k]),
            kam_mean_deg=float(kam_mean[k]),
            ks_mean_deg=float(ks_mean[k]),
        )
        for k in np.flatnonzero(grains.sizes >= settings.min_grain)
    ]


def write_grain_table(path: Path, rows: Iterable[GrainRow]) -> None:
    """The table as CSV."""
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(GrainRow)])
        for row in rows:
            writer.writerow([f"{value:.4g}" if isinstance(value, float) else value for value in astuple(row)])


def read_grain_labels(path: Path) -> dict[str, list[GrainLabel]]:
    """Scan -> its labelled grains; lines without a microstructure are passed over.

    Needs the columns scan, row, column and microstructure, in any order, separated by comma or semicolon.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: no text in UTF-8; save the table as CSV UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    lines = text.splitlines()
    semicolons = bool(lines) and lines[0].count(";") > lines[0].count(",")
    table = csv.DictReader(lines, delimiter=";" if semicolons else ",")
    names = {name.strip().lower(): name for name in table.fieldnames or () if name}
    absent = [name for name in ("scan", "row", "column", "microstructure") if name not in names]
    if absent:
        raise InputError(f"{path}: has no column {absent[0]}; make a table to fill in with `study data grains`")
    labels: dict[str, list[GrainLabel]] = defaultdict(list)
    for values in table:
        scan, row, column, word = (
            (values[names[name]] or "").strip() for name in ("scan", "row", "column", "microstructure")
        )
        if not word:
            continue
        if not (row.isdecimal() and column.isdecimal() and len(row + column) < 16):
            raise InputError(
                f"{path}, line {table.line_num}: row and column must be whole numbers, not {row!r}, {column!r}"
            )
        labels[scan].append(GrainLabel(int(row), int(column), word, table.line_num))
    if not labels:
        raise InputError(f"{path}: no line has a microstructure; fill in that column")
    return dict(labels)


def label_grains(grains: Grains, labels: Sequence[GrainLabel], where: str) -> NDArray[np.object_]:
    """The label of each grain (count,), None where the table has none; `where` (table and scan) is for errors."""
    found: NDArray[np.object_] = np.full(grains.count, None, object)
    height, width = grains.labels.shape
    for each in labels:
        place = f"{where}, line {each.line}: row {each.row}, column {each.column}"
        if each.row >= height or each.column >= width:
            raise InputError(f"{place} is outside the map of {height} rows and {width} columns")
        grain = grains.labels[each.row, each.column]
        if grain < 0:
            raise InputError(f"{place} is noise, not a grain; make the table again with the same settings")
        if found[grain] not in (None, each.microstructure):
            raise InputError(f"{place} names a grain {each.microstructure} that another line calls {found[grain]}")
        found[grain] = each.microstructure
    return found


def require_scans(labels: Mapping[str, object], scans: Sequence[str], path: Path) -> None:
    """`InputError` where the table names a scan that is not among those given, or two of them have that name."""
    for name in labels:
        if name not in scans:
            raise InputError(f"{path}: labels grains of {name}, which is not among the scans: {', '.join(scans)}")
        if scans.count(name) > 1:
            raise InputError(
                f"{path}: labels grains of {name}, but {scans.count(name)} scans are called so; rename them"
            )


def _means(label: NDArray[np.int32], values: crystal.Floats, count: int) -> crystal.Floats:
    known = ~np.isnan(values)
    total, number = (np.bincount(label[known], weights, count) for weights in (values[known], None))
    return np.asarray(np.divide(total, number, out=np.full(count, np.nan), where=number > 0))
