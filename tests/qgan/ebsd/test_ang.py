"""Every path of the .ang reader, on files written here."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qgan.ebsd.ang_writer import write_ang
from qgan.ebsd.readers import read_scan
from qgan.ebsd.scan import BCC, FCC, NOISE, OTHER, Phase, Scan
from qgan.errors import InputError

FERRITE = ("Iron bcc (old)", 43, "2.866 2.866 2.866 90 90 90")
AUSTENITE = ("Phase B", 43, "3.595 3.595 3.595 90 90 90")
HEXAGONAL = ("Epsilon alpha", 62, "2.5 2.5 4.1 90 90 120")
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A writer of small .ang files."""

    def write_(
        rows: np.ndarray,
        phases: tuple[tuple[str, int, str], ...] = (FERRITE,),
        grid: str = "# GRID: SqrGrid\n# XSTEP: 0.5\n# NCOLS_ODD: 5\n# NROWS: 4\n",
        name: str = "map.ang",
        edit: Callable[[str], str] = str,
    ) -> Path:
        text = "# TEM_PIXperUM 1.0\n#\n"
        for number, (material, symmetry, lattice) in enumerate(phases, 1):
            text += f"# Phase {number}\n# MaterialName \t{material}\n# Formula\t\n# Symmetry {symmetry}\n"
            text += f"# LatticeConstants\t{lattice}\n"
        text += grid + "#\n"
        text += "".join("  ".join(f"{value:.5f}" for value in row[:-1]) + f"  {row[-1]:.0f} 1 0.5\n" for row in rows)
        path = tmp_path / name
        path.write_text(edit(text), encoding="utf-8")
        return path

    return write_


def points(columns: int = 5, rows: int = 4, step: float = 0.5) -> np.ndarray:
    """phi1 Phi phi2 x y IQ CI phase of a map where every point differs."""
    y, x = np.divmod(np.arange(columns * rows), columns)
    k = np.arange(columns * rows)
    return np.column_stack([0.1 + k / 100, 0.5 + 0 * k, 1 + k / 50, x * step, y * step, 50 + k, 0.5 + 0 * k, 0 * k])


def same_map(a: Scan, b: Scan) -> None:
    for field in ("euler", "phase", "quality"):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
    assert (a.confidence is None) == (b.confidence is None)
    if a.confidence is not None:
        np.testing.assert_array_equal(a.confidence, b.confidence)
    assert a.step_um == pytest.approx(b.step_um)


def test_a_plain_file_is_read(write: Write) -> None:
    scan = read_scan(write(points()))
    assert scan.shape == (4, 5)
    assert scan.step_um == pytest.approx(0.5)
    assert scan.quality[1, 2] == 57
    assert scan.euler[1, 2, 0] == pytest.approx(0.17)
    assert (scan.phase == BCC).all()  # phase 0 in a file of one phase is the phase
    assert scan.warnings == ()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(20)))
def test_rows_in_any_order_make_the_same_map(write: Write, order: list[int]) -> None:
    rows = points()
    same_map(read_scan(write(rows)), read_scan(write(rows[order], name="shuffled.ang")))


def test_swapped_coordinates_make_the_transposed_map(write: Write) -> None:
    rows = points()
    scan = read_scan(write(rows))
    rows[:, [3, 4]] = rows[:, [4, 3]]
    transposed = read_scan(write(rows, name="transposed.ang"))
    np.testing.assert_array_equal(transposed.euler, scan.euler.transpose(1, 0, 2))
    np.testing.assert_array_equal(transposed.quality, scan.quality.T)


def test_absent_points_are_noise(write: Write) -> None:
    scan = read_scan(write(np.delete(points(), [7, 13], axis=0)))
    assert scan.shape == (4, 5)
    assert np.argwhere(scan.phase == NOISE).tolist() == [[1, 2], [2, 3]]
    assert np.isnan(scan.quality[1, 2])
    assert "2 of 20 points are absent" in scan.warnings[0]


