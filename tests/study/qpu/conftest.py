"""A final trial that a test can afford, and a rehearsal server in the test's process that sees all jobs."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qgan.ionq.rehearsal.server import RehearsalServer

FILE = """\
study: tiny
data: {{source: {patches}, evaluation: 40}}
arms:
  bernoulli: {{prior: bernoulli}}
  qcbm: {{prior: qcbm, backend: "exact:aria-2", optimizer: spsa, iterations: 3, shots: 32, update_every: 2,
         train_epochs: 4, gains: {{a: 0.5, c: 0.2}}, replicates: 2}}
baseline: bernoulli
grid: {{latent_dim: [4], images: [16], epochs: [6]}}
replicates: 3
train: {{batch_size: 8, width: 4}}
score: {{images: 20, window: 3}}
resources: {{cpu: 1}}
qpu: {{arm: qcbm, replicate: {replicate}}}
results: {results}
"""
CIRCUITS = 15  # two cycles of 7, and one for the first codes

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, patches_file: Path) -> Write:
    """Writes the study file."""

    def written(replicate: int = 0, name: str = "tiny.yaml") -> Path:
        path = tmp_path / name
        path.write_text(FILE.format(patches=patches_file, results=tmp_path / "results", replicate=replicate))
        return path

    return written


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RehearsalServer]:
    """Jobs take a moment, so that a cycle has a middle."""
    with RehearsalServer(execution_s=0.05, orders=tmp_path / "orders.jsonl") as running:
        yield running


def study(*words: object, **options: object) -> "subprocess.CompletedProcess[str]":
    """A command as a user types it."""
    return subprocess.run(
        [sys.executable, "-m", "study", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "COLUMNS": "120"},
        **options,  # type: ignore[call-overload]
    )


def require_paid_once(server: RehearsalServer, runs: int = 1) -> None:
    """Every circuit of every run has one job, and no job is another's."""
    jobs = [job for job in server.service.jobs.values() if job.status != "canceled"]
    assert len({job.key for job in jobs}) == len(jobs) == runs * CIRCUITS
    assert {job.status for job in jobs} == {"completed"}
