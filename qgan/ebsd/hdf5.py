"""Scans in HDF5: opening the file, and reading its columns without trusting what it says of itself."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from qgan.ebsd.scan import Scan
from qgan.errors import InputError

_PART = 1 << 16  # points read at a time
_COMPRESSION = 1100  # gzip cannot do better: a column that claims more of its file is damaged


def read_hdf5(path: Path, phase_map: Mapping[str, int]) -> Scan:
    """An HDF5 scan of a known vendor as a `Scan`: by its groups, never by its suffix."""
    from qgan.ebsd.edax_h5 import find_edax, read_edax
    from qgan.ebsd.h5oina import find_h5oina, read_h5oina

    with _opened(path) as file:
        if slices := find_h5oina(file):
            return read_h5oina(path, slices, phase_map)
        if scans := find_edax(file):
            return read_edax(path, scans, phase_map)
        is_apex = _has_apex(file)
    if is_apex:
        raise InputError(f"{path}: an EDAX APEX project, which is not published; export its map as .ang")
    raise InputError(
        f"{path}: an HDF5 file, but no EBSD map of Oxford (.h5oina) or EDAX (.h5); export the map as .ang or .ctf"
    )


def child(group: Any, name: str) -> Any | None:
    """A group's member, whatever its case and the blanks around its name; None where there is none."""
    if not isinstance(group, h5py.Group):
        return None
    key = next((key for key in group if key.strip().lower() == name.lower()), None)
    return None if key is None else group.get(key)


def text(group: Any, name: str) -> str | None:
    """A scalar as text."""
    values = _scalars(group, name)
    if values is None:
        return None
    value = values.ravel()[0]
    return value.decode("utf-8", "replace").strip("\0 ") if isinstance(value, bytes) else str(value)


def numbers(group: Any, name: str) -> list[float]:
    """A few numbers; empty where they are absent or no numbers."""
    values = _scalars(group, name)
    if values is None or values.dtype.kind not in "iufb":
        return []
    return [float(value) if np.isfinite(value) else 0.0 for value in values.ravel()]


def number(group: Any, name: str) -> float | None:
    """One number."""
    return next(iter(numbers(group, name)), None)


class Columns:
    """The columns of a group of equal length, read part by part as float32."""

    def __init__(self, path: Path, data: Any) -> None:
        self._path, self._data = path, data
        self._columns: dict[str, tuple[Any, int]] = {}
        self.count = 0

    def add(self, name: str, width: int = 1) -> bool:
        """Whether there is such a column; `InputError` where it is no column or of another length."""
        dataset = child(self._data, name)
        if dataset is None:
            return False
        is_column = isinstance(dataset, h5py.Dataset) and len(dataset.shape or ()) > 0 and dataset.dtype.kind in "iuf"
        if not is_column or dataset.size != dataset.shape[0] * width:
            raise InputError(
                f"{self._path}: {dataset.name} is no column of {width} number{'s' * (width > 1)} per point"
            )
        count = dataset.shape[0]
        if dataset.size * dataset.dtype.itemsize > _COMPRESSION * self._path.stat().st_size:
            raise InputError(f"{self._path}: damaged: {dataset.name} claims {count} points, more than the file holds")
        if self._columns and count != self.count:
            raise InputError(f"{self._path}: {dataset.name} has {count} points, other columns {self.count}: incomplete")
        self.count = count
        self._columns[name] = dataset, width
        return True

    def need(self, name: str, width: int = 1) -> None:
        """As `add`, for a column that must be there."""
        if not self.add(name, width):
            raise InputError(f"{self._path}: {self._data.name} has no column {name}")

    def parts(self) -> Iterator[tuple[slice, dict[str, NDArray[np.float32]]]]:
        """Which points, and their columns (n,) or (n, width)."""
        for start in range(0, self.count, _PART):
            part = slice(start, min(start + _PART, self.count))
            yield part, {name: _read(dataset, part, width) for name, (dataset, width) in self._columns.items()}


def _read(dataset: Any, part: slice, width: int) -> NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.asarray(dataset[part]).astype(np.float32)
    return values.reshape(-1, width) if width > 1 else values.reshape(-1)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """An open file; whatever its library finds wrong becomes an `InputError`."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    # a damaged file makes the library raise nearly anything
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError, MemoryError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].strip("'\" .")
        raise InputError(f"{path}: an HDF5 file that is damaged or incomplete ({reason})") from None


def _scalars(group: Any, name: str) -> NDArray[Any] | None:
    dataset = child(group, name)
    if not isinstance(dataset, h5py.Dataset) or not 0 < (dataset.size or 0) <= 16:
        return None
    return np.atleast_1d(np.asarray(dataset[()]))


def _has_apex(file: h5py.File) -> bool:
    found = file.visit(lambda name: True if name.upper().endswith("EBSD/ANG/DATA/DATA") else None)
    return bool(found)
