"""Where the files of results lie: whole objects under names, in a folder here or elsewhere by the same contract."""

import errno
import os
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from qgan.files import whole_file


@dataclass(frozen=True)
class Uri:
    """A place that is no folder of this machine: s3://bucket/folder."""

    text: str

    def __truediv__(self, name: str) -> "Uri":
        return Uri(f"{self.text.rstrip('/')}/{name}")

    def __str__(self) -> str:
        return self.text

    def absolute(self) -> "Uri":
        return self


Place = Path | Uri


class Storage(Protocol):
    """Objects under names like `trials/KEY/trial.json`; can be pickled into a worker.

    tests/study/test_storage.py is the contract. A failure is an OSError that says what could not be done where.
    """

    at_once: int  # requests that it pays to make at the same time

    def read(self, name: str) -> bytes:
        """The whole object. Raises FileNotFoundError where there is none."""

    def exists(self, name: str) -> bool:
        """Whether there is such an object."""

    def write(self, name: str, content: bytes) -> None:
        """Put an object in place of what was there: whoever reads finds the old one or the new one, never a part."""

    def create(self, name: str, content: bytes) -> bool:
        """Write an object that must not be there; False where it is. Of many who try at once, one succeeds."""

    def delete(self, name: str) -> None:
        """Remove an object; nothing happens where there is none."""

    def list(self, group: str = "") -> list[str]:
        """What is directly in a group, objects and groups, sorted; empty where there is no such group."""

    def file(self, name: str) -> Path:
        """A path on this machine that holds the object, if there is one, for code that reads and writes files itself.

        Its folder exists. What such code writes there becomes the object by `keep`.
        """

    def keep(self, name: str) -> None:
        """Make what was written to `file(name)` the object."""

    def tidy(self) -> None:
        """Remove what killed processes left half written directly in here; nobody writes meanwhile."""


class StorageError(OSError):
    """A storage does not answer or refuses; the message is one sentence."""


_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.EMFILE}


def is_storage_trouble(error: BaseException) -> bool:
    """Whether files cannot be kept (disk full, read-only, no answer), which is no fault of who wrote them."""
    return isinstance(error, StorageError) or (isinstance(error, OSError) and error.errno in _TROUBLE)


def sentence(error: OSError) -> str:
    """What the system says, and of which file."""
    return f"{error.filename or 'the system says'}: {error.strerror or error}"


class Folder:
    """Objects are files in a folder of this machine or of a shared file system."""

    at_once = 1

    def __init__(self, path: Path) -> None:
        self.path = path
        self._prefix = f"{path}{os.sep}"  # joining paths as text: a study looks at thousands of small files

    def __str__(self) -> str:
        return str(self.path)

    def read(self, name: str) -> bytes:
        with open(self._prefix + name, "rb") as file:
            return file.read()

    def ends(self, name: str, count: int) -> tuple[bytes, bytes]:
        """The first and the last `count` bytes of an object, at most: a machine that lost power may have torn it."""
        with open(self._prefix + name, "rb") as file:
            first = file.read(count)
            file.seek(max(0, file.seek(0, os.SEEK_END) - count))
            return first, file.read(count)

    def exists(self, name: str) -> bool:
        return (self.path / name).is_file()

    def write(self, name: str, content: bytes) -> None:
        with whole_file(self.file(name)) as temporary:
            temporary.write_bytes(content)

    def create(self, name: str, content: bytes) -> bool:
        target = self.file(name)
        # a link is made or refused as a whole, on shared file systems too, and the object is never seen half written
        # two hosts may share a folder, and a process number
        temporary = target.with_name(f".{target.name}.{socket.gethostname()}.{os.getpid()}.{threading.get_ident()}")
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, target)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def delete(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def list(self, group: str = "") -> list[str]:
        try:  # names with a dot in front are not yet objects
            return sorted(name for name in os.listdir(self.path / group) if not name.startswith("."))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def file(self, name: str) -> Path:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def keep(self, name: str) -> None:
        """The file is the object."""

    def tidy(self) -> None:
        for left_behind in self.path.glob(".*"):
            if left_behind.is_file():  # a folder is somebody else's
                left_behind.unlink(missing_ok=True)


def storage_of(place: Place) -> Storage:
    """The storage of a results folder."""
    if isinstance(place, Path):
        return Folder(place)
    from study.s3 import S3

    return S3(str(place))


def local(place: Place) -> Path:
    """The place itself, or the folder of this machine that stands for a remote one: for what can be made again."""
    if isinstance(place, Path):
        return place
    from study.s3 import node_folder

    return node_folder() / str(place).removeprefix("s3://")
