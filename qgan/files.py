"""Files and folders that are whole or absent."""

import errno
import fcntl
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to; on success it is synced and renamed, on any error removed."""
    temporary = _temporary(path)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """The same for a new folder: an empty one to fill, renamed on success, removed with all in it on any error."""
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def own_folder(path: Path) -> Path:
    """A folder that this user alone reads and writes, made where it is missing; a link or another's is an OSError."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:  # in a temporary folder for all, perhaps by somebody who waits for what is put there
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            told = "should be this user's own folder, but is a link, a file, or another user's"
            told += "; remove it, or set TMPDIR to another folder"
            raise PermissionError(errno.EACCES, told, str(path)) from None
        path.chmod(0o700)
    return path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process of this machine at a time; the file `path` is made where it is missing, and stays."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _temporary(path: Path) -> Path:
    # two hosts may share a folder, and a process number
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}")
