"""Circuits of the Born machine and the samplers that run them.

Bit q of a code is qubit q; the integer of a code has qubit 0 as its least significant bit (Qiskit's order).
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

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


@runtime_checkable
class RecordedSampler(Sampler, Protocol):
    """A sampler of circuits that cost money: what was measured, and what it was worth, is on record for good."""

    def begin_cycle(self, number: int) -> None:
        """Update event `number`, counted from 0, begins."""
        ...

    def remember(self, losses: list[float]) -> list[float]:
        """What the circuits of the last call were worth: what was said first, where a run repeats itself."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What a resume needs to give the same names to the same circuits."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...
