"""A final trial that a test can afford, and a rehearsal server in the test's process that sees all jobs."""

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
