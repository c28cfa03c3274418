"""`study data` as a user types it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from qgan.ebsd.ang_writer import write_ang
from qgan.ebsd.dataset import read_footer, read_patches
from qgan.ebsd.synthetic_maps import synthetic_map
from qgan.errors import InputError
from study.commands.data import data


def run(*arguments: object) -> Result:
    return CliRunner().invoke(data, [str(argument) for argument in arguments])


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, InputError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two synthetic maps as .ang, the second with the suffix in capitals."""
    folder = tmp_path_factory.mktemp("scans")
    paths = [folder / "one.ang", folder / "two.ANG"]
    for seed, path in enumerate(paths):
        write_ang(path, synthetic_map("bainite", 72, 0.4, np.random.default_rng(seed), path.name))
    return paths


def test_build(scans: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "patches.parquet"
    result = run("build", *scans, "--microstructure", "bainite", "--patch", 32, "-o", output)
    assert result.exit_code == 0, result.output
    footer = read_footer(output)
    assert f"{footer.count} patches of 32 x 32 from 2 maps" in result.output
    assert result.output.rstrip().endswith(str(output))
    assert "one.ang: 72 x 72 at 0.4 um; BCC" in result.output and "cleaned" in result.output
    assert footer.microstructures == {"bainite": footer.count}
    assert footer.settings["patch"] == 32
    assert [record["source"] for record in footer.cleaning] == ["one.ang", "two.ANG"]
    every = run("build", *scans, "--patch", 32, "--edge", "clamp", "--centre", "any", "-o", output)
    assert every.exit_code == 0
    assert read_footer(output).count > footer.count
    assert not read_footer(output).microstructures


def test_build_obeys_the_phase_map(scans: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "patches.parquet"
    message = refused("build", scans[0], "--patch", 32, "--phase-map", "Iron bcc=other", "-o", output)
    assert "no patch of 32 x 32" in message
    assert "NAME=bcc" in refused("build", scans[0], "--phase-map", "Iron bcc", "-o", output)
    assert not output.exists()


def test_build_refuses_before_it_works(scans: list[Path], tmp_path: Path) -> None:
    assert "does not exist" in refused("build", scans[0], "-o", tmp_path / "absent" / "p.parquet")
    assert "is a folder" in refused("build", scans[0], "-o", tmp_path)
    assert "--patch 72" in refused("build", scans[0], "--patch", 80, "-o", tmp_path / "p.parquet")
    assert "No such file" in refused("build", tmp_path / "absent.ang", "-o", tmp_path / "p.parquet")
    assert not list(tmp_path.iterdir())


def test_synthetic_and_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    output = tmp_path / "ferrite.parquet"
    arguments = ("--microstructure", "ferrite", "--count", 12, "--patch", 16, "--processes", 1, "-o", output)
    made = run("synthetic", *arguments)
    assert made.exit_code == 0, made.output
    assert len(read_patches(output)) == 12
    shown = run("show", output, "--rows", 2)
    assert shown.exit_code == 0, shown.output
    assert "12 patches of 16 x 16 at 0.9375 um: ferrite 12" in shown.output
    assert "synthetic-v1 ferrite count=12 seed=0 patch=16" in shown.output
    assert (tmp_path / "ferrite.png").read_bytes().startswith(b"\x89PNG")
    assert "picture: ferrite.png" in shown.output


def test_show_draws_a_scan(scans: list[Path], tmp_path: Path) -> None:
    picture = tmp_path / "map.pdf"
    result = run("show", scans[0], "-o", picture)
    assert result.exit_code == 0, result.output
    assert "phase 1: Iron bcc, taken for BCC" in result.output
    assert picture.read_bytes().startswith(b"%PDF")
    assert ".docx" in refused("show", scans[0], "-o", tmp_path / "map.docx")
    assert [each.name for each in tmp_path.iterdir()] == ["map.pdf"]


def test_show_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "half.parquet").write_bytes(b"PAR1 and no more")
    assert "Parquet" in refused("show", tmp_path / "half.parquet", "-o", tmp_path / "p.png")
    assert "No such file" in refused("show", tmp_path / "absent", "-o", tmp_path / "p.png")
    (tmp_path / "letter.txt").write_text("Dear reader")
    assert "not a scan" in refused("show", tmp_path / "letter.txt", "-o", tmp_path / "p.png")


def test_help_imports_nothing_heavy() -> None:
    heavy = ("numpy", "scipy", "pyarrow", "matplotlib")
    code = f"import sys, study.commands.data; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
