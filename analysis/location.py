"""Where results lie: a local folder, or a URI that pyarrow opens, such as s3://bucket/results/ferrite.

Both are read through the same few methods of `pathlib.Path`. Remote places are read only: what analysis writes
(reports, figures, tables) goes to local files.
"""

import errno
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.errors import ResultsError, UnreachableError

# two letters or more, so that no drive is taken for a scheme; pathlib folds the two slashes into one
_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/+(?P<rest>.*)", re.DOTALL)

# what writes takes a key as it stands, what reads takes it from a URI: only such keys are the same to both
S3_KEY = re.compile(r"(?!/)((?!\.\.?(/|$))[A-Za-z0-9._=+-]+(/|$))*")

_T = TypeVar("_T")


class Remote:
    """A file or folder on a filesystem of pyarrow; errors of the network are an UnreachableError."""

    def __init__(self, filesystem: Any, path: str, scheme: str, sizes: Mapping[str, int] | None = None) -> None:
        self._filesystem, self._path, self._scheme, self._sizes = filesystem, path.rstrip("/"), scheme, sizes

    def __truediv__(self, name: str) -> "Remote":
        return Remote(self._filesystem, f"{self._path}/{name}", self._scheme, self._sizes)

    def __str__(self) -> str:
        return f"{self._scheme}://{self._path}"

    @property
    def name(self) -> str:
        return self._path.rpartition("/")[2]

    @property
    def parent(self) -> "Remote":
        return Remote(self._filesystem, self._path.rpartition("/")[0], self._scheme)

    def listed(self) -> "Remote":
        """The folder as it is now: what it holds is listed once, and not asked for file by file.

        A file that is replaced later may look damaged from here.
        """
        from pyarrow.fs import FileSelector, FileType

        selector = FileSelector(self._path, allow_not_found=True, recursive=True)
        found = self._ask(lambda: self._filesystem.get_file_info(selector))
        sizes = {each.path: each.size for each in found if each.type == FileType.File}
        return Remote(self._filesystem, self._path, self._scheme, sizes)

    def is_file(self) -> bool:
        return self._type() == "File"

    def is_dir(self) -> bool:
        return self._type() == "Directory"

    def exists(self) -> bool:
        return self._path in self._sizes if self._sizes is not None else self._type() != "NotFound"

    def iterdir(self) -> "list[Remote]":
        """What the folder holds; empty where it is missing."""
        from pyarrow.fs import FileSelector

        selector = FileSelector(self._path, allow_not_found=True)
        found = self._ask(lambda: self._filesystem.get_file_info(selector))
        return [Remote(self._filesystem, each.path, self._scheme) for each in sorted(found, key=lambda each: each.path)]

    def read_bytes(self) -> bytes:
        def read() -> bytes:
            with self._filesystem.open_input_stream(self._path) as stream:
                content: bytes = stream.read()
                return content

        self._known_size()
        return self._ask(read)  # type: ignore[no-any-return]

    def read_text(self, encoding: str = "utf-8") -> str:
        """The file as text; one that was listed takes one request, and its lines are parted by newlines.

        Newlines at its end are left out there.
        """
        size = self._known_size()
        if size:
            with suppress(pa.ArrowInvalid):  # no text, or a file replaced between two requests
                lines: list[bytes] = self._ask(lambda: _lines(self._filesystem, self._path, size))
                return b"\n".join(lines).decode(encoding)
        return self.read_bytes().decode(encoding)

    def parquet(self) -> "RemoteTable":
        """The file as a table; errors come when it is read."""
        return RemoteTable(self._filesystem, self._path, self._known_size())

    def _known_size(self) -> int | None:
        """Of a file that was listed; None where nothing was. Raises FileNotFoundError for one that was not there."""
        if self._sizes is None:
            return None
        if self._path not in self._sizes:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(self))
        return self._sizes[self._path]

    def _type(self) -> str:
        info = self._ask(lambda: self._filesystem.get_file_info(self._path))
        return str(info.type.name)

    def _ask(self, question: Any) -> Any:
        try:
            return question()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UnreachableError(f"{self}: cannot be read ({_first_line(error)})") from None


