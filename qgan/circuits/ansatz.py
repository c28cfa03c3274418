"""The Born machine's ansatz: which gates, on which qubits, with which entries of theta."""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import acos, asin, cos, pi, sqrt
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from qgan.errors import InputError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

Connectivity = Literal["full", "reduced", "line"] | tuple[tuple[int, int], ...]
Entangler = Literal["rxx", "rzz"]

_REACH = {"full": None, "reduced": 3, "line": 1}  # largest distance of a pair on an open line
_SPREAD = 0.01  # radians; breaks the ties of the initial angles, moves p_theta by about a percent


@dataclass(frozen=True)
class Ansatz:
    """Layered ansatz of the paper: rotations, entanglers, rotations, and so on for each further layer.

    Region 1 is RX, then RZ on every qubit. Each layer adds a region 2 (one two-qubit rotation per pair) and a
    region 3 (RX, then RZ on every qubit). `theta` (P,), radians, lists the angles in that order, each gate kind as
    a block over qubits or pairs: RX | RZ | pairs | RX | RZ | pairs | RX | RZ ...

    connectivity: `full` all pairs, `reduced` distance <= 3 on an open line, `line` neighbours, or explicit pairs.
    """

    n_qubits: int
    layers: int = 1
    connectivity: Connectivity = "full"
    entangler: Entangler = "rxx"

    def __post_init__(self) -> None:
        if self.n_qubits < 1:
            raise InputError(f"n_qubits must be 1 or more, not {self.n_qubits}", "n_qubits")
        if self.layers < 1:
            raise InputError(f"layers must be 1 or more, not {self.layers}", "layers")
        if self.entangler not in ("rxx", "rzz"):
            raise InputError(f"entangler must be rxx or rzz, not {self.entangler!r}", "entangler")
        if isinstance(self.connectivity, str) and self.connectivity not in _REACH:
            raise InputError(
                f"connectivity must be {', '.join(_REACH)} or pairs of qubits, not {self.connectivity!r}",
                "connectivity",
            )
        if len(set(self.pairs)) < len(self.pairs) or not all(0 <= i < j < self.n_qubits for i, j in self.pairs):
            raise InputError(
                f"connectivity must list each pair (i, j) once, 0 <= i < j < {self.n_qubits}, not {self.pairs}",
                "connectivity",
            )

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The entangled pairs (i, j), i < j, in the order of their angles."""
        if not isinstance(self.connectivity, str):
            return tuple(self.connectivity)
        reach = _REACH[self.connectivity] or self.n_qubits
        return tuple((i, j) for i, j in combinations(range(self.n_qubits), 2) if j - i <= reach)

    @property
    def n_parameters(self) -> int:
        """P, the length of theta: 114 for 12 qubits, full, one layer."""
        return int(self.rz(self.layers).stop)

    def rx(self, layer: int) -> slice:
        """Where in theta the RX angles of a layer's region 3 are; layer 0 is region 1."""
        start = layer * (2 * self.n_qubits + len(self.pairs))
        return slice(start, start + self.n_qubits)

    def rz(self, layer: int) -> slice:
        """Where in theta the RZ angles of a layer's region 3 are; layer 0 is region 1."""
        start = self.rx(layer).stop
        return slice(start, start + self.n_qubits)

    def entanglers(self, layer: int) -> slice:
        """Where in theta the pairs' angles of a layer are; layers count from 1."""
        stop = self.rx(layer).start
        return slice(stop - len(self.pairs), stop)

    @property
    def silent(self) -> range:
        """The angles that never change p_theta: the last RZ column only turns phases of measured amplitudes."""
        last = self.rz(self.layers)
        return range(last.start, last.stop)

    def initial_angles(self, p: float, stream: torch.Generator) -> Tensor:
        """Angles theta (P,) float32, radians, with p_theta near Bernoulli(p) and a slope on every entangler.

        RX = pi/2 alone is exactly Bernoulli(1/2), but there no entangler has a slope; nor has one when all angles
        are 0. RXX commutes with what RX = 2 asin(sqrt(p)) prepares until RZ = pi/4 turns it aside. RZZ only turns
        phases until the last RX = c mixes them; region 1 then prepares Bernoulli(p) less that turn.
        """
        if not 0 < p < 1:
            raise InputError(f"p must be above 0 and below 1, not {p!r}", "p")
        theta = _SPREAD * torch.randn(self.n_parameters, generator=stream, device=stream.device)
        if self.entangler == "rxx":
            theta[self.rx(0)] += 2 * asin(sqrt(p))
            theta[self.rz(0)] += pi / 4
        else:
            a = acos(1 - 2 * p)  # polar angle of a qubit that measures 1 with probability p
            c = min(a, pi - a) / 2  # any turn with cos c > |cos a| can be compensated
            theta[self.rx(0)] += acos(cos(a) / cos(c))
            theta[self.rz(0)] += pi / 2
            theta[self.rx(self.layers)] += c
        return theta

    def qiskit(self) -> "QuantumCircuit":
        """The Qiskit circuit with parameters theta[0] ... theta[P - 1], without measurements."""
        from qiskit import QuantumCircuit
        from qiskit.circuit import ParameterVector

        theta = ParameterVector("theta", self.n_parameters)
        circuit = QuantumCircuit(self.n_qubits)
        entangle = circuit.rxx if self.entangler == "rxx" else circuit.rzz
        for layer in range(self.layers + 1):
            if layer > 0:
                for angle, (i, j) in zip(theta[self.entanglers(layer)], self.pairs, strict=True):
                    entangle(angle, i, j)
            for qubit in range(self.n_qubits):
                circuit.rx(theta[self.rx(layer)][qubit], qubit)
                circuit.rz(theta[self.rz(layer)][qubit], qubit)
        return circuit
