"""The sampler of a machine: counts its calls, so that every point of a run has one name for ever."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import require_shots, to_bits
from qgan.ionq.jobs import Measures


class IonqSampler:
    """Measures an ansatz on a machine of IonQ's, or on what stands in for one."""

    def __init__(self, ansatz: Ansatz, machine: Measures) -> None:
        self.ansatz = ansatz
        self.machine = machine
        self.calls = 0

    def sample(self, theta: Tensor, shots: int) -> Tensor:
        """Measured codes (batch, shots, n_bits) uint8 of the circuits with angles theta (batch, P), radians."""
        self.ansatz.require_angles(theta)
        require_shots(shots)
        codes = self.machine.measure(self.calls, theta.detach().double().cpu().tolist(), shots)
        self.calls += 1
        return to_bits(torch.tensor(codes, device=theta.device), self.ansatz.n_qubits)

    def remember(self, losses: list[float]) -> list[float]:
        """What the points of the last call were worth: what was said first, where a run repeats itself."""
        return self.machine.remember(self.calls - 1, losses)

    def begin_cycle(self, number: int) -> None:
        """Update event `number` begins."""
        self.machine.begin_cycle(number)

    def state_dict(self) -> dict[str, Any]:
        return {"calls": self.calls}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.calls = state["calls"]
