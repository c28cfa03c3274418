"""Where results lie: a local folder, or a URI that pyarrow opens, such as s3://bucket/results/ferrite.

Both are read through the same few methods of `pathlib.Path`. Remote places are read only: what analysis writes
(reports, figures, tables) goes to local files.
"""

import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from analysis.errors import ResultsError, UnreachableError

# two letters or more, so that no drive is taken for a scheme; pathlib folds the two slashes into one
_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/+(?P<rest>.*)", re.DOTALL)


class Remote:
    """A file or folder on a filesystem of pyarrow; errors of the network are an UnreachableError."""

    def __init__(self, filesystem: Any, path: str, scheme: str) -> None:
        self._filesystem, self._path, self._scheme = filesystem, path.rstrip("/"), scheme

    def __truediv__(self, name: str) -> "Remote":
        return Remote(self._filesystem, f"{self._path}/{name}", self._scheme)

    def __str__(self) -> str:
        return f"{self._scheme}://{self._path}"

    @property
    def name(self) -> str:
        return self._path.rpartition("/")[2]

    @property
    def parent(self) -> "Remote":
        return Remote(self._filesystem, self._path.rpartition("/")[0], self._scheme)

    def is_file(self) -> bool:
        return self._type() == "File"

    def is_dir(self) -> bool:
        return self._type() == "Directory"

    def exists(self) -> bool:
        return self._type() != "NotFound"

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

        return self._ask(read)  # type: ignore[no-any-return]

    def read_text(self) -> str:
        return self.read_bytes().decode()

    def open(self) -> Any:
        """The file for random reads, as a pyarrow file."""
        return self._ask(lambda: self._filesystem.open_input_file(self._path))

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


def locate(where: "str | Place") -> Place:
    """The place of a local path or of a URI; a URI that pyarrow cannot open is a ResultsError."""
    if isinstance(where, Remote):
        return where
    found = _URI.fullmatch(str(where))
    if found is None:
        return Path(where)
    import pyarrow as pa
    from pyarrow.fs import FileSystem

    scheme, rest = found["scheme"].lower(), found["rest"]
    if scheme == "file":
        return Path("/" + rest)
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


def parquet(path: Place) -> pq.ParquetFile:
    """A Parquet file, opened so that few columns of it cost few reads."""
    if isinstance(path, Remote):
        return pq.ParquetFile(path.open(), pre_buffer=True, page_checksum_verification=True)
    return pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