def test_unindexed_points_are_noise(write: Write) -> None:
    rows = points()
    rows[0, :3] = 4 * np.pi
    rows[1, 6] = -1
    rows[2, :3], rows[2, 5] = 0, 0  # a ghost
    rows[3, :3] = 0  # a cube-oriented pixel with quality is data
    scan = read_scan(write(rows))
    assert np.flatnonzero(scan.phase == NOISE).tolist() == [0, 1, 2]
    assert (scan.euler[0, :3] == 0).all()


def test_a_header_that_lies_loses_against_the_coordinates(write: Write) -> None:
    grid = "# GRID: HexGrid\n# XSTEP: 0.1\n# NCOLS_ODD: 140\n# NROWS: 160\n"
    scan = read_scan(write(points(step=0.4), grid=grid, name="LIES.ANG"))
    assert scan.shape == (4, 5)
    assert scan.step_um == pytest.approx(0.4)
    assert "columns and rows and step and a hexagonal grid disagree" in scan.warnings[0]


def test_steps_rounded_in_print_do_not_drift(write: Write) -> None:
    rows = points(columns=200, rows=6, step=1 / 3)
    rows[:, 3:5] = rows[:, 3:5].round(2)
    scan = read_scan(write(rows, grid=""))
    assert scan.shape == (6, 200)
    assert scan.step_um == pytest.approx(1 / 3, rel=1e-3)


def test_several_phases(write: Write) -> None:
    rows = points()
    rows[:, 7] = np.arange(20) % 4
    scan = read_scan(write(rows, (FERRITE, AUSTENITE, HEXAGONAL)))
    assert scan.phase.ravel()[:4].tolist() == [NOISE, BCC, FCC, OTHER]  # by name, by lattice, not cubic
    assert '--phase-map "Epsilon alpha=bcc"' in scan.warnings[0]
    mapped = read_scan(write(rows, (FERRITE, AUSTENITE, HEXAGONAL)), {"epsilon ALPHA": "bcc"})
    assert mapped.phase.ravel()[:4].tolist() == [NOISE, BCC, FCC, BCC]


def test_a_file_of_one_phase_that_also_numbers_the_unindexed(write: Write) -> None:
    rows = points()
    rows[5:, 7] = 1
    assert (read_scan(write(rows)).phase.ravel() == [NOISE] * 5 + [BCC] * 15).all()


def test_phases_the_header_does_not_describe_are_other(write: Write) -> None:
    rows = points()
    rows[:, 7] = 1 + np.arange(20) % 2
    scan = read_scan(write(rows))
    assert scan.share(OTHER) == 0.5
    assert "phase 2" in scan.warnings[0]


def test_emsofts_dot_product_is_no_confidence(write: Write) -> None:
    eight = read_scan(write(points(), edit=lambda text: text.replace(" 1 0.5\n", "\n")))
    assert eight.vendor == "EMsoft" and eight.confidence is None
    named = read_scan(write(points(), edit=lambda text: text.replace("# Formula", "# Info EMsoft\n# Formula")))
    assert named.confidence is None
    assert read_scan(write(points())).confidence is not None


def test_degrees_are_recognised(write: Write) -> None:
    rows = points()
    scan = read_scan(write(rows))
    rows[:, :3] = np.degrees(rows[:, :3])
    degrees = read_scan(write(rows, name="degrees.ang"))
    assert np.allclose(degrees.euler, scan.euler, atol=1e-6)
    assert "degrees" in degrees.warnings[0]


def test_decimal_commas_and_a_cut_last_line(write: Write) -> None:
    def edit(text: str) -> str:
        head, _, body = text.rpartition("#\n")
        return head + "#\n" + body.replace(".", ",")[:-30]

    scan = read_scan(write(points(), edit=edit))
    assert scan.euler[0, 1, 0] == pytest.approx(0.11)
    assert scan.phase[-1, -1] == NOISE
    assert "1 lines could not be read" in scan.warnings[0]


