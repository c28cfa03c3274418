"""A layer of a neural network that is a circuit: features become angles, expectation values become outputs.

It runs the operations of the exact sampler under autograd, as a gradient penalty takes the derivative of a gradient.
The sampler's own gradient is written by hand and can be taken once; of some losses the second one is lost in silence.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.exact import StateVector, amplitudes, region_1, transform
from qgan.circuits.phases import signs
from qgan.errors import InputError

LARGEST = 10  # qubits: every input of a batch has its own 2**n amplitudes, kept at every step for two derivatives


class QuantumLayer(nn.Module):
    """Features (k, in_features) to outputs (k, out_features): b + sum_q w_q <Z_q> after the ansatz.

    A linear map reduces the features to one angle per qubit, radians, which is added to the trained angle of the RX
    before every layer's entanglers, so that further layers upload the features again. <Z_q> in [-1, 1] are read out
    by a linear layer; an output is therefore bounded, and not piecewise linear. Any number of derivatives.

    With n qubits and P angles it has n in_features + P - n + (n + 1) out_features parameters: the n silent angles of
    the ansatz are not among them, and RX's trained angles are the first map's bias. Initial values come from torch's
    global stream, like those of torch's layers. Raises InputError for more than 10 qubits.
    Source: Perez-Salinas et al., Quantum 4 (2020) 226; Schuld, Sweke and Meyer, PRA 103 (2021) 032430.
    """

    def __init__(self, in_features: int, ansatz: Ansatz, out_features: int = 1) -> None:
        super().__init__()
        n = ansatz.n_qubits
        if n > LARGEST:
            raise InputError(f"a quantum layer has at most {LARGEST} qubits, not {n}; use fewer", "n_qubits")
        self.ansatz = ansatz
        self.encode = nn.Linear(in_features, n, bias=False)
        # <Z_q> crosses 0 with slope where this start puts it, and no entangler is without one
        self.theta = nn.Parameter(ansatz.initial_angles(0.5, torch.default_generator)[: ansatz.silent.start])
        self.read = nn.Linear(n, out_features)

    def angles(self, features: Tensor) -> Tensor:
        """theta (k, P), radians, of features (k, in_features)."""
        theta = self.theta.expand(len(features), -1)
        encoded = self.encode(features)
        parts, done = [], 0
        for layer in range(self.ansatz.layers):
            rx = self.ansatz.rx(layer)
            parts += [theta[:, done : rx.start], theta[:, rx] + encoded]
            done = rx.stop
        return torch.cat([*parts, theta[:, done:], torch.zeros_like(encoded)], 1)

    def expectations(self, features: Tensor) -> Tensor:
        """<Z_q> = sum_z p(z) (1 - 2 z_q) (k, n) of features (k, in_features)."""
        theta = self.angles(features)
        p = probabilities(_circuit(self.ansatz, theta.device, theta.dtype), theta)
        return p @ signs(self.ansatz.n_qubits, theta).T

    def forward(self, features: Tensor) -> Tensor:
        return self.read(self.expectations(features))  # type: ignore[no-any-return]


def probabilities(circuit: StateVector, theta: Tensor) -> Tensor:
    """Born probabilities (batch, 2**n) of theta (batch, P), radians, differentiable any number of times.

    The same numbers as `circuit.probabilities(theta)`; its gradient takes about a third more time.
    """
    zero, one = region_1(circuit.ansatz, theta)
    low, high = [register.product(zero, one) for register in circuit.registers]
    psi = (high.unsqueeze(2) * low.unsqueeze(1)).flatten(1)
    for phases in circuit.steps:
        planes = transform(psi * phases.turn(theta), circuit.hadamards)
        psi = amplitudes(planes)
    return planes.square().sum(1)


@lru_cache(maxsize=16)
def _circuit(ansatz: Ansatz, device: torch.device, dtype: torch.dtype) -> StateVector:
    """The tables of an ansatz, shared by all layers on a device; no member of a layer, as a copy needs none."""
    with torch.inference_mode(False):  # tables made in inference mode would forbid training with them later
        return StateVector(ansatz, torch.Generator(device=device), dtype.to_complex())
