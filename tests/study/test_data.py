"""`study data` as a user types it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from qgan.ebsd.ang_writer import write_ang
from qgan.ebsd.dataset import read_footer, read_patches
from qgan.ebsd.scan import Phase
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
    assert "no point is of a known BCC or FCC phase" in message and "--phase-map" in message
    assert "NAME=bcc" in refused("build", scans[0], "--phase-map", "Iron bcc", "-o", output)
    assert not output.exists()


def test_build_refuses_before_it_works(scans: list[Path], tmp_path: Path) -> None:
    assert "does not exist" in refused("build", scans[0], "-o", tmp_path / "absent" / "p.parquet")
    assert "is a folder" in refused("build", scans[0], "-o", tmp_path)
    assert "--patch 72" in refused("build", scans[0], "--patch", 80, "-o", tmp_path / "p.parquet")
    assert "No such file" in refused("build", tmp_path / "absent.ang", "-o", tmp_path / "p.parquet")
    assert not list(tmp_path.iterdir())


def test_build_with_other_relations_kernels_steps_and_labels(scans: list[Path], tmp_path: Path) -> None:
    output, table = tmp_path / "patches.parquet", tmp_path / "grains.csv"
    words = (
        "--relation",
        "5.77,48.19,5.77",
        "--set",
        "kam_order=2",
        "--set",
        "kam_periphery=true",
        "--resample-step",
        0.8,
    )
    result = run("build", *scans, "--patch", 16, *words, "-o", output)
    assert result.exit_code == 0, result.output
    footer = read_footer(output)
    assert footer.step_um == 0.8
    kept = {name: footer.settings[name] for name in ("ks_relation", "kam_order", "kam_periphery", "resample_step_um")}
    assert kept == {"ks_relation": "5.77,48.19,5.77", "kam_order": 2, "kam_periphery": True, "resample_step_um": 0.8}
    assert "resampled from 0.4 to 0.8 um" in footer.cleaning[0]["warnings"][-1]
    assert 0 <= footer.cleaning[0]["ks_clipped"] < 0.5

    assert run("grains", scans[0], "--patch", 16, "-o", table).exit_code == 0
    header, *lines = table.read_text().splitlines()
    table.write_text("\n".join([header, *(f"{line}coarse" for line in lines[:9]), *lines[9:]]))
    labelled = run("build", scans[0], "--patch", 16, "--edge", "clamp", "--grain-labels", table, "-o", output)
    assert labelled.exit_code == 0, labelled.output
    assert 0 < read_footer(output).microstructures["coarse"] <= 9 < read_footer(output).count
    assert "not among the scans" in refused("build", scans[1], "--grain-labels", table, "-o", tmp_path / "p.parquet")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--relation", "GT"), "must be KS, NW or three Bunge angles"),
        (("--set", "kam_oder=2"), "write NAME=VALUE with one of patch, centre"),
        (("--set", "kam_order=two"), "kam_order must be a whole number"),
        (("--set", "kam_shape=round"), "kam_shape must be square or circle"),
        (("--resample-step", 0.1), "which no resampling makes 0.1 um; choose 0.4 um or more"),
        (("--resample-step", 4), "too few for patches of 60 x 60"),
        (("--patch", 600), "patch must be from 8 to 512"),
    ],
)
def test_wrong_parameters_are_refused_in_a_sentence(
    scans: list[Path], tmp_path: Path, words: tuple[object, ...], message: str
) -> None:
    assert message in refused("build", scans[0], *words, "-o", tmp_path / "p.parquet")
    assert not list(tmp_path.iterdir())


def test_maps_without_steel_are_refused_with_their_name(scans: list[Path], tmp_path: Path) -> None:
    """All noise, one phase that is not asked for, unknown phases: file, reason, way out; nothing written."""
    scan = synthetic_map("bainite", 72, 0.4, np.random.default_rng(0), "map")
    euler, output = scan.euler, tmp_path / "p.parquet"
    for name, phase, phases, words in (
        ("noise.ang", 0 * scan.phase, scan.phases, "none of its 5184 points is indexed"),
        ("austenite.ang", np.full_like(scan.phase, 2), scan.phases, "no BCC grain of 15 pixels"),
        (
            "unknown.ang",
            np.full_like(scan.phase, 3),
            (Phase(3, "Cementite", 5.09, 3),),
            '(phases: "Cementite"); say what a phase is with --phase-map',
        ),
    ):
        path = tmp_path / name
        write_ang(path, replace(scan, euler=euler, phase=phase, phases=phases))
        message = (
            refused("build", scans[0], path, "--patch", 32, "-o", output)
            if name != "austenite.ang"
            else refused("build", path, "--patch", 32, "-o", output)
        )
        assert name in message and words in message
        assert not output.exists()


def test_synthetic_maps_come_back_through_the_reader_as_the_same_patches(tmp_path: Path) -> None:
    direct, again, folder = tmp_path / "direct.parquet", tmp_path / "again.parquet", tmp_path / "maps"
    words = ("--microstructure", "bainite", "--count", 40, "--patch", 16, "--processes", 1, "-o", direct)
    assert run("synthetic", *words, "--maps", folder).exit_code == 0
    files = sorted(folder.iterdir())
    assert [path.name for path in files] == [f"bainite-{k:03}.ang" for k in range(len(files))]
    assert run("build", *files, "--microstructure", "bainite", "--patch", 16, "-o", again).exit_code == 0
    every = {image.tobytes() for image in read_patches(again).images}
    assert {image.tobytes() for image in read_patches(direct).images} <= every
    assert [record["flagged"] for record in read_footer(direct).cleaning] == [
        record["flagged"] for record in read_footer(again).cleaning
    ]
    assert "does not exist yet" in refused("synthetic", *words, "--maps", folder)
    refused("synthetic", "--microstructure", "bainite", "--count", 0, "-o", direct, "--maps", tmp_path / "no")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.parquet", "direct.parquet", "maps"]


def test_noise_by_the_network_is_measured_and_recorded(
    scans: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qgan.ebsd import noise_network

    for name, value in (("_MAPS", 1), ("_HELD_OUT", 1), ("_STEPS", 10)):
        monkeypatch.setattr(noise_network, name, value)
    for cached in (noise_network._network, noise_network.scores):
        cached.cache_clear()
    output = tmp_path / "p.parquet"
    result = run("build", scans[0], "--patch", 32, "--noise", "network", "-o", output)
    for cached in (noise_network._network, noise_network.scores):
        cached.cache_clear()
    assert result.exit_code == 0, result.output
    assert "noise by rules, on held-out synthetic maps: precision" in result.output
    assert "noise by network, on held-out synthetic maps: precision" in result.output
    settings = read_footer(output).settings
    assert settings["noise"] == "network"
    assert set(settings["noise_scores"]["network"]) == {"precision", "recall", "misindexed_recall"}


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
    assert "synthetic-v1 generator=2 ferrite count=12 seed=0 patch=16" in shown.output
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
