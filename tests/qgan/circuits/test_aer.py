"""The samplers with finite shots and noise, Aer's and ours, against density matrices; and the names of backends."""

import math
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from qiskit.quantum_info import DensityMatrix, Kraus, Operator
from qiskit_aer import AerSimulator
from scipy.stats import chisquare

from qgan.circuits import noisy
from qgan.circuits.aer import AerSampler
from qgan.circuits.ansatz import Ansatz
from qgan.circuits.backends import make_sampler
from qgan.circuits.codes import to_integers
from qgan.circuits.exact import StateVector
from qgan.circuits.noisy import NoisyStateVector
from qgan.errors import InputError
from qgan.ionq.noise import Noise
from qgan.prior_settings import BACKENDS

LOUD = Noise(pulse=0.08, two_qubit=0.15, spam=0.06)  # every source of error shows in some thousand shots


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def angles(ansatz: Ansatz, batch: int, seed: int = 0) -> torch.Tensor:
    return 2 * math.pi * torch.rand(batch, ansatz.n_parameters, generator=stream(seed), dtype=torch.float64)


def assert_frequencies(codes: torch.Tensor, p: np.ndarray) -> None:
    counts = np.bincount(to_integers(codes).numpy(), minlength=len(p))
    assert chisquare(counts, counts.sum() * p / p.sum()).pvalue > 1e-3


@pytest.mark.parametrize("ansatz", [Ansatz(4), Ansatz(3, 2, "line", "rzz"), Ansatz(2, connectivity="none"), Ansatz(1)])
def test_without_noise_aer_measures_the_exact_distribution(ansatz):
    theta = angles(ansatz, 3)
    codes = AerSampler(ansatz, stream()).sample(theta, 8_000)
    assert codes.shape == (3, 8_000, ansatz.n_qubits)
    assert codes.dtype == torch.uint8
    exact = StateVector(ansatz, stream(), torch.complex128).probabilities(theta).numpy()
    for measured, p in zip(codes, exact, strict=True):
        assert_frequencies(measured, p)


def native_probabilities(ansatz: Ansatz, theta: np.ndarray, noise: Noise) -> np.ndarray:
    """Density matrix of the pulses a machine would run, IonQ's Kraus operators after each; RZ is only a frame."""
    paulis = [np.eye(2), np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])]

    def depolarise(rate: float, qubits: int) -> Kraus:
        operators = paulis if qubits == 1 else [np.kron(a, b) for a in paulis for b in paulis]
        d2 = 4**qubits
        weights = [1 - (d2 - 1) / d2 * rate] + [rate / d2] * (d2 - 1)
        return Kraus([math.sqrt(w) * each for w, each in zip(weights, operators, strict=True)])

    def rotation(pauli: np.ndarray, angle: float) -> Operator:
        return Operator(math.cos(angle / 2) * np.eye(len(pauli)) - 1j * math.sin(angle / 2) * pauli)

    x, z = paulis[1], paulis[3]
    entangler = np.kron(x, x) if ansatz.entangler == "rxx" else np.kron(z, z)
    pulse_error, pair_error = depolarise(noise.pulse, 1), depolarise(noise.two_qubit, 2)
    rho = DensityMatrix.from_label("0" * ansatz.n_qubits)
    for layer in range(ansatz.layers + 1):
        if layer:
            for angle, pair in zip(theta[ansatz.entanglers(layer)], ansatz.pairs, strict=True):
                rho = rho.evolve(rotation(entangler, angle), pair).evolve(pair_error, pair)
        for qubit in range(ansatz.n_qubits):
            b, c = theta[ansatz.rx(layer)][qubit], theta[ansatz.rz(layer)][qubit]
            # RX(b) as two quarter turns with phases in between: GPI2 is RX(pi/2) in a turned frame
            for before in (math.pi / 2, b + math.pi):
                rho = rho.evolve(rotation(z, before), [qubit]).evolve(rotation(x, math.pi / 2), [qubit])
                rho = rho.evolve(pulse_error, [qubit])
            rho = rho.evolve(rotation(z, math.pi / 2 + c), [qubit])
    p = rho.probabilities().reshape([2] * ansatz.n_qubits)
    for axis in range(ansatz.n_qubits):
        p = (1 - noise.spam) * p + noise.spam * np.flip(p, axis)
    return p.ravel()


@pytest.mark.parametrize("sampler", [AerSampler, NoisyStateVector])
@pytest.mark.parametrize("ansatz", [Ansatz(3), Ansatz(3, 2, "line", "rzz"), Ansatz(1), Ansatz(4, connectivity="line")])
def test_noise_is_what_a_density_matrix_of_native_gates_predicts(ansatz, sampler):
    theta = angles(ansatz, 1, seed=3)
    quiet = native_probabilities(ansatz, theta[0].numpy(), Noise(0, 0))
    exact = StateVector(ansatz, stream(), torch.complex128).probabilities(theta)[0].numpy()
    assert np.abs(quiet - exact).max() < 1e-12  # the native circuit is the ansatz
    codes = sampler(ansatz, stream(), LOUD).sample(theta, 8_000)[0]
    assert_frequencies(codes, native_probabilities(ansatz, theta[0].numpy(), LOUD))


