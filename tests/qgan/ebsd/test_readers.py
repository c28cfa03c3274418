"""What every reader must do: one suite, one map, all formats."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qgan.ebsd import crystal
from qgan.ebsd.channels import map_channels
from qgan.ebsd.cleaning import clean
from qgan.ebsd.grains import segment
from qgan.ebsd.phases import crystal_code
from qgan.ebsd.readers import read_scan
from qgan.ebsd.rows import is_row
from qgan.ebsd.scan import BCC, FCC, NOISE, OTHER, Scan
from qgan.ebsd.settings import Settings
from qgan.errors import InputError

Writer = Callable[[Path, Scan], Path]
FORMATS = ("ang", "ctf", "ctf with commas", "cpr", *(f"h5oina {version}" for version in range(1, 9)), "edax h5")
OXFORD = tuple(name for name in FORMATS if name not in ("ang", "edax h5"))


def channels(scan: Scan) -> np.ndarray:
    settings = Settings()
    cleaned = clean(replace(scan, confidence=None), settings)
    return map_channels(
        cleaned, segment(cleaned.orientations, cleaned.phase, settings.grain_angle_deg), settings
    ).pixels


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_makes_the_same_map(writers: dict[str, Writer], small: Scan, tmp_path: Path, name: str) -> None:
    path = writers[name](tmp_path / "a map.DAT", small)
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.phase, small.phase)
    np.testing.assert_allclose(scan.euler, small.euler, atol=1e-6)
    np.testing.assert_array_equal(scan.quality, small.quality)
    assert scan.step_um == pytest.approx(0.5, rel=1e-6)
    assert [(phase.id, phase.name, phase.code) for phase in scan.phases] == [(1, "Iron bcc", BCC), (2, "Iron fcc", FCC)]
    assert [phase.lattice_angstrom for phase in scan.phases] == pytest.approx([2.866, 3.6], rel=1e-6)
    assert scan.source == path.name
    # a record per place and NaN in place of a point are not "absent"
    expected = ["1 of 35 points are absent: noise"] if name in ("ang", "ctf", "ctf with commas", "edax h5") else []
    if name.startswith("h5oina") and name != "h5oina 1":
        expected.insert(0, "what AZtecCrystal cleaned is not used: the raw points are read and cleaned here")
    assert list(scan.warnings) == expected


@pytest.mark.parametrize("name", ["ctf", "ctf with commas", "cpr", "h5oina 1", "h5oina 8", "edax h5"])
def test_every_format_makes_the_same_channels(
    writers: dict[str, Writer], bainite: Scan, tmp_path: Path, name: str
) -> None:
    """Band contrast is a whole number, so image quality is rounded before all are written."""
    rounded = replace(bainite, quality=bainite.quality.round(), confidence=None)
    ang = read_scan(writers["ang"](tmp_path / "a.ang", rounded))
    other = read_scan(writers[name](tmp_path / "other", rounded))
    np.testing.assert_array_equal(other.phase, ang.phase)
    angle = crystal.disorientation(other.orientations, ang.orientations)
    assert np.degrees(angle).max() < 3e-4
    expected, found = channels(ang).astype(int), channels(other).astype(int)
    np.testing.assert_array_equal(found[:2], expected[:2])
    # 1e-5 degrees move a byte of KAM or of KS deviation by one, where it was about to turn
    assert np.abs(found - expected).max() <= 1
    assert np.mean(found != expected) < 0.01


@pytest.mark.parametrize("name", ["ang", "ctf", "ctf with commas"])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_text_rows_in_any_order(writers: dict[str, Writer], small: Scan, tmp_path: Path, name: str, seed: int) -> None:
    path = writers[name](tmp_path / "map.txt", small)
    expected = read_scan(path)
    lines = path.read_text().splitlines(keepends=True)
    first = next(k for k, line in enumerate(lines) if is_row(line, 8))
    rows = lines[first:]
    random.Random(seed).shuffle(rows)
    path.write_text("".join([*lines[:first], *rows]))
    scan = read_scan(path)
    for field in ("euler", "phase", "quality"):
        np.testing.assert_array_equal(getattr(scan, field), getattr(expected, field))


@pytest.mark.parametrize(("name", "group"), [("h5oina 1", "1/EBSD/Data"), ("edax h5", "Scan 1/EBSD/Data")])
def test_hdf5_rows_in_any_order(writers: dict[str, Writer], small: Scan, tmp_path: Path, name: str, group: str) -> None:
    path = writers[name](tmp_path / "map.h5", small)
    expected = read_scan(path)
    with h5py.File(path, "r+") as file:
        order = np.random.default_rng(0).permutation(len(file[group]["Phase"]))
        for column in file[group].values():
            column[...] = column[...][order]
    scan = read_scan(path)
    for field in ("euler", "phase", "quality"):
        np.testing.assert_array_equal(getattr(scan, field), getattr(expected, field))


@pytest.mark.parametrize("name", OXFORD)
def test_space_group_then_name_then_lattice(writers: dict[str, Writer], small: Scan, tmp_path: Path, name: str) -> None:
    silent = [replace(phase, name=f"Phase {phase.id}", space_group=None) for phase in small.phases]
    scan = read_scan(writers[name](tmp_path / "silent", replace(small, phases=tuple(silent))))
    np.testing.assert_array_equal(scan.phase, small.phase)  # by the lattice constant
    swapped = (replace(silent[0], name="Ferrite", space_group=225), replace(silent[1], name="Ferrite (fcc)"))
    path = writers[name](tmp_path / "swapped", replace(small, phases=swapped))
    assert [phase.code for phase in read_scan(path).phases] == [FCC, FCC]
    assert [phase.code for phase in read_scan(path, {"ferrite": "bcc"}).phases] == [BCC, FCC]


def test_crystal_codes() -> None:
    assert crystal_code("austenite", True, 2.87, {}, 229) == BCC
    assert crystal_code("austenite", True, 2.87, {}) == FCC
    assert crystal_code("Iron", True, 2.87, {}) == BCC
    assert crystal_code("Iron", True, 5.4, {}) == OTHER
    assert crystal_code("alpha titanium", False, 2.95, {}, 194) == OTHER
    assert crystal_code("alpha titanium", False, 2.95, {"Alpha Titanium ": BCC}, 194) == BCC


def test_crc_names_the_same_scan_as_its_header(writers: dict[str, Writer], small: Scan, tmp_path: Path) -> None:
    path = writers["cpr"](tmp_path / "map.cpr", small)
    points = path.with_suffix(".CRC")
    path.with_suffix(".crc").rename(points)
    np.testing.assert_array_equal(read_scan(points).phase, small.phase)
    points.rename(tmp_path / "other.crc")
    with pytest.raises(InputError, match="are not beside it"):
        read_scan(path)
    with pytest.raises(InputError, match="not a scan"):
        read_scan(tmp_path / "other.crc")


def test_crc_cut_short_and_too_long(writers: dict[str, Writer], small: Scan, tmp_path: Path) -> None:
    path = writers["cpr"](tmp_path / "map.cpr", small)
    points = path.with_suffix(".crc")
    whole = points.read_bytes()
    points.write_bytes(whole[: len(whole) - 40])
    scan = read_scan(path)
    assert scan.shape == small.shape and np.isnan(scan.quality[-1, -2:]).all()
    assert "no whole record" in scan.warnings[0] and "2 of 35 points are absent" in scan.warnings[-1]
    points.write_bytes(whole + whole[:58])
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.phase, small.phase)
    assert "are left out" in scan.warnings[0]


def test_cleaned_points_of_the_vendor_count_with_a_warning(
    writers: dict[str, Writer], small: Scan, tmp_path: Path
) -> None:
    path = writers["h5oina 1"](tmp_path / "map.h5oina", small)
    with h5py.File(path, "r+") as file:
        file["1/EBSD/Data/Error"][:3] = 7
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.phase, small.phase)
    assert "3 of 35 points have an orientation although" in scan.warnings[0]


def test_ghosts_are_absent(writers: dict[str, Writer], small: Scan, tmp_path: Path) -> None:
    """A point without angles and without quality is no measurement, even where it has a phase."""
    for name in ("ctf", "cpr", "h5oina 2", "edax h5"):
        ghostly = replace(small, euler=small.euler.copy(), quality=small.quality.copy())
        ghostly.euler[0, 0], ghostly.quality[0, 0] = 0, 0
        scan = read_scan(writers[name](tmp_path / "ghost", ghostly))
        assert scan.phase[0, 0] == NOISE and np.isnan(scan.quality[0, 0]), name


@pytest.mark.parametrize("has_places", [True, False])
def test_edax_h5_of_a_hexagonal_grid(tmp_path: Path, has_places: bool) -> None:
    """10 and 9 points in turn; every row of squares is the nearest row of points."""
    rows = [(j, k) for j in range(15) for k in range(10 - j % 2)]
    j, k = np.array(rows).T
    path = tmp_path / "hex.h5"
    with h5py.File(path, "w") as file:
        data, header = file.create_group("S/EBSD/Data"), file.create_group("S/EBSD/Header")
        for name in ("Phi1", "PHI", "Phi2", "CI"):
            data[name] = np.full(len(j), 0.5, np.float32)
        data["IQ"] = (100 * j + k).astype(np.float32)
        data["Phase"] = np.zeros(len(j), np.int8)
        if has_places:
            data["X Position"], data["Y Position"] = 0.4 * (k + j % 2 / 2), 0.4 * np.sqrt(3) / 2 * j
        header["Grid Type"], header["nColumns"], header["nRows"] = [b"HexGrid"], [10], [15]
        header["Step X"], header["Step Y"] = [0.4], [0.4 * np.sqrt(3) / 2]
        header["Phase/1/MaterialName"] = [b"Ferrite"]
    scan = read_scan(path)
    assert scan.step_um == pytest.approx(0.4)
    assert scan.shape == (13, 9)
    source_row = np.rint(np.arange(13) * 2 / np.sqrt(3))
    np.testing.assert_array_equal(scan.quality, 100 * source_row[:, None] + np.arange(9))
    assert (scan.phase == BCC).all()
    assert "hexagonal grid of 0.4 um is resampled" in scan.warnings[0]


def test_h5oina_refusals_name_what_is_missing(writers: dict[str, Writer], small: Scan, tmp_path: Path) -> None:
    for member, words in (
        ("Phase", "no column Phase"),
        ("Band Contrast", "no Band Contrast"),
        ("Euler", "no EBSD map"),
    ):
        path = writers["h5oina 1"](tmp_path / f"{member}.h5oina", small)
        with h5py.File(path, "r+") as file:
            del file["1/EBSD/Data"][member]
        with pytest.raises(InputError, match=words):
            read_scan(path)
    path = writers["h5oina 2"](tmp_path / "nowhere.h5oina", small)
    with h5py.File(path, "r+") as file:
        del file["1/EBSD/Header/X Step"]
    with pytest.raises(InputError, match="where the points are is not known"):
        read_scan(path)


def test_an_hdf5_file_that_claims_too_much_is_refused(writers: dict[str, Writer], small: Scan, tmp_path: Path) -> None:
    path = writers["h5oina 2"](tmp_path / "map.h5oina", small)
    with h5py.File(path, "r+") as file:
        del file["1/EBSD/Data/Euler"]
        file["1/EBSD/Data"].create_dataset("Euler", shape=(10**12, 3), dtype=np.float32, chunks=True)
    with pytest.raises(InputError, match="more than the file holds"):
        read_scan(path)


def test_coordinates_of_the_stage_keep_their_precision(writers: dict[str, Writer], small: Scan, tmp_path: Path) -> None:
    """A map 0.1 m from the stage's origin, in steps of 0.05 um."""
    path = writers["ctf"](tmp_path / "map.ctf", replace(small, step_um=0.05))
    head, columns, rows = path.read_text().partition("BC\tBS\n")
    lines = [line.split("\t") for line in rows.splitlines()]
    for words in lines:
        words[1] = f"{float(words[1]) + 1e5:.4f}"
    path.write_text(head + columns + "".join("\t".join(words) + "\n" for words in lines))
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.phase, small.phase)
    assert scan.step_um == pytest.approx(0.05, rel=1e-3)


