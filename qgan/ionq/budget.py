"""What a native circuit costs on a machine: gates, time, the chance of a shot without any error, money."""

from dataclasses import dataclass
from typing import Self

from qgan.ionq.native_gates import NativeCircuit
from qgan.ionq.noise import Noise
from qgan.ionq.prices import Rates


@dataclass(frozen=True)
class Timing:
    """Gate times of a machine, seconds; its gates run one after the other."""

    pulse: float
    two_qubit: float


# the paper's, and Azure's provider page; no gate times of Forte are published
ARIA_TIMING = Timing(135e-6, 600e-6)


@dataclass(frozen=True)
class Budget:
    """What one circuit takes."""

    pulses: int
    entanglers: int
    seconds_per_shot: float
    no_error: float  # probability that a shot has no error of gates, under the noise model
    usd: float | None  # per job

    @classmethod
    def of(
        cls,
        circuit: NativeCircuit,
        noise: Noise,
        rates: Rates | None = None,
        *,
        shots: int = 1,
        debiasing: bool = False,
    ) -> Self:
        """The circuit's gates with a machine's rates and the times of Aria; money only where prices are given."""
        pulses, entanglers = circuit.pulses, circuit.entanglers
        return cls(
            pulses,
            entanglers,
            pulses * ARIA_TIMING.pulse + entanglers * ARIA_TIMING.two_qubit,
            # one of the 4 or 16 Paulis that replace a state is no error
            (1 - 3 / 4 * noise.pulse) ** pulses * (1 - 15 / 16 * noise.two_qubit) ** entanglers,
            None if rates is None else rates.usd(pulses, entanglers, shots, debiasing),
        )
