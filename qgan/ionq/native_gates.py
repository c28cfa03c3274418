"""IonQ's native gates as values: their JSON, their matrices and the circuits made of them.

Phases and angles are in turns (1 is 2 pi). With X_p = cos(2 pi p) X + sin(2 pi p) Y,

    GPI(p) = X_p                       GPI2(p) = exp(-i pi/4 X_p)
    MS(p0, p1, t) = exp(-i pi t X_p0 (x) X_p1)          ZZ(t) = exp(-i pi t Z (x) Z)

Paper, Eqs. 12 to 15. A virtual Z (the paper's GZ) is no gate: it is the phase of the gates behind it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from qgan.errors import InputError

Name = Literal["gpi", "gpi2", "ms", "zz"]

_PHASES = {"gpi": 1, "gpi2": 1, "ms": 2, "zz": 0}  # how many phases a gate has; ms and zz have an angle too


@dataclass(frozen=True, slots=True)
class NativeGate:
    """One pulse or one entangling gate."""

    name: Name
    qubits: tuple[int, ...]
    phases: tuple[float, ...] = ()  # turns, one per qubit; none for zz
    angle: float | None = None  # turns; of ms and zz

    @property
    def entangles(self) -> bool:
        return len(self.qubits) == 2

    def matrix(self) -> NDArray[np.complex128]:
        """The unitary (2, 2) or (4, 4), qubits[0] the most significant."""
        if self.name == "zz":
            assert self.angle is not None
            return np.diag(np.exp(-1j * np.pi * self.angle * np.array([1, -1, -1, 1])))
        pauli = np.ones((1, 1), complex)
        for phase in self.phases:
            turn = np.exp(2j * np.pi * phase)
            pauli = np.kron(pauli, np.array([[0, turn.conjugate()], [turn, 0]]))
        if self.name == "gpi":
            return pauli
        half = np.pi / 4 if self.angle is None else np.pi * self.angle
        return np.asarray(np.cos(half) * np.eye(len(pauli)) - 1j * np.sin(half) * pauli)

    def json(self) -> dict[str, Any]:
        """The gate as IonQ's API takes it."""
        if not self.entangles:
            return {"gate": self.name, "target": self.qubits[0], "phase": self.phases[0]}
        phases = {"phases": list(self.phases)} if self.phases else {}
        return {"gate": self.name, "targets": list(self.qubits), **phases, "angle": self.angle}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The gate of an API's record; raises InputError where it is none."""
        name = record.get("gate")
        if name not in _PHASES:
            raise InputError(f"gate must be {', '.join(_PHASES)}, not {name!r}", "gate")
        single = name in ("gpi", "gpi2")
        keys = {"gpi": {"target", "phase"}, "ms": {"targets", "phases"}, "zz": {"targets", "angle"}}
        wanted = keys["gpi" if single else name]
        if not wanted <= record.keys() <= wanted | {"gate"} | ({"angle"} if name == "ms" else set()):
            raise InputError(
                f"a {name} has the keys gate, {', '.join(sorted(wanted))}, not {', '.join(record)}", "gate"
            )
        qubits = (record["target"],) if single else tuple(record["targets"])
        phases = (record["phase"],) if single else tuple(record.get("phases", ()))
        angle = None if single else record.get("angle", 0.25)
        whole = all(type(qubit) is int and qubit >= 0 for qubit in qubits)
        if not whole or len(set(qubits)) != (1 if single else 2):
            raise InputError(f"a {name} acts on {'one qubit' if single else 'two qubits'}, not on {qubits}", "targets")
        numbers = [*phases, *([] if angle is None else [angle])]
        fine = all(isinstance(each, int | float) and abs(each) <= 1 for each in numbers)
        if not fine or len(phases) != _PHASES[name]:
            raise InputError(f"phases and angles of a {name} are from -1 to 1 turns, not {numbers}", "phases")
        return cls(name, qubits, tuple(map(float, phases)), None if angle is None else float(angle))


@dataclass(frozen=True)
class NativeCircuit:
    """Native gates in order, and what remains to be done to their outcome."""

    n_qubits: int
    gates: tuple[NativeGate, ...]
    flips: tuple[bool, ...]  # per qubit: whether the measured bit has to be inverted
    frame: tuple[
        float, ...
    ]  # per qubit: RZ in turns, still to be applied before a flip; invisible in the measured bits

    @property
    def pulses(self) -> int:
        """Gates on one qubit."""
        return sum(not gate.entangles for gate in self.gates)

    @property
    def entanglers(self) -> int:
        """Gates on two qubits."""
        return sum(gate.entangles for gate in self.gates)

    def json(self) -> list[dict[str, Any]]:
        """The gates as IonQ's API takes them."""
        return [gate.json() for gate in self.gates]

    @property
    def digest(self) -> str:
        """SHA-256 of the gates and flips, in hex."""
        text = json.dumps([self.n_qubits, self.json(), self.flips], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def unitary(gates: Iterable[NativeGate], n_qubits: int) -> NDArray[np.complex128]:
    """The product (2**n, 2**n) of gates, qubit 0 the least significant: for tests and drawings of few qubits."""
    state = np.eye(2**n_qubits, dtype=complex).reshape([2] * n_qubits + [-1])
    for gate in gates:
        axes = [n_qubits - 1 - qubit for qubit in gate.qubits]
        k = len(axes)
        matrix = gate.matrix().reshape([2] * 2 * k)
        state = np.moveaxis(np.tensordot(matrix, state, (range(k, 2 * k), axes)), range(k), axes)
    return state.reshape(2**n_qubits, -1)
