"""The Born machine's own promises."""

import pytest
import torch

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.exact import StateVector
from qgan.errors import InputError
from qgan.priors import build
from qgan.priors.qcbm import QcbmPrior
from qgan.settings import DataSettings, QcbmSettings, ScoreSettings
from qgan.trial import Trial


def trial(**settings) -> Trial:
    data = DataSettings(patches="toy", evaluation=20)
    return Trial(data, 6, 100, 0, QcbmSettings(**settings), score=ScoreSettings(images=10))


class Parity:
    """A critic that judges correlation only: every single bit leaves it cold."""

    def score(self, codes):
        return 2 * (codes[:, 0] - codes[:, 1]).abs() - 1


def test_one_event_is_plain_gradient_descent():
    prior = build(trial(gradient="exact", iterations=2, learning_rate=0.2), "cpu")
    theta = prior.theta
    for _ in range(2):
        theta = theta - 0.2 * prior.estimator(prior.sampler, theta, Parity().score).values
    update = prior.update(Parity())
    assert torch.equal(prior.theta, theta)
    assert update.scores == 2 * 2**6


def test_no_circuit_runs_while_theta_stands_still():
    class Counting(StateVector):
        runs = 0

        def probabilities(self, theta):
            self.runs += 1
            return super().probabilities(theta)

    stream = torch.Generator().manual_seed(0)
    sampler = Counting(Ansatz(6), stream)
    prior = build(trial(gradient="exact"), "cpu", sampler)
    for _ in range(3):
        prior.sample(10)
    assert sampler.runs == 1
    prior.update(Parity())
    for _ in range(3):
        prior.sample(10)
    assert sampler.runs == 3


def test_entanglers_learn_what_independent_bits_cannot():
    settings = QcbmSettings(gradient="exact", learning_rate=0.5, iterations=40)
    prior = build(trial(gradient="exact", learning_rate=0.5, iterations=40), "cpu")
    update = prior.update(Parity())
    assert update.loss < -0.9
    assert isinstance(prior, QcbmPrior) and prior.settings == settings


def test_the_exact_backend_refuses_a_sampler_without_probabilities():
    with pytest.raises(InputError, match="probabilities"):
        build(trial(), "cpu", sampler=object())