def test_noisy_codes_may_be_drawn_in_parts(monkeypatch):
    ansatz = Ansatz(4)
    theta = angles(ansatz, 1)
    monkeypatch.setattr(noisy, "_AMPLITUDES", 7 * 2**4)
    codes = NoisyStateVector(ansatz, stream(), LOUD).sample(theta, 8_000)[0]
    assert_frequencies(codes, native_probabilities(ansatz, theta[0].numpy(), LOUD))


@pytest.mark.parametrize("flipped", range(3))
def test_qubit_q_is_bit_q(flipped):
    ansatz = Ansatz(3)
    theta = torch.zeros(1, ansatz.n_parameters)
    theta[0, ansatz.rx(0).start + flipped] = math.pi
    assert AerSampler(ansatz, stream()).sample(theta, 2).tolist() == [[[int(q == flipped) for q in range(3)]] * 2]


def test_all_circuits_of_a_call_are_one_aer_run(monkeypatch):
    calls = []
    run = AerSimulator.run
    monkeypatch.setattr(AerSimulator, "run", lambda *a, **k: calls.append(1) or run(*a, **k))
    ansatz = Ansatz(3)
    AerSampler(ansatz, stream()).sample(angles(ansatz, 30), 5)
    assert len(calls) == 1


def test_a_batch_is_its_circuits_one_by_one():
    ansatz = Ansatz(3)
    theta = torch.zeros(8, ansatz.n_parameters)
    theta[:, ansatz.rx(0)] = math.pi * torch.tensor([[code >> q & 1 for q in range(3)] for code in range(8)])
    sampler = AerSampler(ansatz, stream())
    batch = sampler.sample(theta, 4)
    assert torch.equal(batch, torch.cat([sampler.sample(each[None], 4) for each in theta]))
    assert to_integers(batch).tolist() == [[code] * 4 for code in range(8)]


@pytest.mark.parametrize("sampler", [AerSampler, NoisyStateVector])
def test_codes_follow_from_the_stream_which_can_be_resumed(sampler):
    ansatz = Ansatz(4)
    theta = angles(ansatz, 2)
    named = stream(7)
    running = sampler(ansatz, named, LOUD)
    first, state = running.sample(theta, 50), named.get_state()
    second = running.sample(theta, 50)
    assert torch.equal(sampler(ansatz, stream(7), LOUD).sample(theta, 50), first)
    assert torch.equal(sampler(ansatz, torch.Generator().set_state(state), LOUD).sample(theta, 50), second)
    assert not torch.equal(first, second)
    assert not torch.equal(*sampler(ansatz, stream(), LOUD).sample(theta[:1].expand(2, -1), 50))


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_samples(backend):
    ansatz = Ansatz(2)
    codes = make_sampler(backend, ansatz, stream()).sample(angles(ansatz, 2), 3)
    assert codes.shape == (2, 3, 2)
    assert codes.dtype == torch.uint8


@pytest.mark.parametrize("backend", ["exact", "exact:aria-2", "aer"])
@pytest.mark.parametrize(
    ("spoil", "shots", "says"),
    [
        (lambda theta: theta, 0, "shots must be 1 or more"),
        (lambda theta: theta * math.nan, 5, "theta must be finite angles"),
        (lambda theta: theta / 0, 5, "theta must be finite angles"),
        (lambda theta: theta[:, 1:], 5, r"theta must be \(batch, 15\)"),
        (lambda theta: theta[0], 5, r"theta must be \(batch, 15\)"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_sentence(backend, spoil, shots, says):
    ansatz = Ansatz(3)
    with pytest.raises(InputError, match=says) as error:
        make_sampler(backend, ansatz, stream()).sample(spoil(angles(ansatz, 2)), shots)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("backend", "nearest"),
    [
        ("aer:aria2", "aer:aria-2"),
        ("ezact", "exact"),
        ("aer:aria-2+spm", r"aer:aria-2\+spam"),
        ("aer:forte-2", "forte"),
    ],
)
def test_an_unknown_backend_names_what_exists_and_the_nearest(backend, nearest):
    with pytest.raises(
        InputError, match=rf"exact, exact:aria-1, .*, aer, aer:aria-1, .*did you mean .*{nearest}"
    ) as error:
        make_sampler(backend, Ansatz(2), stream())
    assert error.value.key == "backend"


def test_a_gpu_that_aer_does_not_offer_is_refused_in_one_sentence(monkeypatch):
    monkeypatch.setattr(AerSimulator, "available_devices", lambda self: ("CPU",))
    with pytest.raises(InputError, match="Aer offers CPU on this machine, not GPU: install the extra gpu"):
        AerSampler(Ansatz(2), stream(), device="GPU")


def test_a_gpu_that_aer_offers_is_used(monkeypatch):
    monkeypatch.setattr(AerSimulator, "available_devices", lambda self: ("CPU", "GPU"))
    assert AerSampler(Ansatz(2), stream(), device="GPU").simulator.options.device == "GPU"
    assert AerSampler(Ansatz(2), stream()).simulator.options.device == "CPU"


def test_the_extras_cpu_and_gpu_differ_in_aer_alone():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    cpu, gpu = ({line.split(">=")[0] for line in project["optional-dependencies"][extra]} for extra in ("cpu", "gpu"))
    assert cpu ^ gpu == {"qiskit-aer", "qiskit-aer-gpu"}
    assert not {"qiskit-aer", "qiskit-aer-gpu"} & {line.split(">=")[0] for line in project["dependencies"]}
