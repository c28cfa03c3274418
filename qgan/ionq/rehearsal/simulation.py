"""Shots of a native circuit, with a machine's noise: every shot has errors of its own, those without share a state.

Entangling gates whose axes stay put between them commute, so they are gathered in blocks: one turn of the axes to Z,
one table of phases, one turn back. A qubit stays in its block as long as what its pulses have done since it joined
leaves the axis of its next entangling gate on the axis of the first, or on its negative, which negates the angle.

Depolarising is the same in every frame, so errors are drawn as Paulis of the block's frame, Z along the axis. There an
X or Y negates the angles of the qubit's later entangling gates, and all errors wait with the pulses for the next turn.
The paper's circuit is one block: a shot with errors costs a few passes over its amplitudes, however many gates it has.

symbol   meaning                                                      shape
psi      amplitudes before the block, qubit 0 least significant       (errors, 2**n) complex
before   per qubit: pulses that wait to be applied before the block   (errors, 2, 2) complex
since    per qubit: pulses since it joined the block                  (2, 2), the same for all
x, z     per qubit: errors in the block's frame                       (errors,) bool
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qgan.circuits.codes import cumulative
from qgan.circuits.phases import Phases
from qgan.ionq.native_gates import NativeGate
from qgan.ionq.noise import Noise

_AMPLITUDES = 2**22  # in memory at a time, whatever the number of shots
_GROUP = 4  # qubits turned by one matrix product
_SAME = 1e-9  # axes nearer than this are one
_H = np.array([[1, 1], [1, -1]]) / 2**0.5
_X = torch.tensor([[0, 1], [1, 0]])
_Z = torch.tensor([[1, 0], [0, -1]])


def probabilities(gates: Sequence[NativeGate], n_qubits: int) -> Tensor:
    """What an ideal machine measures: (2**n,) float64."""
    nothing = torch.zeros(1, sum(len(gate.qubits) for gate in gates), dtype=torch.bool)
    return _Run(n_qubits, nothing, nothing, torch.complex128).probabilities(gates)[0]


def shots(gates: Sequence[NativeGate], n_qubits: int, count: int, noise: Noise, stream: torch.Generator) -> Tensor:
    """Codes (count,) int64 that a noisy machine measures; qubit 0 is the least significant bit."""
    legs = [len(gate.qubits) for gate in gates]
    rates = torch.tensor([noise.two_qubit if gate.entangles else noise.pulse for gate in gates])
    # with its rate, a gate's qubits are replaced by noise: any Pauli, the identity included, on each of them
    hit = torch.rand(count, len(gates), generator=stream) < rates
    pauli = torch.randint(4, (count, sum(legs)), generator=stream)
    pauli *= hit.repeat_interleave(torch.tensor(legs, dtype=torch.long), dim=1)
    uniform = torch.rand(count, generator=stream, dtype=torch.float64)
    flips = torch.rand(count, n_qubits, generator=stream) < noise.spam
    faulty = pauli.any(1).nonzero().squeeze(1)
    codes = torch.empty(count, dtype=torch.long)
    clean = torch.ones(count, dtype=torch.bool)
    clean[faulty] = False
    if clean.any():
        sums = cumulative(probabilities(gates, n_qubits))
        codes[clean] = _found(sums, uniform[clean] * sums[-1])
    for some in faulty.split(max(1, _AMPLITUDES >> n_qubits)) if len(faulty) else ():
        run = _Run(n_qubits, (pauli[some] & 1).bool(), (pauli[some] >> 1).bool(), torch.complex64)
        sums = cumulative(run.probabilities(gates))
        codes[some] = _found(sums, uniform[some, None] * sums[:, -1:]).squeeze(1)
    return codes ^ (flips.long() << torch.arange(n_qubits)).sum(1)


def _found(sums: Tensor, targets: Tensor) -> Tensor:
    return torch.searchsorted(sums, targets.contiguous(), right=True).clamp_(max=sums.shape[-1] - 1)


@dataclass
class _Joined:
    """A qubit's part in the current block."""

    to_z: NDArray[np.complex128]  # turns its axis to Z
    axis: NDArray[np.complex128]  # of its first entangling gate, as a matrix
    since: NDArray[np.complex128]
    x: Tensor
    z: Tensor


