"""The compiler: equal to the ideal circuit up to the frame, one entangling gate per rotation, angles in range."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from qiskit.quantum_info import Operator
from qiskit_ionq import GPI2Gate, GPIGate, MSGate, ZZGate

from qgan.circuits.ansatz import Ansatz
from qgan.errors import InputError
from qgan.ionq.cnot import compile_by_cnots
from qgan.ionq.compiler import Compiler, compile_ansatz
from qgan.ionq.native_gates import NativeCircuit, NativeGate, unitary

BOTH = list(product(["rxx", "rzz"], ["ms", "zz"]))
SPECIAL = [0.0, math.pi / 2, math.pi, -math.pi / 2, 2 * math.pi, -2 * math.pi, math.pi / 4, 3 * math.pi / 2, 1e-9]


def angles(ansatz: Ansatz, seed: int = 0) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    return 2 * math.pi * (2 * torch.rand(ansatz.n_parameters, generator=stream, dtype=torch.float64) - 1)


def ideal(ansatz: Ansatz, theta: torch.Tensor) -> np.ndarray:
    return Operator(ansatz.qiskit().assign_parameters(theta.tolist())).data


def framed(circuit: NativeCircuit) -> np.ndarray:
    """What the gates do, and the frame that they leave."""
    frame = np.ones((1, 1))
    for f, x in zip(circuit.frame, circuit.flips, strict=True):  # qubit 0 is the least significant
        turn = np.diag(np.exp(1j * np.pi * f * np.array([-1, 1])))
        frame = np.kron(turn @ (np.eye(2)[::-1] if x else np.eye(2)), frame)
    return frame @ unitary(circuit.gates, circuit.n_qubits)


def assert_equal_up_to_phase(found: np.ndarray, wanted: np.ndarray) -> None:
    overlap = np.trace(wanted.conj().T @ found)
    assert np.abs(found * (abs(overlap) / overlap) - wanted).max() < 1e-12


CASES = list(product([2, 3, 4, 5], ["rxx", "rzz"], ["ms", "zz"], [1, 2, 3]))


@pytest.mark.parametrize(("n", "entangler", "profile", "layers"), CASES)
def test_the_compiled_circuit_is_the_ideal_one(n, entangler, profile, layers):
    ansatz = Ansatz(n, layers, "full", entangler)
    theta = angles(ansatz, seed=n + layers)
    wanted = ideal(ansatz, theta)
    for compiler in (Compiler(n, profile), Compiler(n, profile, negative_zz=True)):
        circuit = compile_ansatz(ansatz, theta, compiler)
        assert_equal_up_to_phase(framed(circuit), wanted)
        assert circuit.entanglers == layers * len(ansatz.pairs)


@pytest.mark.parametrize(("entangler", "profile"), BOTH)
def test_right_angles_need_no_care(entangler, profile):
    """Frames that are monomials, quarter turns, no turn at all: what random angles never meet."""
    ansatz = Ansatz(3, 2, "full", entangler)
    stream = np.random.default_rng(7)
    for _ in range(40):
        theta = torch.tensor(stream.choice(SPECIAL, ansatz.n_parameters))
        circuit = compile_ansatz(ansatz, theta, profile)
        assert_equal_up_to_phase(framed(circuit), ideal(ansatz, theta))
        assert circuit.entanglers == 2 * len(ansatz.pairs)


@pytest.mark.parametrize(("entangler", "profile"), BOTH)
def test_angles_are_in_the_documented_ranges(entangler, profile):
    ansatz = Ansatz(5, 3, "full", entangler)
    for seed in range(5):
        for gate in compile_ansatz(ansatz, angles(ansatz, seed), profile).gates:
            assert all(-0.5 < p <= 0.5 for p in gate.phases)
            assert gate.angle is None or 0 <= gate.angle <= 0.25
            assert gate.name in ("gpi", "gpi2", profile)


@pytest.mark.parametrize(
    ("entangler", "connectivity", "profile", "pulses", "entanglers"),
    [
        ("rxx", "full", "ms", 48, 66),
        ("rxx", "reduced", "ms", 48, 30),
        ("rzz", "full", "ms", 36, 66),
        ("rzz", "reduced", "ms", 36, 30),
        ("rzz", "full", "zz", 48, 66),
        ("rxx", "full", "zz", 36, 66),
        ("rxx", "reduced", "zz", 36, 30),
    ],
)
def test_the_papers_counts(entangler, connectivity, profile, pulses, entanglers):
    ansatz = Ansatz(12, 1, connectivity, entangler)
    circuit = compile_ansatz(ansatz, angles(ansatz), Compiler(12, profile, negative_zz=True))
    assert (circuit.pulses, circuit.entanglers) == (pulses, entanglers)
    strict = compile_ansatz(ansatz, angles(ansatz), profile)
    flips = sum(gate.name == "gpi" for gate in strict.gates)
    assert (strict.pulses - flips, strict.entanglers) == (pulses, entanglers)
    assert (flips == 0) == (profile == "ms")


@pytest.mark.parametrize(("entangler", "profile"), BOTH)
def test_by_cnots_it_takes_twice_the_entangling_gates(entangler, profile):
    ansatz = Ansatz(3, 2, "full", entangler)
    theta = angles(ansatz)
    circuit = compile_by_cnots(ansatz, theta, profile)
    assert_equal_up_to_phase(framed(circuit), ideal(ansatz, theta))
    assert circuit.entanglers == 2 * 2 * len(ansatz.pairs)
    large = Ansatz(12, 1, "full", entangler)
    assert compile_by_cnots(large, angles(large), profile).entanglers == 132


def test_matrices_are_those_of_ionqs_client():
    cases = [
        (NativeGate("gpi", (0,), (0.3,)), GPIGate(0.3)),
        (NativeGate("gpi2", (0,), (-0.2,)), GPI2Gate(-0.2)),
        (NativeGate("zz", (0, 1), (), 0.11), ZZGate(0.11)),
        # Qiskit has the first qubit least significant
        (NativeGate("ms", (0, 1), (0.3, -0.1), 0.07), MSGate(-0.1, 0.3, 0.07)),
    ]
    for ours, theirs in cases:
        assert np.abs(ours.matrix() - np.array(theirs)).max() < 1e-15


def test_gates_survive_json():
    ansatz = Ansatz(4)
    for profile in ("ms", "zz"):
        gates = compile_ansatz(ansatz, angles(ansatz), profile).gates
        assert tuple(NativeGate.from_json(gate.json()) for gate in gates) == gates


@pytest.mark.parametrize(
    "record",
    [
        {"gate": "gz", "target": 0, "phase": 0.1},
        {"gate": "gpi", "target": 0},
        {"gate": "gpi", "target": -1, "phase": 0.1},
        {"gate": "gpi", "target": 0, "phase": 1.5},
        {"gate": "gpi2", "target": 0, "phase": math.nan},
        {"gate": "ms", "targets": [0, 0], "phases": [0, 0], "angle": 0.1},
        {"gate": "ms", "targets": [0, 1], "phases": [0], "angle": 0.1},
        {"gate": "zz", "targets": [0, 1], "angle": 0.1, "phases": [0, 0]},
    ],
)
def test_what_is_no_native_gate_is_refused(record):
    with pytest.raises(InputError):
        NativeGate.from_json(record)


def test_bad_angles_and_profiles_are_refused():
    with pytest.raises(InputError, match=r"theta must be \(batch, 15\)"):
        compile_ansatz(Ansatz(3), [0.1] * 5, "ms")
    with pytest.raises(InputError, match="finite"):
        compile_ansatz(Ansatz(3), [math.nan] * 15, "ms")
    with pytest.raises(InputError, match="profile must be ms or zz"):
        compile_ansatz(Ansatz(3), angles(Ansatz(3)), "cz")
