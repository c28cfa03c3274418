"""SIGKILL of the launcher or of a worker at random instants: nothing is lost, nothing done twice to the end."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from study.plan import trials
from study.spec import load
from study.trainable import job, run

RUN = [sys.executable, "-m", "study", "run"]
EPOCHS = 60
STUDY = """\
study: {name}
data: {{source: {patches}, evaluation: 40}}
arms:
  bernoulli: {{prior: bernoulli}}
  qcbm: {{prior: qcbm, gradient: exact, update_every: 2, train_epochs: 40}}
baseline: bernoulli
grid: {{latent_dim: [3], images: [16, 32], epochs: [30, {epochs}]}}
replicates: 1
train: {{batch_size: 8, width: 4}}
score: {{images: 20, window: 3, draws: 50}}
resources: {{cpu: 1}}
results: {results}
"""


def write(folder: Path, patches_file: Path, name: str) -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(STUDY.format(name=name, patches=patches_file, results=folder / "results", epochs=EPOCHS))
    return file


def launch(file: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*RUN, str(file)],
        cwd=file.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ray's processes end with their group, which must not be this one
    )


def records(file: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in file.parent.glob(f"results/{file.stem}/trials/*/trial.json")]


def table(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = pq.read_table(path).to_pydict()
    found.pop("seconds", None)
    return found


def workers(file: Path) -> Iterator[int]:
    """Processes of trials that say they run and do."""
    for record in records(file):
        process = record["attempts"][-1]["process"]
        if record["status"] == "running" and Path(f"/proc/{process}").exists():
            yield process


def check(file: Path, whole: Path) -> None:
    found = records(file)
    assert len(found) == 4
    for record in found:
        assert record["status"] == "done"
        assert [attempt["ended"] for attempt in record["attempts"]].count("done") == 1  # to the end once
        assert record["attempts"][-1]["ended"] == "done"
        for name in ("curve.parquet", "scores.parquet", "images.parquet"):
            mine, expected = (each.parent / "results" / each.stem / "trials" / record["key"] / name
                              for each in (file, whole))  # fmt: skip
            assert table(mine) == table(expected), f"{record['key']}: {name}"
        assert not list(Path(file.parent, "results", file.stem, "trials", record["key"]).glob(".*"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, patches_file: Path) -> Path:
    """The same trials in this process, one after another, uninterrupted."""
    file = write(tmp_path_factory.mktemp("whole"), patches_file, "whole")
    study = load(file)
    for planned in trials(study):
        assert run(job(study, planned, patches_file, study.folder / "trials" / planned.key), lambda epoch: None)
    return file


def kill(process: "subprocess.Popen[str]", file: Path, victim: str, chance: random.Random) -> bool:
    """Kill a worker that trains, or the launcher, some instant later; False where the study was done before."""
    until = time.monotonic() + chance.uniform(0, 0.8)
    while process.poll() is None and (time.monotonic() < until or not list(workers(file))):
        time.sleep(0.005)
    found = [process.pid] if victim == "launcher" else list(workers(file))[:1]
    if process.poll() is not None or not found:
        return False
    os.kill(found[0], signal.SIGKILL)
    return True


WAVES = (("worker", "launcher"), ("launcher",))  # who is killed in the first launch, and in the second


@pytest.mark.parametrize(("rounds", "waves"), [(1, 1), pytest.param(20, 2, marks=pytest.mark.faults)])
def test_killed_launchers_and_workers(rounds: int, waves: int, whole: Path, tmp_path: Path, patches_file: Path) -> None:
    chance, kills = random.Random(), Counter[str]()  # the instants are not reproducible anyway
    for number in range(rounds):
        file = write(tmp_path, patches_file, f"killed{number}")
        for victims in [*WAVES[:waves], ()]:
            process = launch(file)
            for victim in victims:
                kills[victim] += kill(process, file, victim, chance)
            told, _ = process.communicate(timeout=900)
            assert process.returncode in (0, -signal.SIGKILL), told
        assert process.returncode == 0, told
        check(file, whole)
    assert kills["launcher"]
    assert kills["worker"]
