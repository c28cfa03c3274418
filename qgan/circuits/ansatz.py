"""The Born machine's ansatz: which gates, on which qubits, with which entries of theta."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations
from math import acos, asin, cos, pi, sqrt
from operator import index
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor

from qgan.errors import InputError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

Connectivity = Literal["full", "reduced", "line", "none"] | Sequence[tuple[int, int]]
Entangler = Literal["rxx", "rzz"]
Start = Literal["bernoulli", "small", "uniform"]

_REACH = {"full": None, "reduced": 3, "line": 1, "none": 0}  # largest distance of a pair on an open line
_SPREAD = 0.01  # radians; breaks the ties of the initial angles, moves p_theta by about a percent
_SMALL = 0.1  # radians
_JACOBIAN = 2**26  # entries of the largest Jacobian whose rank is taken, half a GiB


@dataclass(frozen=True)
class Ansatz:
    """Layered ansatz of the paper (Fig. 1): rotations, entanglers, rotations, and so on for each further layer.

    Region 1 is RX, then RZ on every qubit. Each layer adds a region 2 (one two-qubit rotation per pair) and a
    region 3 (RX, then RZ on every qubit). `theta` (P,), radians, lists the angles in that order, each gate kind as
    a block over qubits or pairs: RX | RZ | pairs | RX | RZ | pairs | RX | RZ ...

    connectivity: `full` all pairs, `reduced` distance <= 3 on an open line, `line` neighbours, `none`, or pairs (i, j).
    """

    n_qubits: int
    layers: int = 1
    connectivity: Connectivity = "full"
    entangler: Entangler = "rxx"

    def __post_init__(self) -> None:
        for key in ("n_qubits", "layers"):
            value = getattr(self, key)
            if type(value) is not int or value < 1:
                raise InputError(f"{key} must be a whole number, 1 or more, not {value!r}", key)
        if self.entangler not in get_args(Entangler):
            raise InputError(f"entangler must be rxx or rzz, not {self.entangler!r}", "entangler")
        if isinstance(self.connectivity, str):
            if self.connectivity not in _REACH:
                raise InputError(
                    f"connectivity must be {', '.join(_REACH)} or pairs of qubits, not {self.connectivity!r}",
                    "connectivity",
                )
            return
        allowed = list(combinations(range(self.n_qubits), 2))
        try:
            pairs = tuple((index(i), index(j)) for i, j in self.connectivity)
            fine = len(set(pairs)) == len(pairs) and all(pair in allowed for pair in pairs)
        except (TypeError, ValueError):
            fine = False
        if not fine:
            raise InputError(
                f"connectivity must list each pair (i, j) once, 0 <= i < j < {self.n_qubits}, "
                f"not {self.connectivity!r}",
                "connectivity",
            )
        object.__setattr__(self, "connectivity", pairs)  # hashable, as a list of lists from a file is not

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The entangled pairs (i, j), i < j, in the order of their angles: 66 for 12 qubits, full; 30 reduced."""
        if not isinstance(self.connectivity, str):
            return tuple(self.connectivity)
        reach = _REACH[self.connectivity]
        return tuple((i, j) for i, j in combinations(range(self.n_qubits), 2) if reach is None or j - i <= reach)

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

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What each entry of theta turns, and where: `rx[3] region 1`, `rxx[0,2] region 2`; with layers, which one."""
        names = []
        for layer in range(self.layers + 1):
            suffix = f" layer {layer}" if self.layers > 1 and layer else ""
            if layer:
                names += [f"{self.entangler}[{i},{j}] region 2{suffix}" for i, j in self.pairs]
            region = f"region {3 if layer else 1}{suffix}"
            names += [f"{gate}[{qubit}] {region}" for gate in ("rx", "rz") for qubit in range(self.n_qubits)]
        return tuple(names)

    @property
    def silent(self) -> range:
        """The angles that never change p_theta, whatever the connectivity, the entangler and the number of layers.

        These are the last RZ column and no others: it only turns phases of measured amplitudes, while every earlier
        rotation is followed by one that does not commute with it.
        """
        last = self.rz(self.layers)
        return range(last.start, last.stop)

    def effective_parameters(self) -> int:
        """In how many directions theta moves p_theta: the rank of its Jacobian at a random theta.

        At n = 12, full, one layer: 90 of 114 for RXX, which commutes with region 3's RX so that this merges with
        region 1; 102 for RZZ. Less on graphs with loose ends, and at most 2**n - 1. Takes 2P circuits, once per
        ansatz and process. Raises InputError where the Jacobian has more than 2**26 entries (about 18 qubits).
        """
        return _rank(self)

    def require_angles(self, theta: Tensor) -> None:
        """Raises InputError unless theta is (batch, P) of finite numbers."""
        if theta.ndim != 2 or theta.shape[1] != self.n_parameters:
            raise InputError(f"theta must be (batch, {self.n_parameters}), not {tuple(theta.shape)}", "theta")
        if not torch.isfinite(theta.detach().sum()):  # one small operation; finite angles cannot sum up to infinity
            raise InputError("theta must be finite angles in radians, but some are NaN or infinite", "theta")

    def initial_angles(self, p: float, stream: torch.Generator, kind: Start = "bernoulli") -> Tensor:
        """Angles theta (P,) float32, radians, from which training starts.

        bernoulli: p_theta near Bernoulli(p), with a slope on every entangler. RX = pi/2 alone is exactly
        Bernoulli(1/2), but there no entangler has a slope. RXX commutes with what RX = 2 asin(sqrt(p)) prepares until
        RZ = pi/4 turns it aside. RZZ only turns phases until the last RX = c mixes them; region 1 then prepares
        Bernoulli(p) less that turn.

        small: all near 0 (0.1 rad); nearly every code is then 00...0. uniform: on the whole circle. Neither uses p.
        """
        if not 0 < p < 1:
            raise InputError(f"p must be above 0 and below 1, not {p!r}", "p")
        if kind not in get_args(Start):
            raise InputError(f"initial angles must be {', '.join(get_args(Start))}, not {kind!r}", "start")
        if kind == "uniform":
            return pi * (2 * torch.rand(self.n_parameters, generator=stream, device=stream.device) - 1)
        theta = torch.randn(self.n_parameters, generator=stream, device=stream.device)
        if kind == "small":
            return _SMALL * theta
        theta *= _SPREAD
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


@cache
def _rank(ansatz: Ansatz) -> int:
    from qgan.circuits.exact import StateVector  # which imports this module

    if ansatz.n_parameters << ansatz.n_qubits > _JACOBIAN:
        raise InputError(
            f"the effective parameters of {ansatz.n_qubits} qubits need a Jacobian of {ansatz.n_parameters} x "
            f"2**{ansatz.n_qubits} entries, more than 2**26; use fewer qubits (latent_dim)",
            "latent_dim",
        )
    stream = torch.Generator().manual_seed(0)
    theta = pi * (2 * torch.rand(ansatz.n_parameters, generator=stream, dtype=torch.float64) - 1)
    sampler = StateVector(ansatz, stream, torch.complex128)
    shifts = pi / 2 * torch.eye(ansatz.n_parameters, dtype=torch.float64)
    with torch.no_grad():  # the shift rule holds for probabilities too
        rows = [sampler.probabilities(theta + s) - sampler.probabilities(theta - s) for s in shifts.split(8)]
    values = torch.linalg.svdvals(torch.cat(rows))
    return int((values > 1e-9 * values[0]).sum())