def test_points_sharing_a_place_are_reported(write: Write) -> None:
    rows = points()
    scan = read_scan(write(np.vstack([rows, rows[:1]])))
    assert scan.shape == (4, 5) and "share a place" in scan.warnings[0]


def hexagonal() -> np.ndarray:
    rows = points(10, 10)
    rows[:, 3] += 0.25 * (np.rint(rows[:, 4] / 0.5) % 2)
    rows[:, 4] *= np.sqrt(3) / 2
    return rows


def oblong() -> np.ndarray:
    rows = points()
    rows[:, 4] *= 2
    return rows


def scattered() -> np.ndarray:
    rows = points()
    rows[:, 3:5] = np.random.default_rng(0).uniform(0, 100, (20, 2))
    return rows


def not_a_number() -> np.ndarray:
    return np.where(np.arange(8) < 3, np.nan, points())


def test_a_hexagonal_grid_is_resampled_without_using_a_point_twice(write: Write) -> None:
    rows = hexagonal()
    scan = read_scan(write(rows))
    assert scan.step_um == pytest.approx(0.5)
    assert scan.shape == (8, 10)
    kept = scan.quality[~np.isnan(scan.quality)]
    assert len(np.unique(kept)) == len(kept) == 80
    row, column = np.indices(scan.shape)
    point = (scan.quality - 50).astype(int)  # the number of the point each pixel took
    distance = np.hypot(rows[point, 3] - column * 0.5, rows[point, 4] - row * 0.5)
    assert distance.max() < 0.5 * 0.67  # half a step along the row, half a row across
    assert "20 of 100 points are left out" in scan.warnings[0]
    shuffled = np.random.default_rng(0).permutation(rows)
    same_map(read_scan(write(shuffled, name="shuffled.ang")), scan)


VERSION_7 = """# HEADER: Start
# NOTES: Start
# Version 3: phi1, PHI, phi2, x, y, iq, ci, phase
# Phase index: 0 for single phase, starting at 1 for multiphase
# NOTES: End
# COLUMN_COUNT: 10
# COLUMN_HEADERS: phi1, PHI, phi2, x, y, IQ, CI, {}
# COLUMN_UNITS: radians, radians, radians, microns, microns, , , , , degrees
# COLUMN_NOTES: Start
# Column 8: Phase index
# COLUMN_NOTES: End
# HEADER: End
"""


def test_headers_of_version_7_name_their_columns(write: Write) -> None:
    rows = points()
    rows[:, 7] = 1 + np.arange(20) % 2
    expected = read_scan(write(rows, (FERRITE, AUSTENITE)))
    usual = VERSION_7.format("Phase index, SEM, Fit")
    same_map(read_scan(write(rows, (FERRITE, AUSTENITE), edit=lambda text: text + usual, name="after.ang")), expected)
    assert len(expected.phases) == 2

    def swap(text: str) -> str:
        lines = [line.split() if line[0].isdigit() else line for line in text.splitlines(keepends=True)]
        moved = [line if isinstance(line, str) else " ".join([*line[:7], "7.5", *line[7:9]]) + "\n" for line in lines]
        return VERSION_7.format("Fit, Phase index, SEM") + "".join(moved)

    scan = read_scan(write(rows, (FERRITE, AUSTENITE), edit=swap, name="swapped.ang"))
    same_map(scan, expected)
    assert scan.warnings == ()


