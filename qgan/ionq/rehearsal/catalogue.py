"""The machines that the rehearsal simulates."""

import uuid
from dataclasses import dataclass, field

from qgan.ionq.noise import PUBLISHED, Noise


@dataclass
class Machine:
    """A simulated machine, or IonQ's simulator."""

    name: str
    qubits: int
    gates: tuple[str, ...]
    noise: Noise | None  # None: the job says which
    status: str = "available"  # available | unavailable | retired
    degraded: bool = False
    characterization: str = field(default_factory=lambda: str(uuid.uuid4()))


def machines() -> list[Machine]:
    """Those of the public documents, in the state of 2026 but for Aria 2, which is what the rehearsal is for."""
    ms, zz = ("gpi", "gpi2", "ms"), ("gpi", "gpi2", "zz")
    return [
        Machine("simulator", 29, ("gpi", "gpi2", "ms", "zz"), None),
        Machine("qpu.aria-1", 25, ms, PUBLISHED["aria-1"], status="retired"),
        Machine("qpu.aria-2", 25, ms, PUBLISHED["aria-2"]),
        Machine("qpu.forte-1", 36, zz, PUBLISHED["forte-1"]),
        Machine("qpu.forte-enterprise-1", 36, zz, PUBLISHED["forte-1"]),
    ]
