"""The classical models against brute force, and their sizes against the circuit's."""

import math

import pytest
import torch

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import all_bits
from qgan.errors import InputError
from qgan.priors.autoregressive import BeliefNet
from qgan.priors.bernoulli import Bernoulli
from qgan.priors.model import parameter_budget
from qgan.priors.mps import Mps, free_parameters
from qgan.priors.rbm import Rbm

CPU = torch.device("cpu")


def stream():
    return torch.Generator().manual_seed(1)


MODELS = {
    "bernoulli": lambda n: Bernoulli(n, stream()),
    "rbm": lambda n: Rbm(n, None, stream()),
    "rbm, 3 hidden": lambda n: Rbm(n, 3, stream()),
    "mps": lambda n: Mps(n, None, stream()),
    "mps, bond 4": lambda n: Mps(n, 4, stream()),
    "autoregressive": lambda n: BeliefNet(n, None, stream()),
    "autoregressive, reach 2": lambda n: BeliefNet(n, 2, stream()),
}
DEFAULTS = ["bernoulli", "rbm", "mps", "autoregressive"]


def random_theta(model, batch=3):
    return torch.randn(batch, model.n_parameters, generator=stream(), dtype=torch.float64)


def brute_force(name, model, theta, z):
    """p(z) up to a constant, one code at a time, from the definition."""
    n, theta = len(z), theta.tolist()
    if name.startswith("bernoulli"):
        return math.prod(1 / (1 + math.exp(-t if bit else t)) for t, bit in zip(theta, z, strict=True))
    if name.startswith("rbm"):
        h = model.hidden
        b, c, w = theta[:n], theta[n : n + h], theta[n + h :]
        total = 0.0
        for hidden in all_bits(h, CPU).tolist():  # the units summed out by hand
            energy = sum(b[q] * z[q] for q in range(n)) + sum(c[j] * hidden[j] for j in range(h))
            energy += sum(w[j * n + q] * hidden[j] * z[q] for j in range(h) for q in range(n))
            total += math.exp(energy)
        return total
    if name.startswith("mps"):
        matrix = torch.ones(1, 1, dtype=torch.float64)
        for bit, shape in zip(z, model.shapes, strict=True):
            site, theta = torch.tensor(theta[: math.prod(shape)]).double().view(shape), theta[math.prod(shape) :]
            matrix = matrix @ site[bit]
        return float(matrix) ** 2
    weights = {pair: theta[n + i] for i, pair in enumerate(map(tuple, model.where.tolist()))}
    p = 1.0
    for q in range(n):
        logit = theta[q] + sum(weights.get((q, j), 0) * z[j] for j in range(q))
        p /= 1 + math.exp(-logit if z[q] else logit)
    return p


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("n", [1, 2, 4])
def test_probabilities_are_those_of_the_definition(name, n):
    model = MODELS[name](n)
    model.bits = model.bits.double()
    theta = random_theta(model)
    p = model.probabilities(theta)
    assert p.shape == (3, 2**n)
    assert torch.allclose(p.sum(1), torch.ones(3, dtype=torch.float64))
    expected = torch.tensor([brute_force(name, model, theta[0], z) for z in all_bits(n, CPU).tolist()])
    assert torch.allclose(p[0], expected.double() / expected.sum(), atol=1e-6)


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("n", range(1, 7))
def test_no_control_has_more_free_parameters_than_the_circuit(name, n):
    model = MODELS[name](n)
    model.bits = model.bits.double()
    theta = random_theta(model, 1)[0]
    jacobian = torch.autograd.functional.jacobian(lambda each: model.probabilities(each[None])[0], theta)
    rank = int(torch.linalg.matrix_rank(jacobian, rtol=1e-8))
    assert rank <= parameter_budget(n) == Ansatz(n).effective_parameters()
    if name == "mps":
        assert rank == min(2**n - 1, free_parameters(n, model.shapes[n // 2][1] if n > 1 else 1))


@pytest.mark.parametrize(("name", "count"), [("bernoulli", 12), ("rbm", 90), ("mps", 176), ("autoregressive", 78)])
def test_sizes_at_12_bits(name, count):
    assert MODELS[name](12).n_parameters == count
    assert parameter_budget(12) == 90
    assert free_parameters(12, 3) == 86


@pytest.mark.parametrize("name", MODELS)
def test_training_starts_near_fair_bits(name):
    model = MODELS[name](6)
    p = model.probabilities(model.initial()[None])[0]
    assert torch.special.entr(p).sum() > 0.9 * 6 * math.log(2)


def test_too_many_bits_are_one_sentence():
    with pytest.raises(InputError, match="20 or less, not 21"):
        Rbm(21, 1, stream())
