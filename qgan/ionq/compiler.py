"""From the ansatz to IonQ's native gates: one entangling gate per two-qubit rotation, virtual Z, exact.

Rotations of one qubit wait until an entangling gate needs them done. What waits is a unitary U = RZ(2 pi A)
RX(2 pi B) RZ(2 pi C); two GPI2 pulses leave of it only RZ(2 pi f) X^x, the qubit's frame, and one or none do where B
is a quarter or a half turn. A frame costs nothing: it turns or mirrors the phases of later gates, and what is left of
it at the end turns no outcome, but x inverts a bit.

    RXX(a) = MS(0, 0, t), t = a / 2 pi. A |t| above 1/4 leaves X (x) X to the frames; a negative t turns a phase by 1/2.
    RZZ(a) = ZZ(t). A |t| above 1/4 leaves Z (x) Z to the frames; a negative t needs a GPI(0), whose X joins a frame.

Where a machine lacks the entangler, V = RY(-pi/2) on both sides turns X to Z: V X V+ = Z. Between entanglers V and V+
meet and vanish, at the ends they join rotations: 36 pulses instead of 48 for 12 qubits.

symbol        meaning
alpha, beta   a unitary of determinant 1: first column of its matrix [[alpha, -beta*], [beta, alpha*]]
f, x          a frame RZ(2 pi f) X^x, f in turns
"""

from cmath import exp, phase
from collections.abc import Sequence
from math import asin, cos, isclose, pi, sin
from typing import Literal

import torch
from torch import Tensor

from qgan.circuits.ansatz import Ansatz
from qgan.errors import InputError
from qgan.ionq.native_gates import NativeCircuit, NativeGate

Profile = Literal["ms", "zz"]  # of Aria and of Forte: the machine's entangling gate
Unitary = tuple[complex, complex]  # alpha, beta

_TINY = 1e-14  # entries of a unitary below it are 0: far above the rounding of some products, far below 1e-12
_V = (cos(pi / 4) + 0j, -sin(pi / 4) + 0j)  # RY(-pi/2)
_V_BACK = (cos(pi / 4) + 0j, sin(pi / 4) + 0j)


