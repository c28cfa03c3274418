"""Rows of numbers in text files of any size, read block by block."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from qgan.errors import InputError

_BLOCK = 1 << 20  # characters at a time
_LARGEST = 1e9  # no angle, coordinate or quality is larger


def number(word: str | None) -> float | None:
    """A word as a finite number, with a decimal point or comma; None where it is none."""
    try:
        value = float((word or "").replace(",", "."))
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def is_row(line: str, columns: int) -> bool:
    """Whether a line begins with that many numbers, NaN and infinity included."""
    words = line.split()
    return len(words) >= columns and _floats(words[:columns]) is not None


@dataclass
class RowReader:
    """Chosen columns of the rows that follow in `file`; what could not be read is counted.

    What goes wrong in the wild: a last line cut short, words among the numbers, decimal commas, NaN.
    """

    file: TextIO
    source: str
    columns: Sequence[int]
    first: str = ""  # a line that was already taken from the file
    _lines: int = field(default=0, init=False)
    _unread: int = field(default=0, init=False)
    _infinite: int = field(default=0, init=False)

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        """Rows (n, columns) of finite numbers, block by block; `InputError` where a tenth of the lines is no row."""
        has_rows = False
        for lines in chain([[self.first]], iter(lambda: self.file.readlines(_BLOCK), [])):
            rows = self._parse([line for line in lines if line.strip() and not line.lstrip().startswith("#")])
            finite = (np.abs(rows) < _LARGEST).all(axis=1)
            has_rows |= len(rows) > 0
            if not finite.all():
                self._infinite += int(np.count_nonzero(~finite))
                rows = rows[finite]
            if len(rows):
                yield rows
        if self._unread > max(0.1 * self._lines, 1):
            raise InputError(
                f"{self.source}: {self._unread} of {self._lines} lines are no rows of {max(self.columns) + 1} numbers: "
                "not a scan"
            )
        if has_rows and self._infinite == self._lines - self._unread:
            raise InputError(f"{self.source}: no point holds finite numbers")

    @property
    def warnings(self) -> list[str]:
        """What was left out, in words; complete once all blocks are read."""
        warnings = []
        if self._unread:
            warnings.append(f"{self._unread} lines could not be read and are left out")
        if self._infinite:
            warnings.append(f"{self._infinite} points hold no finite numbers and are left out")
        return warnings

    def _parse(self, lines: list[str]) -> NDArray[np.float64]:
        if not lines:
            return np.empty((0, len(self.columns)))
        self._lines += len(lines)
        if "," in lines[0]:
            lines = [line.replace(",", ".") for line in lines]
        try:
            return np.loadtxt(lines, usecols=self.columns, ndmin=2, comments=None)
        except ValueError:
            rows = [values for line in lines if (values := self._row(line)) is not None]
        self._unread += len(lines) - len(rows)
        return np.array(rows, np.float64).reshape(-1, len(self.columns))

    def _row(self, line: str) -> list[float] | None:
        words = line.split()
        return _floats([words[k] for k in self.columns]) if len(words) > max(self.columns) else None


def _floats(words: Sequence[str]) -> list[float] | None:
    try:
        return [float(word.replace(",", ".")) for word in words]
    except ValueError:
        return None
