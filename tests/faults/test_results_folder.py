"""A results folder that is full or read-only: one sentence, nothing corrupt, and the same command goes on later."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from study.plan import look

from ..command_line import study


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[None]:
    """A file system of its own in `folder`."""
    folder.mkdir(exist_ok=True)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def refused(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert words in done.stderr, done.stdout + done.stderr
    assert done.stderr.startswith("study: ")
    assert done.stderr.count("\n") == 1, done.stderr


def whole(results: Path) -> None:
    """Every file can be read, and none is half."""
    for path in results.rglob("*"):
        assert not path.name.startswith("."), path
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".parquet":
            pq.read_table(path)


SIZES = [(200, 2), *(pytest.param(size, 8, marks=pytest.mark.faults) for size in (4, 64, 350, 420, 500, 600, 800))]


@pytest.mark.parametrize(("kilobytes", "trials"), SIZES)
def test_a_full_disk(kilobytes: int, trials: int, study_file: Path) -> None:
    if trials == 2:
        text = study_file.read_text().replace("[16, 32]", "[16]").replace("replicates: 2", "replicates: 1")
        study_file.write_text(text.replace("cpu: 1", "cpu: 2"))
    assert len(look(study_file).states) == trials
    results = study_file.parent / "results"
    with small_disk(results, f"size={kilobytes}k"):
        full = study("run", study_file, folder=study_file.parent)
        refused(full, "No space left on device")
        whole(results)
        assert [record.cause for record in look(study_file).now.records.values() if record.cause] == []
        remount(results, "size=64m")
        again = study("run", study_file, folder=study_file.parent)
        assert again.returncode == 0, again.stdout + again.stderr
        assert set(look(study_file).states.values()) == {"done"}


def test_a_read_only_folder(study_file: Path) -> None:
    results = study_file.parent / "results"
    with small_disk(results, "size=8m"):
        (results / "tiny").mkdir()
        remount(results, "ro")
        refused(study("run", study_file, folder=study_file.parent), "Read-only file system")
        assert study("plan", study_file, folder=study_file.parent).returncode == 0
        assert study("status", study_file, folder=study_file.parent).returncode == 0
        assert list((results / "tiny").iterdir()) == []


def test_a_folder_that_is_not_ours(study_file: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("the superuser may write everywhere")
    results = study_file.parent / "results"
    results.mkdir(mode=0o500)
    refused(study("run", study_file, folder=study_file.parent), "Permission denied")