class Compiler:
    """Takes rotations in the order of a circuit, and gives native gates."""

    def __init__(self, n_qubits: int, profile: Profile, *, negative_zz: bool = False) -> None:
        """`negative_zz` sends negative angles of ZZ as they are, outside the documented 0 to 1/4 turns."""
        if profile not in ("ms", "zz"):
            raise InputError(f"profile must be ms or zz, a machine's entangling gate, not {profile!r}", "profile")
        self.profile = profile
        self.negative_zz = negative_zz
        self.gates: list[NativeGate] = []
        self.waiting: list[Unitary] = [(1 + 0j, 0j)] * n_qubits

    def rx(self, qubit: int, angle: float) -> None:
        self.turn(qubit, (cos(angle / 2) + 0j, -1j * sin(angle / 2)))

    def rz(self, qubit: int, angle: float) -> None:
        self.turn(qubit, (exp(-0.5j * angle), 0j))

    def turn(self, qubit: int, unitary: Unitary) -> None:
        """Any rotation of one qubit."""
        (a, b), (c, d) = unitary, self.waiting[qubit]
        self.waiting[qubit] = (a * c - b.conjugate() * d, b * c + a.conjugate() * d)

    def rxx(self, i: int, j: int, angle: float) -> None:
        if self.profile == "ms":
            self._ms(i, j, angle)
            return
        self._both(i, j, _V)
        self._zz(i, j, angle)
        self._both(i, j, _V_BACK)

    def rzz(self, i: int, j: int, angle: float) -> None:
        if self.profile == "zz":
            self._zz(i, j, angle)
            return
        self._both(i, j, _V_BACK)
        self._ms(i, j, angle)
        self._both(i, j, _V)

    def circuit(self) -> NativeCircuit:
        """The finished circuit, everything that waited done."""
        frames = [self._frame(qubit) for qubit in range(len(self.waiting))]
        return NativeCircuit(
            len(frames), tuple(self.gates), tuple(x for _, x in frames), tuple(_wrap(f) for f, _ in frames)
        )

    def _both(self, i: int, j: int, unitary: Unitary) -> None:
        self.turn(i, unitary)
        self.turn(j, unitary)

    def _ms(self, i: int, j: int, angle: float) -> None:
        frames = [self._frame(i), self._frame(j)]
        phases = [f if x else -f for f, x in frames]
        t, half = _reduced(angle)
        if half:  # X joins each frame: X RZ(f) = RZ(-f) X
            frames = [(-f, not x) for f, x in frames]
        if t < 0:
            t, phases[0] = -t, phases[0] + 0.5
        self.gates.append(NativeGate("ms", (i, j), (_wrap(phases[0]), _wrap(phases[1])), t))
        for qubit, frame in zip((i, j), frames, strict=True):
            self.waiting[qubit] = _of_frame(*frame)

    def _zz(self, i: int, j: int, angle: float) -> None:
        (f_i, x_i), (f_j, x_j) = self._frame(i), self._frame(j)
        t, half = _reduced(angle)
        if half:  # Z joins each frame: half a turn of RZ
            f_i, f_j = f_i + 0.5, f_j + 0.5
        if x_i != x_j:
            t = -t
        if t < 0 and not self.negative_zz:
            self.gates.append(NativeGate("gpi", (i,), (0.0,)))
            t, x_i = -t, not x_i
        self.gates.append(NativeGate("zz", (i, j), (), t))
        self.waiting[i], self.waiting[j] = _of_frame(f_i, x_i), _of_frame(f_j, x_j)

    def _frame(self, qubit: int) -> tuple[float, bool]:
        """Pulses for what waits on a qubit, up to the frame (f, x) that is returned and no longer waits."""
        alpha, beta = self.waiting[qubit]
        self.waiting[qubit] = (1 + 0j, 0j)
        if abs(beta) < _TINY:
            return -phase(alpha) / pi, False
        # alpha = cos(pi B) exp(-i pi (A + C)), beta = -i sin(pi B) exp(i pi (A - C)); X is RX(pi) but for its phase
        difference = phase(1j * beta) / pi
        if abs(alpha) < _TINY:
            return difference, True
        total = -phase(alpha) / pi
        A, C = (total + difference) / 2, (total - difference) / 2
        if isclose(abs(alpha), abs(beta), rel_tol=0, abs_tol=_TINY):
            self._gpi2(qubit, -C)
            return total, False
        B = asin(min(1.0, abs(beta))) / pi if abs(beta) < abs(alpha) else 0.5 - asin(min(1.0, abs(alpha))) / pi
        self._gpi2(qubit, -C - 0.25)
        self._gpi2(qubit, -C - B - 0.75)
        return A + B + C + 1, False

    def _gpi2(self, qubit: int, p: float) -> None:
        self.gates.append(NativeGate("gpi2", (qubit,), (_wrap(p),)))


def compile_ansatz(ansatz: Ansatz, theta: Tensor | Sequence[float], compiler: Compiler | Profile) -> NativeCircuit:
    """The native circuit of the ansatz at theta (P,), radians, by a fresh compiler or for a machine's profile.

    Raises InputError unless theta is as long as the ansatz has angles, and finite.
    """
    if isinstance(compiler, str):
        compiler = Compiler(ansatz.n_qubits, compiler)
    angles = torch.as_tensor(theta, dtype=torch.float64).detach().cpu()
    ansatz.require_angles(angles[None])
    values = angles.tolist()
    entangle = compiler.rxx if ansatz.entangler == "rxx" else compiler.rzz
    for layer in range(ansatz.layers + 1):
        if layer:
            for angle, (i, j) in zip(values[ansatz.entanglers(layer)], ansatz.pairs, strict=True):
                entangle(i, j, angle)
        for qubit in range(ansatz.n_qubits):
            compiler.rx(qubit, values[ansatz.rx(layer)][qubit])
            compiler.rz(qubit, values[ansatz.rz(layer)][qubit])
    return compiler.circuit()


def _reduced(angle: float) -> tuple[float, bool]:
    """t in turns, -1/4 <= t <= 1/4, and whether half a turn was left out."""
    t = _wrap(angle / (2 * pi))
    return (t, False) if abs(t) <= 0.25 else (_wrap(t - 0.5), True)


def _wrap(turns: float) -> float:
    """The same phase in (-1/2, 1/2]."""
    wrapped = turns - round(turns)
    return wrapped if wrapped != -0.5 else 0.5


def _of_frame(f: float, x: bool) -> Unitary:
    turn = exp(-1j * pi * f)
    return (0j, -1j * turn.conjugate()) if x else (turn, 0j)