def test_memory_stays_below_three_times_the_columns_kept(tmp_path: Path) -> None:
    """What numpy and Python allocate while a text file of 16 MB is read."""
    import tracemalloc

    count = 320
    index = np.arange(count * count)
    row, column = np.divmod(index, count)
    zeros = np.zeros(len(index))
    table = np.column_stack(
        [zeros + 1, column, row, zeros + 8, zeros, 0.1 + index / 2000, zeros, zeros, zeros, zeros + 9]
    )
    path = tmp_path / "large.ctf"
    with path.open("w") as file:
        file.write("Channel Text File\nPhases\t1\n2.866;2.866;2.866\t90;90;90\tIron bcc\t11\t229\n")
        file.write("Phase\tX\tY\tBands\tError\tEuler1\tEuler2\tEuler3\tMAD\tBC\n")
        for _ in range(3):  # the same places again: more points than places
            np.savetxt(file, table, fmt="%d\t%.4f\t%.4f\t%d\t%d\t%.4f\t%.4f\t%.4f\t%.4f\t%d")
    read_scan(path)  # imports and caches
    tracemalloc.start()
    scan = read_scan(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    kept = 3 * (scan.euler.nbytes + scan.phase.nbytes + scan.quality.nbytes)
    assert peak < 3 * kept + 8e6  # a block of text and its numbers, however long the file
