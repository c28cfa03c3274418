"""IonQ's machines as its service lists them now, and which of them a circuit may be sent to."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from qgan.errors import InputError, nearest
from qgan.ionq.compiler import Profile

_FAMILIES: dict[str, Profile] = {"aria": "ms", "forte": "zz", "tempo": "zz"}  # where the service names no gates


@dataclass(frozen=True)
class Machine:
    """One entry of `GET /backends`."""

    name: str  # qpu.forte-1
    status: str  # available | unavailable | retired
    qubits: int
    degraded: bool
    queue_ms: float | None  # average time that a job waits
    characterization: str | None  # id
    gates: tuple[str, ...]  # native gates; empty where the service names none

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        return cls(
            record["backend"],
            record.get("status", "unavailable"),
            int(record.get("qubits", 0)),
            bool(record.get("degraded", False)),
            record.get("average_queue_time"),
            record.get("characterization_id"),
            tuple(record.get("supported_native_gates") or ()),
        )

    @property
    def profile(self) -> Profile:
        """The machine's entangling gate; raises InputError where it is unknown."""
        known: tuple[Profile, ...] = ("ms", "zz")
        found = [gate for gate in known if gate in self.gates]
        found = found or [gate for family, gate in _FAMILIES.items() if family in self.name]
        if not found:
            raise InputError(f"{self.name}: its native entangling gate is unknown; known ones are ms and zz", "backend")
        return found[0]

    def json(self) -> dict[str, Any]:
        return asdict(self)


def choose(machines: Sequence[Machine], name: str, n_qubits: int, *, degraded: bool = False) -> Machine:
    """The machine of that name, fit for circuits of n_qubits now; `degraded` accepts one in a bad state.

    Raises InputError where there is none, or it is retired, unavailable, degraded, too small or of unknown gates.
    """
    found = next((machine for machine in machines if machine.name == name), None)
    names = ", ".join(machine.name for machine in machines if machine.status == "available")
    if found is None:
        hint = nearest(name, [machine.name for machine in machines])
        raise InputError(f"IonQ lists no machine {name}{hint}; available now: {names or 'none'}", "backend")
    if found.status != "available":
        raise InputError(f"{name} is {found.status}; available now: {names or 'none'}", "backend")
    if found.degraded and not degraded:
        raise InputError(f"{name} is degraded now: wait until it is not, or accept that with --yes", "backend")
    if found.qubits < n_qubits:
        raise InputError(
            f"{name} has {found.qubits} qubits, the circuit needs {n_qubits}: lower latent_dim", "latent_dim"
        )
    _ = found.profile
    return found
