"""Circuits of the Born machine and the samplers that run them.

Bit q of a code is qubit q; the integer of a code has qubit 0 as its least significant bit (Qiskit's order).
"""

from typing import Protocol

from torch import Tensor


class Sampler(Protocol):
    """Runs circuits somewhere; that place is its backend."""

    def sample(self, theta: Tensor, shots: int) -> Tensor:
        """Measured codes (batch, shots, n_bits) uint8 of the circuits with angles theta (batch, P), radians."""
        ...


class ExactSampler(Sampler, Protocol):
    """A sampler that also knows the distribution it samples from."""

    def probabilities(self, theta: Tensor) -> Tensor:
        """Born probabilities (batch, 2**n_bits), differentiable in theta (batch, P), radians."""
        ...
