"""Trials and critics that the tests of all priors share."""

from typing import Any

import pytest
import torch
from torch import Tensor

from qgan.prior_settings import PriorSettings
from qgan.settings import DataSettings, ScoreSettings, TrainSettings
from qgan.trial import Trial


class Ones:
    """A critic that is the more deceived the more bits are 1, and whose latent layer shows only 1s."""

    asked = 0

    def score(self, codes: Tensor) -> Tensor:
        self.asked += len(codes)
        return -codes.mean(1)

    def critic_codes(self, codes: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
        return torch.ones(10, codes.shape[1]) > threshold, torch.ones_like(codes) > threshold


class Table(Ones):
    """A critic with a fixed random judgement of every code."""

    def __init__(self, n_bits: int, seed: int = 0) -> None:
        self.f = torch.randn(2**n_bits, generator=torch.Generator().manual_seed(seed))

    def score(self, codes: Tensor) -> Tensor:
        return self.f[(codes.long() << torch.arange(codes.shape[1])).sum(1)]


def make_trial(prior: PriorSettings, latent_dim: int = 5, replicate: int = 0, **train: Any) -> Trial:
    return Trial(
        DataSettings(patches="toy", evaluation=20),
        latent_dim,
        100,
        replicate,
        prior,
        TrainSettings(**{"critic_latent": True, **train}),
        ScoreSettings(images=10),
    )


@pytest.fixture(name="make_trial")
def _make_trial():
    return make_trial


@pytest.fixture
def ones() -> Ones:
    return Ones()


@pytest.fixture
def table():
    return Table
