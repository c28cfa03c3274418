"""The quantum layer against the exact sampler, the shift rule and finite differences."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from qgan.circuits.ansatz import Ansatz, Entangler
from qgan.circuits.codes import all_bits
from qgan.circuits.exact import StateVector
from qgan.errors import InputError
from qgan.quantum_layer import QuantumLayer, probabilities

ANSATZE = [
    Ansatz(n, layers, connectivity, entangler)
    for n in (1, 2, 3, 5)
    for layers in (1, 2, 3)
    for connectivity in ("full", "line", "none")
    for entangler in ("rxx", "rzz")
]
ENTANGLERS: tuple[Entangler, ...] = ("rxx", "rzz")


def name(ansatz: Ansatz) -> str:
    return f"{ansatz.n_qubits}-{ansatz.layers}-{ansatz.connectivity}-{ansatz.entangler}"


def exact(ansatz: Ansatz) -> StateVector:
    return StateVector(ansatz, torch.Generator(), torch.complex128)


def layer(in_features: int, ansatz: Ansatz, out_features: int = 1, seed: int = 0) -> QuantumLayer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = QuantumLayer(in_features, ansatz, out_features).double()
        nn.init.uniform_(made.theta, -math.pi, math.pi)
    return made


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def penalty(layer: nn.Module, features: Tensor) -> Tensor:
    """E (||grad D||_2 - 1)^2, as the critic's loss has it."""
    features = features.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(layer(features).sum(), features, create_graph=True)
    norms: Tensor = gradient.norm(dim=1)
    return ((norms - 1) ** 2).mean()


@pytest.mark.parametrize("ansatz", ANSATZE, ids=name)
def test_probabilities_and_first_gradient_are_the_exact_samplers(ansatz: Ansatz) -> None:
    circuit = exact(ansatz)
    theta, weight = normal(4, ansatz.n_parameters).requires_grad_(), normal(4, 2**ansatz.n_qubits, seed=2)
    ours, theirs = probabilities(circuit, theta), circuit.probabilities(theta)
    assert (ours - theirs).abs().max() < 1e-13
    slopes = [torch.autograd.grad((p * weight).sum(), theta)[0] for p in (ours, theirs)]
    assert (slopes[0] - slopes[1]).abs().max() < 1e-12


@pytest.mark.parametrize("ansatz", ANSATZE, ids=name)
def test_expectations_are_the_exact_samplers(ansatz: Ansatz) -> None:
    made, features = layer(4, ansatz), normal(6, 4)
    n, encoded = ansatz.n_qubits, features @ made.encode.weight.T
    theta = torch.zeros(6, ansatz.n_parameters, dtype=torch.float64)
    theta[:, : ansatz.n_parameters - n] = made.theta.detach()
    for each in range(ansatz.layers):
        theta[:, ansatz.rx(each)] += encoded.detach()
    p = exact(ansatz).probabilities(theta)
    z = torch.stack([p[:, all_bits(n, p.device)[:, q] == 0].sum(1) for q in range(n)], 1) * 2 - 1
    assert (made.expectations(features) - z).abs().max() < 1e-12
    assert (made(features) - (z @ made.read.weight.T + made.read.bias)).abs().max() < 1e-12


def test_one_qubit_is_a_cosine() -> None:
    made = layer(1, Ansatz(1))
    with torch.no_grad():
        made.theta.zero_()
        made.encode.weight.fill_(1)
    x = torch.linspace(-7, 7, 50, dtype=torch.float64)[:, None]
    assert (made.expectations(x) - x.cos()).abs().max() < 1e-12


