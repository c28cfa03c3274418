"""The estimators of dL / dtheta against each other and against rules computed here."""

import math

import pytest
import torch

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import all_bits, to_integers
from qgan.circuits.exact import StateVector
from qgan.errors import InputError
from qgan.gradients import Exact, FiniteDifference

N = 4
F = torch.randn(2**N, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
ANSATZE = [Ansatz(N, layers, entangler=entangler) for layers in (1, 2) for entangler in ("rxx", "rzz")]


class Score:
    """f by table, remembering how often each code was asked for."""

    def __init__(self) -> None:
        self.asked = torch.zeros(2**N, dtype=torch.long)

    def __call__(self, codes):
        assert codes.dtype == torch.float32
        assert codes.shape[1:] == (N,)
        self.asked += to_integers(codes).bincount(minlength=2**N)
        return F[to_integers(codes)]


def sampler_and_theta(ansatz):
    sampler = StateVector(ansatz, torch.Generator().manual_seed(1), torch.complex128)
    stream = torch.Generator().manual_seed(2)
    return sampler, 2 * math.pi * torch.rand(ansatz.n_parameters, generator=stream, dtype=torch.float64)


def difference(sampler, theta, step):
    """L(theta + step e_i) - L(theta - step e_i), without sampling."""
    steps = step * torch.eye(len(theta), dtype=theta.dtype)
    return sampler.probabilities(theta + steps) @ F - sampler.probabilities(theta - steps) @ F


@pytest.mark.parametrize("ansatz", ANSATZE, ids=repr)
def test_exact_is_autograd_central_difference_and_parameter_shift(ansatz):
    sampler, theta = sampler_and_theta(ansatz)
    gradient = Exact(shots=100)(sampler, theta, Score())
    leaf = theta.clone().requires_grad_()
    loss = sampler.probabilities(leaf[None])[0] @ F
    (autograd,) = torch.autograd.grad(loss, leaf)
    assert torch.allclose(gradient.values, autograd, atol=1e-14)
    assert torch.allclose(gradient.values, difference(sampler, theta, 1e-5) / 2e-5, atol=1e-8)
    assert torch.allclose(gradient.values, difference(sampler, theta, math.pi / 2) / 2, atol=1e-12)
    assert gradient.loss == pytest.approx(loss.item())
    assert (gradient.circuits, gradient.shots, gradient.scores) == (0, 0, 2**N)


@pytest.mark.parametrize("ansatz", ANSATZE, ids=repr)
def test_only_the_last_rz_column_is_silent(ansatz):
    sampler, theta = sampler_and_theta(ansatz)
    slopes = torch.autograd.functional.jacobian(lambda angles: sampler.probabilities(angles[None])[0], theta)
    silent = slopes.abs().amax(0) < 1e-12
    assert silent.nonzero().flatten().tolist() == list(ansatz.silent)


def mean_and_error(estimator, sampler, theta, runs):
    estimates = torch.stack([estimator(sampler, theta, Score()).values for _ in range(runs)])
    return estimates.mean(0), estimates.std(0) / math.sqrt(runs)


@pytest.mark.parametrize("epsilon", [0.1, 0.5])
def test_finite_difference_is_the_slope_times_sin_epsilon_over_epsilon(epsilon):
    # L is a sine of each angle, so the central difference shrinks every slope by this factor and no more
    sampler, theta = sampler_and_theta(Ansatz(N))
    slope = Exact(shots=1)(sampler, theta, Score()).values
    assert torch.allclose(difference(sampler, theta, epsilon) / (2 * epsilon), slope * math.sin(epsilon) / epsilon)
    estimator = FiniteDifference(epsilon, shots=64, silent=Ansatz(N).silent)
    mean, error = mean_and_error(estimator, sampler, theta, runs=200)
    assert ((mean - slope * math.sin(epsilon) / epsilon).abs() <= 4.5 * error).all()
    assert not mean[list(Ansatz(N).silent)].any()


def test_finite_difference_tends_to_exact():
    sampler, theta = sampler_and_theta(Ansatz(N))
    exact = Exact(shots=1)(sampler, theta, Score())
    estimate = FiniteDifference(0.1, shots=2**16)(sampler, theta, Score())
    assert (estimate.values - exact.values).abs().max() < 0.15
    assert estimate.loss == pytest.approx(exact.loss, abs=0.02)


def test_the_sampled_score_function_is_unbiased():
    sampler, theta = sampler_and_theta(Ansatz(N))
    slope = Exact(shots=1)(sampler, theta, Score()).values
    mean, error = mean_and_error(Exact(shots=8, enumerate_up_to=0), sampler, theta, runs=1000)
    assert ((mean - slope).abs() <= 4.5 * error + 1e-12).all()


def test_the_sampled_score_function_needs_two_codes():
    sampler, theta = sampler_and_theta(Ansatz(N))
    with pytest.raises(InputError, match="2 or more shots"):
        Exact(shots=1, enumerate_up_to=0)(sampler, theta, Score())


@pytest.mark.parametrize(
    ("estimator", "circuits", "saved"),
    [
        (Exact(shots=8), 0, 0),
        (Exact(shots=8, enumerate_up_to=0), 1, 0),
        (FiniteDifference(0.3, shots=8), 2 * 22, 0),
        (FiniteDifference(0.3, shots=8, silent=Ansatz(N).silent), 2 * 18, 2 * 4),
    ],
    ids=repr,
)
def test_each_distinct_code_is_scored_once_and_costs_are_counted(estimator, circuits, saved):
    sampler, theta = sampler_and_theta(Ansatz(N))
    score = Score()
    gradient = estimator(sampler, theta, score)
    assert score.asked.max() == 1
    assert gradient.scores == score.asked.sum()
    assert (gradient.circuits, gradient.saved) == (circuits, saved)
    assert gradient.shots == 8 * circuits
    assert gradient.values.shape == theta.shape
    assert not gradient.values.requires_grad


def test_all_codes_are_scored_in_their_order():
    seen = []
    sampler, theta = sampler_and_theta(Ansatz(N))
    Exact(shots=1)(sampler, theta, lambda codes: (seen.append(codes), F)[1])
    assert torch.equal(seen[0], all_bits(N, torch.device("cpu")).float())
