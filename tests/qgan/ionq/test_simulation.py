"""The rehearsal's simulation: its ideal probabilities, and its noise against density matrices."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from qiskit.quantum_info import DensityMatrix, Kraus, Operator
from scipy.stats import chisquare

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import to_bits
from qgan.circuits.exact import StateVector
from qgan.circuits.noisy import NoisyStateVector
from qgan.ionq.cnot import compile_by_cnots
from qgan.ionq.compiler import Compiler, compile_ansatz
from qgan.ionq.native_gates import NativeGate, unitary
from qgan.ionq.noise import PUBLISHED, Noise
from qgan.ionq.rehearsal import simulation
from qgan.ionq.rehearsal.simulation import probabilities, shots

LOUD = Noise(pulse=0.08, two_qubit=0.15, spam=0.06)  # every source of error shows in some thousand shots
PAULIS = [np.eye(2), np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])]


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def angles(ansatz: Ansatz, seed: int = 0) -> torch.Tensor:
    return 2 * math.pi * torch.rand(ansatz.n_parameters, generator=stream(seed), dtype=torch.float64)


def any_gates(n: int, count: int, seed: int) -> list[NativeGate]:
    """No circuit that a compiler would make: both entanglers, pulses everywhere."""
    chance = np.random.default_rng(seed)
    gates = []
    for _ in range(count):
        i, j = map(int, chance.permutation(n)[:2])
        p, q, t = chance.uniform(-1, 1, 3)
        gates.append(
            [
                NativeGate("gpi", (i,), (p,)),
                NativeGate("gpi2", (i,), (p,)),
                NativeGate("ms", (i, j), (p, q), t),
                NativeGate("ms", (i, j), (0.0, 0.5), t),
                NativeGate("zz", (i, j), (), t),
            ][chance.integers(5)]
        )
    return gates


@pytest.mark.parametrize("seed", range(8))
def test_any_native_circuit_has_its_probabilities(seed):
    gates = any_gates(4, 30, seed)
    assert probabilities(gates, 4).numpy() == pytest.approx(np.abs(unitary(gates, 4)[:, 0]) ** 2, abs=1e-12)


@pytest.mark.parametrize(("entangler", "profile"), list(product(["rxx", "rzz"], ["ms", "zz"])))
def test_compiled_it_measures_what_the_exact_sampler_knows(entangler, profile):
    ansatz = Ansatz(5, 2, "full", entangler)
    theta = angles(ansatz)
    exact = StateVector(ansatz, stream(), torch.complex128).probabilities(theta[None])[0]
    for circuit in (compile_ansatz(ansatz, theta, profile), compile_by_cnots(ansatz, theta, profile)):
        mask = sum(1 << qubit for qubit, flip in enumerate(circuit.flips) if flip)
        found = probabilities(circuit.gates, 5)[torch.arange(32) ^ mask]
        assert found.numpy() == pytest.approx(exact.numpy(), abs=1e-12)


def noisy_probabilities(gates: list[NativeGate], n: int, noise: Noise) -> np.ndarray:
    """Density matrix of the gates, with IonQ's Kraus operators after each."""

    def depolarise(rate: float, qubits: int) -> Kraus:
        operators = PAULIS if qubits == 1 else [np.kron(a, b) for a in PAULIS for b in PAULIS]
        d2 = 4**qubits
        weights = [1 - (d2 - 1) / d2 * rate] + [rate / d2] * (d2 - 1)
        return Kraus([math.sqrt(w) * each for w, each in zip(weights, operators, strict=True)])

    channels = {1: depolarise(noise.pulse, 1), 2: depolarise(noise.two_qubit, 2)}
    rho = DensityMatrix.from_label("0" * n)
    for gate in gates:
        where = list(reversed(gate.qubits))  # Qiskit has the first qubit least significant
        rho = rho.evolve(Operator(gate.matrix()), where).evolve(channels[len(where)], where)
    p = rho.probabilities().reshape([2] * n)
    for axis in range(n):
        p = (1 - noise.spam) * p + noise.spam * np.flip(p, axis)
    return p.reshape(-1)


