"""The README's commands run, in its order, on study files made small; its links lead somewhere."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qgan.ebsd.ang_writer import write_ang
from qgan.ebsd.synthetic_maps import synthetic_map

ROOT = Path(__file__).parent.parent
SCANS = Path(os.environ.get("EBSD_SCANS", ROOT / "../shared/data/scans"))
README = (ROOT / "README.md").read_text()
COMMANDS = [line[2:] for block in re.findall(r"```console\n(.*?)```", README, re.S) for line in block.splitlines()]


def shrink(path: Path) -> None:
    """Make a study file cheap; the commands stay as they are printed."""
    for old, new in (
        (r"epochs: \[\d+\]", "epochs: [4]"),
        (r"window: \d+", "window: 2"),
        (r"width: \d+", "width: 4"),
        (r"latent_dim: \[8, 12\]", "latent_dim: [8]"),
        (r"images: \[(64, 256|128, 512)\]", "images: [128]"),
        (r"replicates: \d+", "replicates: 1"),
    ):
        path.write_text(re.sub(old, new, path.read_text()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "search_spaces", folder / "search_spaces")
    shrink(folder / "search_spaces/smoke.yaml")
    real = sorted(SCANS.glob("bcc_lath_slices/*.ANG"))
    (folder / "scans").mkdir()
    for path in real:
        (folder / "scans" / path.name).symlink_to(path.absolute())
    for number in range(0 if real else 8):
        path = folder / f"scans/S{number:02}.ANG"
        write_ang(path, synthetic_map("bainite", 120, 0.25, np.random.default_rng(number), path.name))
    return folder


def test_the_readme_shows_commands() -> None:
    assert [command for command in COMMANDS if command.startswith("make")] == ["make demo", "make test"]
    assert len(COMMANDS) > 10


def test_make_demo_runs_what_the_readme_says() -> None:
    done = subprocess.run(["make", "--dry-run", "demo"], cwd=ROOT, capture_output=True, text=True, check=True)
    for command in ("study run search_spaces/smoke.yaml", "study report search_spaces/smoke.yaml"):
        assert command in done.stdout


def test_every_study_command_of_the_readme(folder: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    commands = [command for command in COMMANDS if command.startswith("study ")]
    for command in commands:
        done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        if shlex.split(command)[:2] == ["study", "init"]:
            shrink(folder / "lath.yaml")
    assert (folder / "results/lath/report.html").exists()
    assert (folder / "ferrite.parquet").exists()


def test_every_link_in_the_documentation_exists() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
            if not target.startswith(("http", "#")):
                assert (page.parent / target.partition("#")[0]).exists(), f"{page.name}: {target}"