Place = Path | Remote
DAMAGE = (pa.ArrowException, OSError, UnicodeDecodeError, KeyError)  # what reading a damaged Parquet file raises


def locate(where: "str | Place") -> Place:
    """The place of a local path or of a URI; a URI that pyarrow cannot open is a ResultsError."""
    if isinstance(where, Remote):
        return where
    found = _URI.fullmatch(str(where))
    if found is None:
        return Path(where)
    from pyarrow.fs import FileSystem

    scheme, rest = found["scheme"].lower(), found["rest"]
    if scheme == "file":
        return Path("/" + rest)
    if scheme == "s3" and not S3_KEY.fullmatch(rest.partition("?")[0].partition("/")[2]):
        raise ResultsError(
            f"{scheme}://{rest}: no place of results; after the bucket their address has letters of ASCII, digits, "
            "'.', '_', '=', '+' and '-', with one '/' between folders' names; copy other keys to a local folder"
        )
    try:
        filesystem, path = FileSystem.from_uri(f"{scheme}://{rest}")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, ValueError) as error:
        raise ResultsError(
            f"{scheme}://{rest}: no place that can be read ({_first_line(error)}); "
            "name a local folder, or s3://bucket/folder"
        ) from None
    return Remote(filesystem, path, scheme)


def is_uri(where: "str | Path") -> bool:
    """Whether a word names a place by URI."""
    return _URI.fullmatch(str(where)) is not None


class RemoteTable:
    """A Parquet file on a filesystem of pyarrow, with what is used here of `pyarrow.parquet.ParquetFile`.

    A few columns of a file of known size are two requests: its end, and all of them at once.
    """

    def __init__(self, filesystem: Any, path: str, size: int | None) -> None:
        from pyarrow.dataset import ParquetFileFormat, ParquetFragmentScanOptions

        # to skip less than this costs more than to read it: a request takes as long as some 100 kB
        gaps = pa.CacheOptions(hole_size_limit=2**17, range_size_limit=2**25)
        options = ParquetFragmentScanOptions(page_checksum_verification=True, cache_options=gaps)
        format_ = ParquetFileFormat(default_fragment_scan_options=options)
        self._fragment = format_.make_fragment(path, filesystem, file_size=size)

    @property
    def schema_arrow(self) -> pa.Schema:
        return self._fragment.physical_schema

    def read(self, columns: Sequence[str] | None = None, use_threads: bool = True) -> pa.Table:
        return self._fragment.to_table(columns=columns, use_threads=use_threads)


def _lines(filesystem: Any, path: str, size: int) -> list[bytes]:
    """The lines of a file of known size, in one request.

    A filesystem of pyarrow asks for the size of each file that it opens; its datasets can be told. One of a single
    column, whose separator is no character of text, has a line in every row.
    """
    from pyarrow.csv import ParseOptions, ReadOptions
    from pyarrow.dataset import CsvFileFormat

    parse = ParseOptions(delimiter="\x01", quote_char=False, double_quote=False, ignore_empty_lines=False)
    read = ReadOptions(column_names=["line"], block_size=size + 1, use_threads=False)
    fragment = CsvFileFormat(parse, read_options=read).make_fragment(path, filesystem, file_size=size)
    lines: list[bytes] = fragment.to_table(pa.schema({"line": pa.binary()}), use_threads=False)["line"].to_pylist()
    return lines


def read_parquet(path: Place, use: Callable[[pq.ParquetFile | RemoteTable], _T]) -> _T:
    """What `use` takes from a Parquet file, opened so that few columns of it cost few reads.

    Raises UnreachableError where the place does not answer; what is wrong with a file is one of DAMAGE.
    """
    if not isinstance(path, Remote):
        # no memory map: its pages come one fault at a time, and a file cut short meanwhile would kill the process
        return use(pq.ParquetFile(pa.OSFile(str(path)), page_checksum_verification=True))
    try:
        return use(path.parquet())
    except FileNotFoundError:
        raise
    except DAMAGE:
        # a broken page, a broken connection and a file replaced between two requests look alike; the file as a whole
        # tells them apart
        whole = pa.BufferReader(path.read_bytes())
        return use(pq.ParquetFile(whole, page_checksum_verification=True))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
