"""The exact sampler against Qiskit, itself and chance."""

import math

import pytest
import torch
from scipy.stats import chisquare

from qgan.circuits import exact
from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import all_bits, cumulative, draw, to_bits, to_integers
from qgan.circuits.exact import StateVector
from qgan.errors import InputError

ANSATZE = [
    Ansatz(n, layers, connectivity, entangler)
    for n in range(1, 7)
    for layers in (1, 2, 3)
    for connectivity in ("full", "reduced", "line", "none", tuple((0, q) for q in range(2, n, 2)))
    for entangler in ("rxx", "rzz")
]


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def angles(ansatz: Ansatz, batch: int, seed: int = 0) -> torch.Tensor:
    return 2 * math.pi * torch.rand(batch, ansatz.n_parameters, generator=stream(seed), dtype=torch.float64)


def name(ansatz: Ansatz) -> str:
    return f"{ansatz.n_qubits}-{ansatz.layers}-{ansatz.connectivity}-{ansatz.entangler}"


@pytest.mark.parametrize("ansatz", ANSATZE, ids=name)
def test_probabilities_are_qiskits(ansatz):
    from qiskit.quantum_info import Statevector

    theta = angles(ansatz, 2)
    circuit = ansatz.qiskit()
    qiskit = torch.stack(
        [torch.tensor(Statevector(circuit.assign_parameters(each.numpy())).probabilities()) for each in theta]
    )
    double = StateVector(ansatz, stream(), torch.complex128).probabilities(theta)
    single = StateVector(ansatz, stream()).probabilities(theta)
    assert (double - qiskit).abs().max() < 1e-12
    assert (single - qiskit).abs().max() < 1e-6


@pytest.mark.parametrize("entangler", ["rxx", "rzz"])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_probabilities_of_12_qubits_are_qiskits(entangler, layers):
    from qiskit.quantum_info import Statevector

    ansatz = Ansatz(12, layers, "reduced", entangler)
    theta = angles(ansatz, 1)
    qiskit = Statevector(ansatz.qiskit().assign_parameters(theta[0].numpy())).probabilities()
    ours = StateVector(ansatz, stream(), torch.complex128).probabilities(theta)[0]
    assert (ours - torch.tensor(qiskit)).abs().max() < 1e-12


@pytest.mark.parametrize("ansatz", [a for a in ANSATZE if a.n_qubits in (1, 4, 5)], ids=name)
@pytest.mark.parametrize("at", ["anywhere", "zero"])
def test_reverse_mode_is_the_difference_quotient(ansatz, at):
    # at zero the product state has vanishing amplitudes, whose slopes must not be lost
    theta = (angles(ansatz, 2, seed=1) * (at != "zero")).requires_grad_()
    sampler = StateVector(ansatz, stream(), torch.complex128)
    assert torch.autograd.gradcheck(sampler.probabilities, (theta,), fast_mode=True)


def test_single_precision_slopes_are_close_to_double():
    ansatz = Ansatz(10, 2)
    f = torch.randn(2**10, generator=stream(), dtype=torch.float64)
    slopes = []
    for dtype in (torch.complex64, torch.complex128):
        theta = angles(ansatz, 1).requires_grad_()
        p = StateVector(ansatz, stream(), dtype).probabilities(theta)[0]
        slopes += torch.autograd.grad(p.double() @ f, theta)
    assert (slopes[0] - slopes[1]).abs().max() < 1e-6


@pytest.mark.parametrize("flipped", range(4))
@pytest.mark.parametrize("entangler", ["rxx", "rzz"])
def test_qubit_q_is_bit_q(flipped, entangler):
    ansatz = Ansatz(4, entangler=entangler)
    theta = torch.zeros(1, ansatz.n_parameters)
    theta[0, ansatz.rx(0).start + flipped] = math.pi
    sampler = StateVector(ansatz, stream())
    assert sampler.probabilities(theta)[0].argmax() == 1 << flipped
    assert sampler.sample(theta, 3).tolist() == [[[int(q == flipped) for q in range(4)]] * 3]


def test_samples_have_the_frequencies_of_their_probabilities():
    ansatz = Ansatz(5)
    theta = angles(ansatz, 3)
    sampler = StateVector(ansatz, stream())
    bits = sampler.sample(theta, 20_000)
    assert bits.shape == (3, 20_000, 5)
    assert bits.dtype == torch.uint8
    for codes, p in zip(to_integers(bits), sampler.probabilities(theta).double(), strict=True):
        expected = (20_000 * p / p.sum()).numpy()
        assert chisquare(codes.bincount(minlength=32).numpy(), expected).pvalue > 1e-3


def test_memory_is_bounded_and_the_draws_of_a_batch_do_not_depend_on_it(monkeypatch):
    ansatz = Ansatz(4)
    theta = angles(ansatz, 7)
    whole = StateVector(ansatz, stream()).sample(theta, 5)
    monkeypatch.setattr(exact, "_SAMPLED", 3 * 2**4)
    assert torch.equal(StateVector(ansatz, stream()).sample(theta, 5), whole)


def test_more_codes_than_multinomial_takes_and_rarer_than_single_precision_adds():
    # 2**25 equal codes: torch.multinomial ends at 2**24, and running sums in float32 stop growing at 1/2
    n = 25
    sums = cumulative(torch.full((1, 2**n), 2.0**-n))
    assert sums.dtype == torch.float64
    top = draw(sums, 4096, stream())[0] >> (n - 4)
    assert chisquare(top.bincount(minlength=16).numpy()).pvalue > 1e-3


def test_codes_of_probability_zero_are_never_drawn():
    p = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]])
    assert draw(cumulative(p), 10_000, stream()).unique().tolist() == [1, 3]


def test_bits_and_integers_are_inverse():
    assert to_bits(torch.tensor([1, 4]), 3).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert torch.equal(to_integers(all_bits(5, torch.device("cpu"))), torch.arange(32))


@pytest.mark.parametrize("spoiled", [math.nan, math.inf])
def test_angles_that_are_no_numbers_are_refused(spoiled):
    theta = angles(Ansatz(3), 2)
    theta[1, 4] = spoiled
    with pytest.raises(InputError, match="theta must be finite angles in radians"):
        StateVector(Ansatz(3), stream()).probabilities(theta)


def test_too_many_qubits_name_the_memory_they_need():
    with pytest.raises(InputError, match=r"state vector of 40 qubits needs 49,152\.0 GiB"):
        StateVector(Ansatz(40), stream())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("ansatz", [Ansatz(7), Ansatz(12, 2, "reduced", "rzz")], ids=name)
def test_gpu_and_cpu_agree(ansatz):
    theta = angles(ansatz, 2)
    here = StateVector(ansatz, stream()).probabilities(theta)
    sampler = StateVector(ansatz, torch.Generator("cuda").manual_seed(0))
    assert (sampler.probabilities(theta.cuda()).cpu() - here).abs().max() < 1e-6
    assert sampler.sample(theta.cuda(), 3).is_cuda
