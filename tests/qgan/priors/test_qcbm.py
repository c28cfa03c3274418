"""The Born machine's own promises."""

from typing import get_args

import pytest
import torch

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import to_integers
from qgan.circuits.exact import StateVector
from qgan.errors import InputError
from qgan.ionq.noise import NAMED
from qgan.prior_settings import Backend, BernoulliTrainedSettings, Gains, QcbmSettings
from qgan.priors import build
from qgan.priors.pretraining import pretrained

N = 6


class Parity:
    """A critic that judges correlation only: every single bit leaves it cold."""

    def score(self, codes):
        return 2 * (codes[:, 0] - codes[:, 1]).abs() - 1


class Measured:
    """A sampler that does not know its probabilities, and counts the circuits and the shots."""

    def __init__(self):
        self.circuits = []
        self.exact = StateVector(Ansatz(N), torch.Generator().manual_seed(0))

    def sample(self, theta, shots):
        self.circuits += [shots] * len(theta)
        return self.exact.sample(theta, shots)


@pytest.fixture
def prior(make_trial):
    def built(sampler=None, **settings):
        return build(make_trial(QcbmSettings(**settings), N), "cpu", sampler)

    return built


def test_one_event_is_plain_gradient_descent(prior):
    born = prior(gradient="exact", iterations=2, learning_rate=0.2)
    theta = born.theta
    for _ in range(2):
        theta = theta - 0.2 * born.estimator(born.model, theta, Parity().score).values
    update = born.update(Parity())
    assert torch.equal(born.theta, theta)
    assert update.scores == 2**N  # once per code of an event, whatever the steps


def test_adam_is_torchs(prior, table):
    born = prior(gradient="exact", optimizer="adam", iterations=3)
    leaf = born.theta.clone().requires_grad_()
    adam = torch.optim.Adam([leaf], lr=0.1)
    for _ in range(2):
        for _ in range(3):
            leaf.grad = born.estimator(born.model, leaf, table(N).score).values
            adam.step()
        born.update(table(N))
    heard = slice(0, born.ansatz.silent.start)  # Adam turns the rounding of a zero slope into steps
    assert torch.allclose(born.theta[heard], leaf[heard], atol=1e-4)


def test_no_circuit_runs_while_theta_stands_still(prior):
    class Counting(StateVector):
        runs = 0

        def probabilities(self, theta):
            self.runs += 1
            return super().probabilities(theta)

    sampler = Counting(Ansatz(N), torch.Generator().manual_seed(0))
    born = prior(sampler, gradient="exact")
    for _ in range(3):
        born.sample(10)
    assert sampler.runs == 1
    born.update(Parity())
    runs = sampler.runs
    for _ in range(3):
        born.sample(10)
    assert sampler.runs == runs + 1


def test_entanglers_have_a_slope_where_fair_independent_bits_have_none(prior, make_trial):
    settings = {"gradient": "exact", "learning_rate": 0.5, "iterations": 40}
    assert prior(**settings).update(Parity()).loss < -0.9
    bits = build(make_trial(BernoulliTrainedSettings(**settings), N), "cpu")
    assert bits.update(Parity()).loss == pytest.approx(0, abs=1e-6)


def test_fifty_iterations_of_spsa_are_101_circuits_beside_the_pool_and_the_calibration(prior):
    sampler = Measured()
    born = prior(sampler, backend="aer", optimizer="spsa", iterations=50, shots=8)
    assert born.update(Parity()).circuits == 1 + 50 + 101
    assert born.update(Parity()).circuits == 101
    assert sampler.circuits == [8] * (1 + 50 + 2 * 101)


def test_five_cycles_with_given_gains_are_506_circuits(prior):
    born = prior(Measured(), backend="aer", optimizer="spsa", iterations=50, shots=8, gains=Gains(0.1, 0.2))
    assert sum(born.update(Parity()).circuits for _ in range(5)) == 506


def test_gradients_measure_their_pool_by_one_circuit_more(prior):
    born = prior(Measured(), backend="aer", gradient="parameter_shift", iterations=2, shots=8)
    heard = Ansatz(N).n_parameters - N
    updates = [born.update(Parity()) for _ in range(2)]
    assert [update.circuits for update in updates] == [2 * (2 * heard + 1) + 2, 2 * (2 * heard + 1) + 1]
    assert [update.shots for update in updates] == [8 * update.circuits for update in updates]


def test_codes_come_from_the_pool(prior):
    sampler = Measured()
    born = prior(sampler, backend="aer", shots=16, optimizer="spsa", iterations=1)
    for _ in range(3):
        assert set(to_integers(born.sample(500)).tolist()) == set(born.pool.tolist())
    assert sampler.circuits == [16]
    before = born.pool
    born.update(Parity())
    assert not torch.equal(born.pool, before)


@pytest.mark.parametrize("restart", [True, False])
def test_the_gain_sequence_restarts_only_if_told(prior, restart):
    born = prior(optimizer="spsa", iterations=3, gains=Gains(0.1, 0.2), gains_restart=restart)
    for _ in range(2):
        born.update(Parity())
    assert born.optimizer.k == (0 if restart else 6)


def test_an_entropy_weight_keeps_the_codes_wide(prior, table):
    narrow, wide = (
        prior(gradient="exact", learning_rate=0.3, iterations=60, entropy_weight=weight).update(table(N)).codes
        for weight in (0, 1)
    )
    assert wide.entropy > narrow.entropy + 0.5


def test_a_collapse_is_told(prior, table):
    settings = {"gradient": "exact", "learning_rate": 0.3, "iterations": 60}
    warning = prior(**settings, least_perplexity=32.0).update(table(N)).warning
    assert warning is not None
    assert "least_perplexity = 32" in warning
    assert prior(**settings).update(table(N)).warning is None


def test_pretraining_starts_lower_without_collapse(prior, table):
    critic = table(N)
    plain = prior(gradient="exact")
    theta = pretrained(plain.ansatz, plain.theta, critic.score, plain.stream)
    assert torch.isfinite(theta).all()
    fitted = prior(gradient="exact", initial="mps").update(critic)
    assert fitted.loss < plain.update(critic).loss - 0.3
    assert fitted.codes.perplexity > 4


def test_entropy_needs_a_sampler_that_knows_its_probabilities(prior):
    with pytest.raises(InputError, match="entropy_weight"):
        prior(Measured(), entropy_weight=0.1).update(Parity())


def test_settings_name_every_backend() -> None:
    noises = ("", *(f":{name}" for name in NAMED))
    assert set(get_args(Backend)) == {f"{place}{noise}" for place in ("exact", "aer") for noise in noises}