def test_mtex_writes_point_groups_and_may_put_the_phase_last(write: Write) -> None:
    rows = points()
    rows[:, 7] = 1 + np.arange(20) % 2
    groups = tuple((name, "m-3m", cell) for name, _, cell in (FERRITE, AUSTENITE))
    expected = read_scan(write(rows, groups))
    assert set(np.unique(expected.phase)) == {BCC, FCC}

    def last(text: str) -> str:
        lines = [line.split() if line[0].isdigit() else line for line in text.splitlines(keepends=True)]
        return "".join(
            line if isinstance(line, str) else " ".join([*line[:7], "0.73", "1.2", line[7]]) + "\n" for line in lines
        )

    scan = read_scan(write(rows, groups, edit=last, name="last.ang"))
    same_map(scan, expected)
    assert "column 10 is taken" in scan.warnings[0]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (oblong(), "not square"),
        (scattered(), "not a map"),
        (points(rows=1), "one line"),
        (points()[:1], "one line"),
        (points()[:0], "no points"),
        (not_a_number(), "finite"),
    ],
)
def test_what_is_not_a_square_map_is_refused_in_a_sentence(write: Write, rows: np.ndarray, words: str) -> None:
    path = write(rows)
    with pytest.raises(InputError, match=words) as caught:
        read_scan(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        (b"Channel Text File\nPrj test\n", "no line names its columns"),
        (b"[General]\nVersion=5.0\n[Fields]\nCount=0\n", "no Count"),
        (b"PAR1" + bytes(50), "Parquet"),
        (bytes(range(256)) * 40, "not a scan"),
        (b"Dear reader,\nthis is a letter.\n", "not a scan"),
        (b"1 2 3\n4 5 6\n", "not a scan"),
        (b"# TEM_PIXperUM 1.0\nthis is no number at all, 3\n", "no points"),
        (b"# GRID: SqrGrid\n" + b"1 2 3 0 0 1 1 1 1 1\n" + b"garbage 7\n" * 9, "no rows of 8 numbers"),
    ],
)
def test_other_files_are_refused_in_a_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "thing.ang"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_scan(path)
    assert "\n" not in str(caught.value)


def test_missing_files_folders_and_wrong_phase_maps(tmp_path: Path, write: Write) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_scan(tmp_path / "absent.ang")
    with pytest.raises(InputError, match="is a folder"):
        read_scan(tmp_path)
    with pytest.raises(InputError, match="must be bcc, fcc or other"):
        read_scan(write(points()), {"Iron": "hcp"})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400), st.booleans())
def test_garbage_never_ends_in_a_traceback(tmp_path: Path, garbage: bytes, with_header: bool) -> None:
    path = tmp_path / "garbage.ang"
    path.write_bytes((b"# TEM_PIXperUM 1\n# Phase 1\n" if with_header else b"") + garbage)
    with pytest.raises(InputError):
        read_scan(path)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), step=st.floats(0.01, 30), has_confidence=st.booleans())
def test_any_map_comes_back_unchanged(tmp_path: Path, seed: int, step: float, has_confidence: bool) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(4, 12, 2))
    phase = rng.integers(0, 4, shape).astype(np.uint8)
    euler = (rng.random((*shape, 3)) * [2 * np.pi, np.pi, 2 * np.pi]).astype(np.float32)
    quality = rng.uniform(1, 5000, shape).astype(np.float32)
    confidence = rng.uniform(-0.9, 1, shape).astype(np.float32)
    euler[phase == NOISE] = 0
    phases = (
        Phase(1, "Iron bcc", 2.8665, BCC),
        Phase(2, "known to the user only", 9.25, FCC),
        Phase(5, "Cementite, gamma", 5.09, OTHER),
    )
    scan = Scan("map", euler, phase, quality, "IQ", confidence if has_confidence else None, step, "test", phases)
    path = tmp_path / "map.ang"
    write_ang(path, scan)
    back = read_scan(path)
    same_map(back, scan)
    assert [(p.id, p.name, p.lattice_angstrom, p.code) for p in back.phases] == [
        (p.id, p.name, p.lattice_angstrom, p.code) for p in phases
    ]


def test_a_synthetic_map_comes_back_unchanged(tmp_path: Path, bainite: Scan) -> None:
    path = tmp_path / "bainite.ang"
    write_ang(path, bainite)
    back = read_scan(path)
    same_map(back, bainite)
    assert (back.phases, back.warnings) == (bainite.phases, ())
    dot_products = replace(bainite, confidence=None)
    write_ang(path, dot_products)
    np.testing.assert_array_equal(read_scan(path).phase, bainite.phase)
