"""The Parquet file of patches, on any filesystem: one row per patch, everything else in the footer.

A path is a local one or a URI that pyarrow opens, such as s3://bucket/patches.parquet.
Images are a fixed-size binary column: a FixedSizeList took 13 s and 2 GB for 10,000 patches, this takes 0.2 s.
"""

import errno
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import fs

from qgan.ebsd.patchset import SCHEMA, Footer, Patches, PatchIndex, assemble
from qgan.ebsd.splitting import split
from qgan.errors import InputError
from qgan.files import whole_file

__all__ = [
    "Footer",
    "PatchIndex",
    "Patches",
    "assemble",
    "is_uri",
    "read_footer",
    "read_images",
    "read_index",
    "read_patches",
    "split",
    "write_patches",
]

KEY = b"qgan.patches"  # in the Parquet schema's metadata; the same key as in a trial's images.parquet
_ROWS_PER_GROUP = 512
_ROWS_PER_BATCH = 16
PATIENCE_S = 60.0  # with a place that does not answer, beyond what pyarrow itself tries
_P = ParamSpec("_P")
_T = TypeVar("_T")
_COLUMNS: tuple[tuple[str, pa.DataType], ...] = (
    ("microstructure", pa.string()),  # null without a label
    ("source", pa.string()),  # the scan's file name, or the recipe
    ("map_id", pa.int32()),
    ("grain_id", pa.int32()),
    ("row", pa.int32()),  # the window's first pixel in its map
    ("column", pa.int32()),
    ("step_um", pa.float64()),
)


def write_patches(path: str | Path, patches: Patches) -> None:
    """Write the file under a temporary name in its folder, then rename: a reader never sees half a file."""
    if not is_uri(path):
        path = Path(path)
        if not path.parent.is_dir():
            raise InputError(f"{path}: the folder {path.parent} does not exist; make it first")
        if path.is_dir():
            raise InputError(f"{path}: is a folder; name a file, such as {path / 'patches.parquet'}")
    count, size = len(patches), int(np.prod(patches.images.shape[1:]))
    image_type = pa.binary(size)
    schema = pa.schema([("image", image_type), *_COLUMNS], metadata={KEY: patches.footer.to_json()})
    pixels = pa.Array.from_buffers(image_type, count, [None, pa.py_buffer(patches.images)])
    columns = [pa.array(getattr(patches.index, name), kind) for name, kind in _COLUMNS]
    try:
        with _place(path) as (place, filesystem):
            pq.write_table(
                pa.Table.from_arrays([pixels, *columns], schema=schema),
                place,
                filesystem=filesystem,
                row_group_size=_ROWS_PER_GROUP,
                compression="zstd",
                compression_level=1,
                use_dictionary=["microstructure", "source"],
                write_statistics=False,
                write_page_checksum=True,
            )
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or _first_line(error)})") from None


def _patient(read: Callable[Concatenate[str | Path, _P], _T]) -> Callable[Concatenate[str | Path, _P], _T]:
    """The same reader, for which a place that does not answer is not a damaged file.

    pyarrow tells both alike. OSError where a URI's place has not answered for PATIENCE_S; InputError as before.
    """

    @wraps(read)
    def patient(path: str | Path, /, *words: _P.args, **settings: _P.kwargs) -> _T:
        try:
            return read(path, *words, **settings)
        except InputError:
            if not is_uri(path):
                raise
        _await(str(path))
        return read(path, *words, **settings)

    return patient


def _await(uri: str) -> None:
    """Return once the place answers; OSError where it stays silent."""
    filesystem, name = _filesystem(uri)
    end, pause = time.monotonic() + PATIENCE_S, 0.5
    while True:
        try:
            filesystem.get_file_info(name)
            return
        except OSError as error:
            if time.monotonic() > end:
                raise OSError(errno.EIO, f"cannot be read ({_first_line(error)})", uri) from None
        time.sleep(pause)
        pause = min(2 * pause, 10.0)


