"""A rehearsal server in this process, jobs on it, and patience measured in milliseconds."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from qgan.circuits.ansatz import Ansatz
from qgan.ionq.client import Ionq
from qgan.ionq.jobs import PaidJobs, Patience
from qgan.ionq.prices import rates
from qgan.ionq.rehearsal.server import RehearsalServer

ANSATZ = Ansatz(2)
QUICK = Patience(
    first_poll_s=0.002, longest_poll_s=0.02, settle_s=0.05, give_up_s=60.0, drift_s=0.0, orders=3
)  # a job is listed within 50 ms

Serve = Callable[..., RehearsalServer]
Jobs = Callable[..., PaidJobs]


def theta(batch: int = 2, ansatz: Ansatz = ANSATZ, seed: int = 0) -> list[list[float]]:
    stream = torch.Generator().manual_seed(seed)
    return (6 * torch.rand(batch, ansatz.n_parameters, generator=stream, dtype=torch.float64)).tolist()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers; they end with the test."""
    running: list[RehearsalServer] = []

    def start(*faults: str, **options: Any) -> RehearsalServer:
        running.append(RehearsalServer(faults=faults, **options).start())
        return running[-1]

    yield start
    for server in running:
        server.close()


@pytest.fixture
def jobs_on(tmp_path: Path) -> Jobs:
    """Jobs of a run in this test's folder."""

    def make(server: RehearsalServer, machine: str = "qpu.aria-2", ansatz: Ansatz = ANSATZ, **options: Any) -> PaidJobs:
        options = {"max_usd": 1e9, "patience": QUICK, **options}
        return PaidJobs(tmp_path / "run", Ionq(machine, server.url), ansatz, rates("qpu.aria-2"), **options)

    return make
