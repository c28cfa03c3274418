"""One copy of the pixels per node, whatever the number of processes."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from qgan.ebsd import unpacked
from qgan.ebsd.dataset import Patches, read_footer, read_patches, write_patches
from qgan.ebsd.unpacked import node_patches


def is_mapped(patches: Patches) -> bool:
    base = patches.images
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    return isinstance(base, np.memmap)


def test_many_at_once_share_one_copy(patches_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    unpack = unpacked._unpack

    def counted(path: Path, copy: Path, footer: object) -> None:
        made.append(copy)
        unpack(path, copy, footer)  # type: ignore[arg-type]

    monkeypatch.setattr(unpacked, "_unpack", counted)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: node_patches(patches_file, tmp_path / "copies"), range(8)))
    expected = read_patches(patches_file)
    assert made == [tmp_path / "copies" / f"{expected.footer.content_hash}.npy"]
    for each in found:
        np.testing.assert_array_equal(each.images, expected.images)
        assert is_mapped(each) and not each.images.flags.writeable
        assert each.footer == expected.footer


def test_a_damaged_copy_is_made_again(patches_file: Path, tmp_path: Path) -> None:
    expected = read_patches(patches_file)
    node_patches(patches_file, tmp_path)
    copy = tmp_path / f"{expected.footer.content_hash}.npy"
    for content in (b"", b"no array", copy.read_bytes()[:-1]):
        copy.unlink()
        copy.write_bytes(content)
        np.testing.assert_array_equal(node_patches(patches_file, tmp_path).images, expected.images)


def test_without_room_the_pixels_are_read_into_memory(
    patches_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    assert not is_mapped(node_patches(patches_file, blocked))
    (tmp_path / "link").symlink_to(tmp_path)  # by whoever waits for what is put into the shared temporary folder
    assert not is_mapped(node_patches(patches_file, tmp_path / "link"))
    monkeypatch.setattr(unpacked, "_ROOM", 1e15)
    assert not is_mapped(node_patches(patches_file, tmp_path / "full"))
    assert not list((tmp_path / "full").glob("*.npy"))


def test_copies_that_nobody_opens_go(patches_file: Path, tmp_path: Path) -> None:
    old, used = tmp_path / "0123456789abcdef.npy", tmp_path / "other.npy"
    old.write_bytes(b"old")
    used.write_bytes(b"used")
    os.utime(old, (0, 0))
    node_patches(patches_file, tmp_path)
    assert not old.exists() and used.exists()


def test_a_file_named_by_a_uri(patches_file: Path, patches: Patches, tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/again.parquet"
    write_patches(uri, patches)
    assert read_footer(uri) == patches.footer
    np.testing.assert_array_equal(node_patches(uri, tmp_path / "copies").images, read_patches(patches_file).images)
