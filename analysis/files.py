"""Files that are whole or absent."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analysis.errors import ResultsError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to; on success it is renamed, on any error removed.

    A path that cannot be written is a ResultsError.
    """
    if not path.parent.is_dir() or path.is_dir():
        raise ResultsError(f"{path}: cannot be written; name a file in a folder that exists")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp's files are their owner's alone
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