class _Run:
    """One circuit with several sets of errors at once, x and z (errors, legs) in the order of the gates' qubits."""

    def __init__(self, n_qubits: int, x: Tensor, z: Tensor, dtype: torch.dtype) -> None:
        self.n = n_qubits
        self.x, self.z = x, z
        self.dtype = dtype
        self.psi: Tensor | None = None  # None: all qubits are still 0
        identity = torch.eye(2, dtype=dtype).expand(len(x), 2, 2)
        self.before = [identity] * n_qubits
        self.block: dict[int, _Joined] = {}
        self.angles: dict[tuple[int, ...], Tensor] = {}  # pair -> angles (errors,), radians as of RZZ

    def probabilities(self, gates: Sequence[NativeGate]) -> Tensor:
        leg = 0
        for gate in gates:
            if gate.entangles:
                self._entangle(gate)
            else:
                self._pulse(gate)
            for qubit in gate.qubits:
                self._error(qubit, self.x[:, leg], self.z[:, leg])
                leg += 1
        self._flush()
        self._turn(self.before)
        assert self.psi is not None
        return self.psi.real.square() + self.psi.imag.square()

    def _pulse(self, gate: NativeGate) -> None:
        (qubit,) = gate.qubits
        if qubit in self.block:
            self.block[qubit].since = gate.matrix() @ self.block[qubit].since
        else:
            self.before[qubit] = self._tensor(gate.matrix()) @ self.before[qubit]

    def _error(self, qubit: int, x: Tensor, z: Tensor) -> None:
        if qubit in self.block:
            joined = self.block[qubit]
            joined.x, joined.z = joined.x ^ x, joined.z ^ z
        elif x.any() or z.any():
            self.before[qubit] = self._pauli(x, z) @ self.before[qubit]

    def _entangle(self, gate: NativeGate) -> None:
        bases = [_to_z(phase) for phase in gate.phases or (None, None)]
        signs = [self._sign(qubit, basis) for qubit, basis in zip(gate.qubits, bases, strict=True)]
        if 0 in signs:
            self._flush()
            signs = [1, 1]
        for qubit, basis in zip(gate.qubits, bases, strict=True):
            if qubit not in self.block:
                none = torch.zeros(len(self.x), dtype=torch.bool)
                self.block[qubit] = _Joined(basis, _axis(basis), np.eye(2, dtype=complex), none, none)
        (i, j), (a, b) = gate.qubits, (self.block[qubit] for qubit in gate.qubits)
        assert gate.angle is not None
        angle = 2 * np.pi * gate.angle * signs[0] * signs[1] * (1 - 2 * (a.x ^ b.x).to(self.dtype.to_real()))
        pair = (min(i, j), max(i, j))
        self.angles[pair] = self.angles.get(pair, 0) + angle

    def _sign(self, qubit: int, basis: NDArray[np.complex128]) -> int:
        """Of a gate's axis in the block's frame; 0 where it is another axis."""
        if qubit not in self.block:
            return 1
        joined = self.block[qubit]
        axis = joined.since.conj().T @ _axis(basis) @ joined.since
        return next((sign for sign in (1, -1) if np.abs(axis - sign * joined.axis).max() < _SAME), 0)

    def _flush(self) -> None:
        """Apply the block; its pulses and errors wait for the next one."""
        if not self.block:
            return
        identity = torch.eye(2, dtype=self.dtype).expand(len(self.x), 2, 2)
        turns = [identity] * self.n
        for qubit, joined in self.block.items():
            turns[qubit] = self._tensor(joined.to_z) @ self.before[qubit]
            back = self._tensor(joined.since @ joined.to_z.conj().T)
            self.before[qubit] = back @ self._pauli(joined.x, joined.z)
        self._turn(turns)
        like = torch.empty(0, dtype=self.dtype.to_real())
        phases = Phases.of(slice(0, len(self.angles)), list(self.angles), self.n, (self.n + 1) // 2, like)
        assert self.psi is not None
        self.psi = self.psi * phases.turn(torch.stack(list(self.angles.values()), 1))
        self.block, self.angles = {}, {}

    def _turn(self, turns: list[Tensor]) -> None:
        """Apply a matrix (errors, 2, 2) to every qubit."""
        groups = [turns[start : start + _GROUP] for start in range(0, self.n, _GROUP)]
        rows = torch.ones(len(self.x), 1, dtype=self.dtype) if self.psi is None else self.psi
        for group in reversed(groups):  # the highest qubits come back as the lowest, so that all end in order
            matrix = group[-1]
            for low in reversed(group[:-1]):
                matrix = (matrix[:, :, None, :, None] * low[:, None, :, None, :]).reshape(
                    len(matrix), 2 * matrix.shape[1], -1
                )
            if self.psi is None:  # |00..0> picks the first column
                rows = (rows[:, :, None] * matrix[:, None, :, 0]).flatten(1)
            else:
                rows = (rows.view(len(rows), matrix.shape[1], -1).mT @ matrix.mT).flatten(1)
        self.psi = rows

    def _pauli(self, x: Tensor, z: Tensor) -> Tensor:
        """X**x Z**z (errors, 2, 2)."""
        one = torch.eye(2)
        return (torch.where(x[:, None, None], _X, one) @ torch.where(z[:, None, None], _Z, one).float()).to(self.dtype)

    def _tensor(self, matrix: NDArray[np.complex128]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(matrix, dtype=complex)).to(self.dtype)


def _to_z(phase: float | None) -> NDArray[np.complex128]:
    """The turn of an entangling gate's axis to Z: of X_p, or of Z itself (None)."""
    if phase is None:
        return np.eye(2, dtype=complex)
    return np.asarray(_H @ np.diag(np.exp(1j * np.pi * phase * np.array([1, -1]))))


def _axis(to_z: NDArray[np.complex128]) -> NDArray[np.complex128]:
    return np.asarray(to_z.conj().T @ np.diag([1, -1]) @ to_z)
