"""The ansatz: its counts, its layout, and where training starts."""

import math

import pytest
import torch

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import all_bits
from qgan.circuits.exact import StateVector
from qgan.errors import InputError


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_papers_counts():
    assert len(Ansatz(12).pairs) == 66
    assert len(Ansatz(12, connectivity="reduced").pairs) == 30
    assert len(Ansatz(12, connectivity="line").pairs) == 11
    assert Ansatz(12).n_parameters == 114
    assert Ansatz(12, connectivity="reduced").n_parameters == 78


def test_each_further_layer_adds_a_region_2_and_a_region_3():
    assert Ansatz(5, layers=3).n_parameters - Ansatz(5, layers=2).n_parameters == 10 + 2 * 5


def test_explicit_pairs_are_taken_as_they_are():
    assert Ansatz(4, connectivity=((0, 3), (1, 2))).pairs == ((0, 3), (1, 2))


def test_the_blocks_of_theta_tile_it():
    ansatz = Ansatz(4, layers=2, connectivity="reduced")
    blocks = [ansatz.rx(0), ansatz.rz(0)]
    for layer in (1, 2):
        blocks += [ansatz.entanglers(layer), ansatz.rx(layer), ansatz.rz(layer)]
    assert [i for block in blocks for i in range(block.start, block.stop)] == list(range(ansatz.n_parameters))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"n_qubits": 0}, "n_qubits"),
        ({"layers": 0}, "layers"),
        ({"connectivity": "ring"}, "connectivity"),
        ({"connectivity": ((1, 0),)}, "connectivity"),
        ({"connectivity": ((0, 1), (0, 1))}, "connectivity"),
        ({"connectivity": ((0, 4),)}, "connectivity"),
        ({"entangler": "cz"}, "entangler"),
    ],
)
def test_what_cannot_be_used_is_named(changes, key):
    with pytest.raises(InputError) as error:
        Ansatz(**{"n_qubits": 4, **changes})
    assert error.value.key == key


@pytest.mark.parametrize("entangler", ["rxx", "rzz"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_training_starts_near_bernoulli_where_entanglers_have_slopes(entangler, layers, p):
    ansatz = Ansatz(6, layers, entangler=entangler)
    sampler = StateVector(ansatz, stream(), torch.complex128)
    theta = ansatz.initial_angles(p, stream(1)).requires_grad_()
    probabilities = sampler.probabilities(theta[None])[0]
    ones = all_bits(6, torch.device("cpu")).sum(1)
    bernoulli = p**ones * (1 - p) ** (6 - ones)
    assert (probabilities - bernoulli).abs().sum() / 2 < 0.05

    # the largest slope that any f in [-1, 1] can have: the one-norm of dp / dtheta_i
    jacobian = torch.autograd.functional.jacobian(lambda angles: sampler.probabilities(angles[None])[0], theta)
    slopes = jacobian.abs().sum(0)
    for layer in range(1, layers + 1):
        assert slopes[ansatz.entanglers(layer)].min() > 0.05


def test_the_traps_that_the_initial_angles_avoid():
    ansatz = Ansatz(4)
    sampler = StateVector(ansatz, stream(), torch.complex128)
    trap = torch.zeros(ansatz.n_parameters)
    trap[ansatz.rx(0)] = math.pi / 2
    jacobian = torch.autograd.functional.jacobian(lambda angles: sampler.probabilities(angles[None])[0], trap)
    assert jacobian[:, ansatz.entanglers(1)].abs().max() < 1e-6
    near_zero = sampler.probabilities(0.01 * torch.randn(1, ansatz.n_parameters, generator=stream()))
    assert near_zero[0, 0] > 0.999


@pytest.mark.parametrize("bad", [0.0, 1.0, -0.5])
def test_a_probability_outside_zero_and_one_is_refused(bad):
    with pytest.raises(InputError, match="above 0 and below 1"):
        Ansatz(3).initial_angles(bad, stream())