@_patient
def read_footer(path: str | Path) -> Footer:
    """What the file says about its patches; reads no column."""
    with _open(path) as file:
        return _footer(path, file)


@_patient
def read_index(path: str | Path) -> PatchIndex:
    """Every column but the pixels."""
    with _open(path) as file:
        return _index(path, file)


def read_patches(path: str | Path) -> Patches:
    """The whole file; see `read_images`."""
    images = np.empty(read_footer(path).shape, np.uint8)
    read_images(path, images)
    images.setflags(write=False)
    return Patches(read_index(path), images)  # in the memory that the pages of images no longer need


@_patient
def read_images(path: str | Path, images: NDArray[np.uint8]) -> None:
    """The pixels into `images`, of the footer's shape; a few patches at a time, so memory holds them about once."""
    with _open(path) as file:
        rows = images.reshape(len(images), -1)
        done = 0
        try:
            for batch in file.iter_batches(_ROWS_PER_BATCH, columns=["image"], use_threads=False):
                part = batch.column(0)
                buffer = np.frombuffer(part.buffers()[1], np.uint8).reshape(-1, rows.shape[1])
                rows[done : done + len(part)] = buffer[part.offset : part.offset + len(part)]
                done += len(part)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _damaged(path, error) from None
        if done != len(rows):
            raise _damaged(path, f"{done} of {len(rows)} patches are there")


def is_uri(path: str | Path) -> bool:
    """Whether a path names a place of another filesystem."""
    return isinstance(path, str) and bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", path))


@contextmanager
def _place(path: str | Path) -> Iterator[tuple[Path | str, fs.FileSystem | None]]:
    """Where to write: a temporary name that is renamed, or an object, which appears when all of it was sent."""
    if is_uri(path):
        filesystem, name = _filesystem(str(path))
        yield name, filesystem
    else:
        with whole_file(Path(path)) as temporary:
            yield temporary, None


def _filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    try:
        filesystem, name = fs.FileSystem.from_uri(uri)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{uri}: no filesystem answers there ({_first_line(error)})") from None
    return filesystem, name


def _open(path: str | Path) -> pq.ParquetFile:
    try:
        place, filesystem = (path, None) if not is_uri(path) else _filesystem(str(path))[::-1]
        return pq.ParquetFile(place, filesystem=filesystem, page_checksum_verification=True, pre_buffer=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path}: not a readable Parquet file ({_first_line(error)}); make one with `study data`"
        ) from None


def _footer(path: str | Path, file: pq.ParquetFile) -> Footer:
    text = (file.schema_arrow.metadata or {}).get(KEY)
    if text is None:
        raise InputError(f"{path}: a Parquet file, but not of patches; make one with `study data`")
    try:
        schema = json.loads(text)["schema"]
        if schema != SCHEMA:
            raise InputError(
                f"{path}: patches of schema {schema}, this program reads schema {SCHEMA}; make the file again"
            )
        footer = Footer.from_json(text)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, error) from None
    image = pa.binary(len(footer.channels) * footer.height * footer.width)
    if file.schema_arrow != pa.schema([("image", image), *_COLUMNS]) or file.metadata.num_rows != footer.count:
        raise _damaged(path, "columns and footer disagree")
    return footer


def _index(path: str | Path, file: pq.ParquetFile) -> PatchIndex:
    footer = _footer(path, file)
    try:
        table = file.read([name for name, _ in _COLUMNS], use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None
    return PatchIndex(footer, **{name: _array(table[name].combine_chunks()) for name, _ in _COLUMNS})


def _array(column: pa.Array) -> NDArray[Any]:
    """The column without pandas, which `to_numpy` imports where it is there: 60 MB in every process that trains."""
    if pa.types.is_string(column.type):
        return np.array(column.to_pylist(), object)
    return np.from_dlpack(column)


def _damaged(path: str | Path, error: object) -> InputError:
    return InputError(f"{path}: damaged ({_first_line(error)}); make it again with `study data`")


def _first_line(error: object) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
