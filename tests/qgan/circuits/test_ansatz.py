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
    assert Ansatz(12, connectivity="none").pairs == ()
    assert Ansatz(12).n_parameters == 114
    assert Ansatz(12, connectivity="reduced").n_parameters == 78


def test_each_further_layer_adds_a_region_2_and_a_region_3():
    assert Ansatz(5, layers=3).n_parameters - Ansatz(5, layers=2).n_parameters == 10 + 2 * 5


@pytest.mark.parametrize("pairs", [((0, 3), (1, 2)), [[0, 3], [1, 2]]])
def test_explicit_pairs_are_taken_as_they_are(pairs):
    ansatz = Ansatz(4, connectivity=pairs)
    assert ansatz.pairs == ((0, 3), (1, 2))
    assert hash(ansatz) == hash(Ansatz(4, connectivity=((0, 3), (1, 2))))


def test_the_blocks_of_theta_tile_it():
    ansatz = Ansatz(4, layers=2, connectivity="reduced")
    blocks = [ansatz.rx(0), ansatz.rz(0)]
    for layer in (1, 2):
        blocks += [ansatz.entanglers(layer), ansatz.rx(layer), ansatz.rz(layer)]
    assert [i for block in blocks for i in range(block.start, block.stop)] == list(range(ansatz.n_parameters))


def test_names_say_gate_qubits_and_region():
    assert Ansatz(2).names == (
        *("rx[0] region 1", "rx[1] region 1", "rz[0] region 1", "rz[1] region 1", "rxx[0,1] region 2"),
        *("rx[0] region 3", "rx[1] region 3", "rz[0] region 3", "rz[1] region 3"),
    )
    deep = Ansatz(3, 2, "line", "rzz")
    assert len(set(deep.names)) == deep.n_parameters
    assert deep.names[deep.entanglers(2)] == ("rzz[0,1] region 2 layer 2", "rzz[1,2] region 2 layer 2")


def test_names_agree_with_the_gates_that_qiskit_applies():
    ansatz = Ansatz(3, 2, "reduced")
    for gate in ansatz.qiskit().data:
        qubits = ",".join(str(qubit._index) for qubit in gate.qubits)
        assert ansatz.names[gate.params[0].index].startswith(f"{gate.name}[{qubits}] region")


GRAPHS = ["full", "reduced", "line", "none", ((0, 1), (2, 3))]


def jacobian(ansatz: Ansatz, seed: int) -> torch.Tensor:
    """dp / dtheta (2**n, P) at a random theta, by autograd."""
    sampler = StateVector(ansatz, stream(), torch.complex128)
    theta = 2 * math.pi * torch.rand(ansatz.n_parameters, generator=stream(seed), dtype=torch.float64)
    return torch.autograd.functional.jacobian(lambda angles: sampler.probabilities(angles[None])[0], theta)


@pytest.mark.parametrize("connectivity", GRAPHS)
@pytest.mark.parametrize("entangler", ["rxx", "rzz"])
@pytest.mark.parametrize(("n", "layers"), [(1, 1), (2, 1), (4, 1), (4, 2), (4, 3)])
def test_the_last_rz_column_and_no_other_angle_is_silent(n, layers, connectivity, entangler):
    if not isinstance(connectivity, str) and n < 4:
        connectivity = ()
    ansatz = Ansatz(n, layers, connectivity, entangler)
    loudest = jacobian(ansatz, seed=2).abs().amax(0)
    assert (loudest < 1e-12).nonzero().flatten().tolist() == list(ansatz.silent)
    assert next(ansatz.names[i] for i in ansatz.silent).startswith("rz[0] region 3")


@pytest.mark.parametrize(("entangler", "effective"), [("rxx", 90), ("rzz", 102)])
def test_the_papers_114_parameters_move_fewer_directions(entangler, effective):
    assert Ansatz(12, entangler=entangler).effective_parameters() == effective


@pytest.mark.parametrize("connectivity", GRAPHS)
@pytest.mark.parametrize("entangler", ["rxx", "rzz"])
def test_effective_parameters_are_the_rank_of_the_jacobian(connectivity, entangler):
    ansatz = Ansatz(5, 1, connectivity, entangler)
    rank = torch.linalg.matrix_rank(jacobian(ansatz, seed=5), rtol=1e-9)
    assert ansatz.effective_parameters() == rank


def test_effective_parameters_of_few_qubits():
    assert Ansatz(6, connectivity="none").effective_parameters() == 6  # one probability per qubit
    assert Ansatz(1, layers=3).effective_parameters() == 1
    assert Ansatz(2).effective_parameters() == 3  # 2**n - 1


def test_effective_parameters_of_many_qubits_are_refused():
    with pytest.raises(InputError, match=r"Jacobian of 264 x 2\*\*22 entries, more than 2\*\*26; use fewer"):
        Ansatz(22, connectivity="none", layers=5).effective_parameters()


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"n_qubits": 0}, "n_qubits"),
        ({"n_qubits": 2.0}, "n_qubits"),
        ({"layers": 0}, "layers"),
        ({"layers": True}, "layers"),
        ({"connectivity": ((0, 1, 2),)}, "connectivity"),
        ({"connectivity": ((0.0, 1.0),)}, "connectivity"),
        ({"connectivity": (3,)}, "connectivity"),
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


def test_small_and_uniform_starts():
    ansatz = Ansatz(12)
    small, uniform = (ansatz.initial_angles(0.5, stream(), kind) for kind in ("small", "uniform"))
    assert small.std().item() == pytest.approx(0.1, rel=0.3)
    assert uniform.abs().max() <= math.pi
    assert uniform.std().item() == pytest.approx(math.pi / math.sqrt(3), rel=0.2)
    with pytest.raises(InputError, match="initial angles must be bernoulli, small, uniform, not 'zero'"):
        ansatz.initial_angles(0.5, stream(), "zero")


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
