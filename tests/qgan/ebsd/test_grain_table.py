"""Tables of grains: written, filled in, read back as labels."""

import csv
from pathlib import Path

import numpy as np
import pytest

from qgan.ebsd.grain_table import grain_rows, read_grain_labels, require_scans, write_grain_table
from qgan.ebsd.patches import cleaned_grains, cut_scan
from qgan.ebsd.scan import Scan
from qgan.ebsd.settings import Settings
from qgan.errors import InputError

SETTINGS = Settings(patch=32)


def filled(path: Path, bainite: Scan) -> list[dict[str, str]]:
    """A table of the map whose large grains are called coarse."""
    write_grain_table(path, grain_rows(*cleaned_grains(bainite, SETTINGS), SETTINGS))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["microstructure"] = "coarse" if int(row["pixels"]) > 100 else ""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return rows


def test_labels_come_back_to_their_grains(bainite: Scan, tmp_path: Path) -> None:
    path = tmp_path / "grains.csv"
    rows = filled(path, bainite)
    labels = read_grain_labels(path)
    assert list(labels) == [bainite.source]
    cut = cut_scan(bainite, SETTINGS, microstructure="rest", grain_labels=labels[bainite.source], table=str(path))
    word = {int(row["grain"]): row["microstructure"] or "rest" for row in rows}
    assert cut.microstructure.tolist() == [word[grain] for grain in cut.grain.tolist()]
    assert set(cut.microstructure) == {"coarse", "rest"}
    plain = cut_scan(bainite, SETTINGS, grain_labels=labels[bainite.source], table=str(path))
    assert set(plain.microstructure) == {"coarse", None}


def test_the_numbers_are_the_grains_own(bainite: Scan) -> None:
    cleaned, grains = cleaned_grains(bainite, SETTINGS)
    rows = grain_rows(cleaned, grains, SETTINGS)
    assert len(rows) == (grains.sizes >= SETTINGS.min_grain).sum()
    for row in rows:
        assert grains.labels[row.row, row.column] == row.grain
        assert row.pixels == (grains.labels == row.grain).sum()
        assert row.diameter_um == pytest.approx(2 * np.sqrt(row.pixels / np.pi) * 0.25)
        assert 0 <= row.gos_deg < 25 and (np.isnan(row.kam_mean_deg) or 0 <= row.kam_mean_deg < 5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no column scan"),
        ("scan,row,column\n", "has no column microstructure"),
        ("scan,row,column,microstructure\nbainite map,1,1,\n", "no line has a microstructure"),
        ("scan,row,column,microstructure\nbainite map,1.5,1,x\n", "line 2: row and column must be whole"),
        ("scan,row,column,microstructure\nbainite map,1\n", "no line has"),
        ("scan;row;column;microstructure\nbainite map;1;900;x\n", "line 2: row 1, column 900 is outside the map"),
        ("microstructure,scan,row,column\nx,bainite map,40,40\ny,bainite map,40,40\n", "another line calls x"),
    ],
)
def test_wrong_tables_get_one_sentence(bainite: Scan, tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "grains.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        cut_scan(bainite, SETTINGS, grain_labels=read_grain_labels(path)["bainite map"], table=str(path))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_noise_and_unknown_scans_are_refused(bainite: Scan, tmp_path: Path) -> None:
    path = tmp_path / "grains.csv"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        read_grain_labels(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_grain_labels(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="labels grains of a, which is not among the scans: b, c"):
        require_scans({"a": []}, ["b", "c"], path)
    with pytest.raises(InputError, match="2 scans are called so"):
        require_scans({"a": []}, ["a", "a"], path)