@pytest.mark.parametrize("entangler", ENTANGLERS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("at", ["random", "zero"])  # at zero most amplitudes vanish
def test_first_and_second_derivatives(entangler: Entangler, layers: int, at: str) -> None:
    circuit = exact(Ansatz(3, layers, "full", entangler))
    theta = normal(2, circuit.ansatz.n_parameters) * (at == "random")
    theta.requires_grad_()
    assert torch.autograd.gradcheck(lambda t: probabilities(circuit, t), theta)
    assert torch.autograd.gradgradcheck(lambda t: probabilities(circuit, t), theta)


@pytest.mark.parametrize("entangler", ENTANGLERS)
def test_derivatives_of_the_layer_by_features_and_parameters(entangler: Entangler) -> None:
    made = layer(2, Ansatz(2, 2, "full", entangler))
    names, values = zip(*made.named_parameters(), strict=True)

    def output(features: Tensor, *parameters: Tensor) -> Tensor:
        return torch.func.functional_call(made, dict(zip(names, parameters, strict=True)), (features,))  # type: ignore[no-any-return]

    inputs = (normal(2, 2).requires_grad_(), *(value.detach().requires_grad_() for value in values))
    assert torch.autograd.gradcheck(output, inputs)
    assert torch.autograd.gradgradcheck(output, inputs)


@pytest.mark.parametrize("entangler", ENTANGLERS)
def test_penalty_is_that_of_the_shift_rule_on_the_exact_sampler(entangler: Entangler) -> None:
    # encoded once, D(x) turns with x_j at one frequency: dD/dx_j = [D(x + pi/2 e_j) - D(x - pi/2 e_j)] / 2
    ansatz = Ansatz(3, 1, "full", entangler)
    made, features, circuit = layer(3, ansatz), normal(5, 3), exact(ansatz)
    with torch.no_grad():
        made.encode.weight.copy_(torch.eye(3))
    z = 1 - 2 * all_bits(3, torch.device("cpu")).double()

    def critic(x: Tensor) -> Tensor:  # the sampler's own gradient, taken once
        return made.read(circuit.probabilities(made.angles(x)) @ z).squeeze(1)  # type: ignore[no-any-return]

    turns = math.pi / 2 * torch.eye(3, dtype=torch.float64)
    gradient = torch.stack([(critic(features + turn) - critic(features - turn)) / 2 for turn in turns], 1)
    shifted = ((gradient.norm(dim=1) - 1) ** 2).mean()
    ours = penalty(made, features)
    assert torch.allclose(shifted, ours, rtol=1e-12)
    for each in (made.theta, made.read.weight):
        by_shift, by_autograd = (torch.autograd.grad(loss, each, retain_graph=True)[0] for loss in (shifted, ours))
        assert torch.allclose(by_shift, by_autograd, atol=1e-12)


def test_the_exact_samplers_own_gradient_can_be_taken_once_only() -> None:
    # why `probabilities` is here: of a constant read-out the second derivative would even be lost in silence
    circuit = exact(Ansatz(2))
    theta = normal(1, circuit.ansatz.n_parameters).requires_grad_()
    for route, kept in ((circuit.probabilities, False), (lambda t: probabilities(circuit, t), True)):
        (gradient,) = torch.autograd.grad(route(theta)[:, 0].sum(), theta, create_graph=True)
        assert gradient.requires_grad == kept
    weight = normal(4).requires_grad_()
    (gradient,) = torch.autograd.grad((circuit.probabilities(theta) @ weight).sum(), theta, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        gradient.sum().backward()


def test_penalty_trains_a_critic_towards_slope_one() -> None:
    made, features = layer(4, Ansatz(3)), normal(32, 4)
    adam = torch.optim.Adam(made.parameters(), lr=0.03)
    before = penalty(made, features).item()
    for _ in range(60):
        adam.zero_grad()
        penalty(made, features).backward()
        adam.step()
    assert penalty(made, features).item() < 0.2 * before


@pytest.mark.parametrize("ansatz", [Ansatz(4), Ansatz(4, 3, "line", "rzz"), Ansatz(6, 2, "reduced")], ids=name)
def test_every_parameter_counts_and_is_counted(ansatz: Ansatz) -> None:
    made, n = layer(7, ansatz, 3), ansatz.n_qubits
    count = sum(each.numel() for each in made.parameters())
    assert count == 7 * n + ansatz.n_parameters - n + 3 * (n + 1)
    made(normal(20, 7)).square().sum().backward()
    assert all((each.grad is not None) and (each.grad.abs() > 0).all() for each in made.parameters())


def test_outputs_of_an_image_do_not_depend_on_the_batch() -> None:
    made, features = layer(4, Ansatz(3)), normal(6, 4)
    apart = torch.cat([made(each[None]) for each in features])
    assert torch.allclose(made(features), apart, atol=1e-13)


def test_single_precision_copy_and_reload() -> None:
    made, features = layer(4, Ansatz(5, 2)), normal(6, 4)
    single = copy.deepcopy(made).float()
    assert single(features.float()).dtype == torch.float32
    assert (single(features.float()) - made(features)).abs().max() < 1e-5
    other = layer(4, Ansatz(5, 2), seed=5)
    other.load_state_dict(made.state_dict())
    assert torch.equal(other(features), made(features))


def test_first_use_in_inference_mode_does_not_forbid_training() -> None:
    made, features = layer(2, Ansatz(2, 4, "line", "rzz")), normal(3, 2)  # an ansatz of no other test
    with torch.inference_mode():
        made(features)
    penalty(made, features).backward()


def test_same_seed_same_layer() -> None:
    made = []
    for seed in (3, 3, 4):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made.append(QuantumLayer(4, Ansatz(3)).theta)
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_eleven_qubits_are_refused() -> None:
    with pytest.raises(InputError, match="at most 10 qubits, not 11"):
        QuantumLayer(4, Ansatz(11))
