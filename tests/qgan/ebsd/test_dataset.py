import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qgan.ebsd.channels import CHANNELS
from qgan.ebsd.dataset import Patches, assemble, read_footer, read_index, read_patches, split, write_patches
from qgan.errors import InputError


def patches_of(
    map_sizes: list[int], size: int = 8, labels: list[str | None] | None = None, places: np.ndarray | None = None
) -> Patches:
    count = sum(map_sizes)
    rng = np.random.default_rng(count)
    row, column = rng.integers(0, 100, (2, count)) if places is None else places
    columns = {
        "microstructure": labels or ["ferrite"] * count,
        "source": ["map.ang"] * count,
        "map_id": np.repeat(np.arange(len(map_sizes)), map_sizes),
        "grain_id": np.arange(count),
        "row": row,
        "column": column,
        "step_um": np.full(count, 0.25),
    }
    images = rng.integers(0, 256, (count, 5, size, size), np.uint8)
    return assemble(images, columns, settings={"patch": size}, cleaning=({"source": "map.ang"},), recipe="a recipe")


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    labels = ["ferrite"] * 500 + [None] * 100 + ["bainite"] * 700
    written = patches_of([600, 700], labels=labels)
    path = tmp_path / "patches.parquet"
    write_patches(path, written)
    back = read_patches(path)
    assert back.footer == written.footer == read_footer(path)
    np.testing.assert_array_equal(back.images, written.images)
    for name in ("microstructure", "source", "map_id", "grain_id", "row", "column", "step_um"):
        np.testing.assert_array_equal(getattr(back.index, name), getattr(written.index, name))
        np.testing.assert_array_equal(getattr(read_index(path), name), getattr(written.index, name))
    assert not back.images.flags.writeable
    assert back.footer.microstructures == {"bainite": 700, "ferrite": 500}
    assert back.footer.channels == CHANNELS
    assert [each.name for each in tmp_path.iterdir()] == ["patches.parquet"]


def test_the_hash_names_pixels_labels_and_maps_only() -> None:
    one = patches_of([4, 4])
    assert one.footer.content_hash == patches_of([4, 4]).footer.content_hash
    assert len(one.footer.content_hash) == 16
    labels: list[str | None] = ["ferrite"] * 7 + ["bainite"]
    assert one.footer.content_hash != patches_of([4, 4], labels=labels).footer.content_hash
    assert one.footer.content_hash != patches_of([3, 5]).footer.content_hash


def test_images_are_fixed_size_binary(tmp_path: Path) -> None:
    write_patches(tmp_path / "p.parquet", patches_of([3]))
    assert pq.read_schema(tmp_path / "p.parquet").field("image").type == pa.binary(5 * 8 * 8)


def test_what_is_no_file_of_patches_is_refused(tmp_path: Path) -> None:
    other, text = tmp_path / "other.parquet", tmp_path / "text.parquet"
    pq.write_table(pa.table({"a": [1]}), other)
    text.write_text("no Parquet")
    for path, words in ((other, "not of patches"), (text, "not a readable"), (tmp_path / "x", "no such file")):
        for read in (read_footer, read_index, read_patches):
            with pytest.raises(InputError, match=words) as caught:
                read(path)
            assert "\n" not in str(caught.value)


@settings(max_examples=25, deadline=None)
@given(at=st.floats(0, 1), length=st.integers(1, 200), cut=st.booleans())
def test_a_damaged_file_is_refused_or_whole(
    tmp_path_factory: pytest.TempPathFactory, at: float, length: int, cut: bool
) -> None:
    path = tmp_path_factory.mktemp("damage") / "p.parquet"
    patches = patches_of([20])
    write_patches(path, patches)
    content = bytearray(path.read_bytes())
    start = int(at * (len(content) - 1))
    if cut:
        del content[start : start + length]
    else:
        content[start : start + length] = bytes(len(content[start : start + length]))
    path.write_bytes(content)
    try:
        back = read_patches(path)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        np.testing.assert_array_equal(back.images, patches.images)


def test_another_schema_and_a_wrong_count_are_refused(tmp_path: Path) -> None:
    patches = patches_of([4])
    for footer, words in (
        (replace(patches.footer, schema=99), "schema 99"),
        (replace(patches.footer, count=5), "disagree"),
        (replace(patches.footer, height=9), "disagree"),
    ):
        write_patches(tmp_path / "p.parquet", Patches(replace(patches.index, footer=footer), patches.images))
        with pytest.raises(InputError, match=words):
            read_index(tmp_path / "p.parquet")


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(table: pa.Table, where: Path, **_: object) -> None:
        Path(where).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(InputError, match="No space left"):
        write_patches(tmp_path / "p.parquet", patches_of([2]))
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="does not exist"):
        write_patches(tmp_path / "absent" / "p.parquet", patches_of([2]))


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(0, 30), min_size=2, max_size=8), evaluation=st.integers(1, 60))
def test_evaluation_patches_come_from_other_maps(sizes: list[int], evaluation: int) -> None:
    patches = patches_of(sizes, size=2)
    if sum(size > 0 for size in sizes) < 2:
        return
    try:
        training, held_out = split(patches.index, evaluation, "ferrite")
    except InputError as error:
        assert error.key == "evaluation"
        assert evaluation > sum(sizes) - max(sizes)  # only where no choice of maps would do it easily
        return
    again = split(patches.index, evaluation, None)
    np.testing.assert_array_equal(training, again[0])
    np.testing.assert_array_equal(held_out, again[1])
    assert len(held_out) == evaluation and len(training) > 0
    maps = patches.index.map_id
    assert not set(maps[training]) & set(maps[held_out])
    assert (np.diff(training) > 0).all() and (np.diff(held_out) > 0).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40)), min_size=2, max_size=40), st.integers(1, 20))
def test_a_single_map_is_cut_where_no_windows_overlap(places: list[tuple[int, int]], evaluation: int) -> None:
    patches = patches_of([len(places)], size=8, places=np.array(places).T)
    try:
        training, held_out = split(patches.index, evaluation, None)
    except InputError as error:
        assert error.key == "evaluation"
        return
    assert len(held_out) == evaluation and len(training) > 0
    row, column = patches.index.row, patches.index.column
    for i in held_out:
        overlap = (np.abs(row[training] - row[i]) < 8) & (np.abs(column[training] - column[i]) < 8)
        assert not overlap.any()


def test_splits_keep_to_their_microstructure_and_say_what_exists() -> None:
    labels: list[str | None] = ["ferrite", "bainite"] * 30
    patches = patches_of([20, 20, 20], labels=labels)
    training, held_out = split(patches.index, 5, "bainite")
    assert set(patches.index.microstructure[np.concatenate([training, held_out])]) == {"bainite"}
    with pytest.raises(InputError, match=r"bainite \(30\), ferrite \(30\)") as caught:
        split(patches.index, 5, "martensite")
    assert caught.value.key == "microstructure"
    with pytest.raises(InputError, match="there are 30") as caught:
        split(patches.index, 30, "ferrite")
    assert caught.value.key == "evaluation"


def test_reading_needs_no_pandas(tmp_path: Path) -> None:
    """pyarrow's own conversion imports it where it is installed: 60 MB in every process that trains."""
    path = tmp_path / "patches.parquet"
    write_patches(path, patches_of([3]))
    code = f"import sys; from qgan.ebsd.dataset import read_patches; read_patches({str(path)!r})"
    subprocess.run([sys.executable, "-c", code + "; assert 'pandas' not in sys.modules"], check=True)
