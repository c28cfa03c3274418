"""One copy of the pixels per node: unpacked once into a file named by the content hash, mapped by every trial.

The pages of a mapped file are shared by all processes that read it, so a further trial costs no memory and no time.
"""

import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd.dataset import Footer, Patches, read_images, read_index, read_patches
from qgan.errors import InputError
from qgan.files import locked, own_folder, whole_file

_KEPT_S = 14 * 24 * 3600  # copies that no trial has opened for so long are removed
_ROOM = 1.1  # of the copy's size must be free


def node_patches(path: str | Path, folder: Path | None = None) -> Patches:
    """The patches of a file, their pixels mapped from this node's copy, which is made where it is missing.

    `folder`: where copies lie; default: one of this user's in the temporary folder (TMPDIR). Where it cannot hold the
    copy, the pixels are read into memory instead.
    """
    index = read_index(path)
    try:
        folder = own_folder(folder or _folder())
        copy = folder / f"{index.footer.content_hash}.npy"
        with locked(folder / f"{index.footer.content_hash}.lock"):  # of many trials at once one unpacks
            images = _mapped(copy, index.footer)
            if images is None:
                _tidy(folder)
                if shutil.disk_usage(folder).free < _ROOM * np.prod(index.footer.shape):
                    return read_patches(path)
                _unpack(path, copy, index.footer)
                images = _mapped(copy, index.footer)
            os.utime(copy)
    except InputError:
        raise
    except OSError:
        return read_patches(path)
    return read_patches(path) if images is None else Patches(index, images)


def _unpack(path: str | Path, copy: Path, footer: Footer) -> None:
    with whole_file(copy) as temporary:
        images = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=footer.shape)
        read_images(path, images)
        images.flush()


def _mapped(copy: Path, footer: Footer) -> NDArray[np.uint8] | None:
    """The pixels, read-only; None where there is no whole copy."""
    try:
        images = np.load(copy, mmap_mode="r")
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return np.asarray(images) if images.shape == footer.shape and images.dtype == np.uint8 else None


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / f"qgan-patches-{os.getuid()}"


def _tidy(folder: Path) -> None:
    for old in folder.iterdir():
        if time.time() - old.stat().st_mtime > _KEPT_S:
            old.unlink(missing_ok=True)  # who has it mapped keeps it
