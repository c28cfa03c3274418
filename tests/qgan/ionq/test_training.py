"""A trial whose circuits run on a machine: stopped inside a cycle, resumed, and replayed without the machine."""

from pathlib import Path

import numpy as np
import pytest
import torch

from qgan.circuits import Sampler
from qgan.circuits.ansatz import Ansatz
from qgan.errors import Stopped
from qgan.ionq.client import Ionq
from qgan.ionq.jobs import PaidJobs
from qgan.ionq.prices import RATES
from qgan.ionq.replay import Replay
from qgan.ionq.sampler import IonqSampler
from qgan.prior_settings import Gains, QcbmSettings
from qgan.settings import DataSettings, ScoreSettings, TrainSettings
from qgan.training import train
from qgan.trial import Trial
from tests.qgan.ionq.conftest import QUICK

TRIAL = Trial(
    DataSettings("test", 40),
    3,
    40,
    0,
    QcbmSettings(
        optimizer="spsa", iterations=3, gains=Gains(3000.0, 0.5), gains_restart=False, shots=30, update_every=2,
        train_epochs=4,
    ),
    TrainSettings(batch_size=8, width=4),
    ScoreSettings(20),
)  # fmt: skip
CIRCUITS = 1 + 2 * 7


def curve(patches, folder: Path, sampler: Sampler) -> tuple[list[tuple], torch.Tensor]:
    """Every number of every epoch, and the last theta."""
    folder.mkdir(exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    rows = [
        (row.critic_loss, row.generator_loss, row.mmd_v, row.prior_loss, row.circuits, row.shots, row.scores)
        for row in train(TRIAL, patches, horizons=[6], sampler=sampler, checkpoint=checkpoint)
    ]
    return rows, torch.load(checkpoint, weights_only=True)["prior"]["theta"]


class Interrupted(IonqSampler):
    """Dies after so many calls."""

    left = 0

    def sample(self, theta: torch.Tensor, shots: int) -> torch.Tensor:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().sample(theta, shots)


def test_a_trial_stopped_anywhere_buys_nothing_twice_and_ends_the_same(patches, serve, tmp_path):
    ansatz = Ansatz(3)

    def jobs(folder: str, url: str) -> PaidJobs:
        return PaidJobs(
            tmp_path / folder, Ionq("qpu.aria-2", url), ansatz, RATES["qpu.aria-2"], max_usd=1e9, patience=QUICK
        )

    server = serve()
    with jobs("whole-run", server.url) as whole:
        expected, theta = curve(patches, tmp_path / "whole", IonqSampler(ansatz, whole))
    assert sum(row[4] for row in expected) == CIRCUITS == len(server.service.jobs)
    assert whole.journal.cycle(0) is not None
    assert whole.journal.cycle(1) is not None
    assert not np.allclose(theta, ansatz.initial_angles(0.5, torch.Generator().manual_seed(0)), atol=0.1)

    server = serve()
    for calls in (0, 3, 4):  # before the first pool, inside both cycles
        with jobs("run", server.url) as some:
            sampler = Interrupted(ansatz, some)
            sampler.left = calls
            with pytest.raises(KeyboardInterrupt):
                curve(patches, tmp_path / "stopped", sampler)
    with jobs("run", server.url) as rest:
        found, found_theta = curve(patches, tmp_path / "stopped", IonqSampler(ansatz, rest))
    assert found == expected
    assert torch.equal(found_theta, theta)
    assert len(server.service.jobs) == CIRCUITS

    replayed, replayed_theta = curve(patches, tmp_path / "replayed", IonqSampler(ansatz, Replay(tmp_path / "run")))
    assert replayed == expected
    assert torch.equal(replayed_theta, theta)


def test_a_replay_of_another_trial_ends_at_once(patches, serve, tmp_path):
    server, ansatz = serve(), Ansatz(3)
    jobs = PaidJobs(
        tmp_path / "run", Ionq("qpu.aria-2", server.url), ansatz, RATES["qpu.aria-2"], max_usd=1e9, patience=QUICK
    )
    with jobs:
        jobs.measure(0, [[0.1] * ansatz.n_parameters], 30)
    with pytest.raises(Stopped, match="other angles or shots for call 0"):
        curve(patches, tmp_path / "trial", IonqSampler(ansatz, Replay(tmp_path / "run")))