def assert_frequencies(codes: torch.Tensor, p: np.ndarray) -> None:
    counts = np.bincount(codes.numpy(), minlength=len(p))
    assert chisquare(counts, counts.sum() * p / p.sum()).pvalue > 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_noise_on_any_native_circuit(seed):
    gates = any_gates(3, 14, seed)
    assert_frequencies(shots(gates, 3, 20_000, LOUD, stream(seed)), noisy_probabilities(gates, 3, LOUD))


@pytest.mark.parametrize(
    ("entangler", "layers", "profile", "noise"),
    [("rxx", 1, "ms", LOUD), ("rzz", 1, "ms", LOUD), ("rxx", 2, "zz", LOUD), ("rzz", 1, "zz", LOUD)],
)
def test_noise_on_the_compiled_circuit(entangler, layers, profile, noise):
    ansatz = Ansatz(4, layers, "full", entangler)
    circuit = compile_ansatz(ansatz, angles(ansatz), Compiler(4, profile))
    measured = shots(circuit.gates, 4, 20_000, noise, stream())
    assert_frequencies(measured, noisy_probabilities(list(circuit.gates), 4, noise))


def test_noise_is_the_models_at_its_published_strength():
    ansatz = Ansatz(4)
    circuit = compile_ansatz(ansatz, angles(ansatz), "ms")
    measured = shots(circuit.gates, 4, 40_000, PUBLISHED["aria-2"], stream(3))
    assert_frequencies(measured, noisy_probabilities(list(circuit.gates), 4, PUBLISHED["aria-2"]))


def test_at_10_qubits_marginals_and_pair_correlations_are_the_noisy_samplers():
    """Total variation says nothing there: 4000 shots on 1024 codes. The sampler was accepted by density matrices."""
    ansatz = Ansatz(10)
    theta = angles(ansatz)
    theirs = NoisyStateVector(ansatz, stream(), LOUD).sample(theta[None], 4_000)[0]
    ours = to_bits(shots(compile_ansatz(ansatz, theta, "ms").gates, 10, 4_000, LOUD, stream(1)), 10)
    means = []
    for bits in (theirs, ours):
        signs = 1 - 2 * bits.double()
        means.append(torch.cat([signs.mean(0), (signs.T @ signs / 4_000).triu(1).flatten()]))
    assert (means[0] - means[1]).abs().max() < 5 * math.sqrt(2 / 4_000)


def test_shots_do_not_depend_on_how_many_fit_in_memory(monkeypatch):
    ansatz = Ansatz(4)
    gates = compile_ansatz(ansatz, angles(ansatz), "zz").gates
    whole = shots(gates, 4, 500, LOUD, stream())
    monkeypatch.setattr(simulation, "_AMPLITUDES", 2**7)
    assert torch.equal(shots(gates, 4, 500, LOUD, stream()), whole)


def test_the_papers_circuit_is_one_block(monkeypatch):
    """Why 12 qubits are fast: all entanglers act at once, whatever the machine."""
    flushes = []
    flush = simulation._Run._flush
    monkeypatch.setattr(simulation._Run, "_flush", lambda run: (flushes.append(bool(run.block)), flush(run))[1])
    for entangler, profile in product(["rxx", "rzz"], ["ms", "zz"]):
        ansatz = Ansatz(6, 1, "full", entangler)
        probabilities(compile_ansatz(ansatz, angles(ansatz), profile).gates, 6)
        assert flushes == [True]
        flushes.clear()


def test_where_no_shot_has_an_error():
    quiet = Noise(pulse=0.0, two_qubit=0.0)
    gates = any_gates(3, 14, 0)
    assert_frequencies(shots(gates, 3, 4_000, quiet, stream()), probabilities(gates, 3).numpy())
