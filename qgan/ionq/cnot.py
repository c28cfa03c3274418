"""The decomposition by CNOTs (Eq. 11), for comparison: twice the entangling gates of the direct one.

RZZ(a) = CX (I (x) RZ(a)) CX        RXX(a) = (H (x) H) RZZ(a) (H (x) H)
CX = (I (x) H) CZ (I (x) H)         CZ = (RZ(pi/2) (x) RZ(pi/2)) RZZ(-pi/2)
"""

from collections.abc import Sequence
from math import pi, sqrt

from torch import Tensor

from qgan.circuits.ansatz import Ansatz
from qgan.ionq.compiler import Compiler, Profile, compile_ansatz
from qgan.ionq.native_gates import NativeCircuit

_H = (-1j / sqrt(2), -1j / sqrt(2))  # a Hadamard gate of determinant 1


class CnotCompiler(Compiler):
    """A compiler that knows no entangler but the CNOT; one CNOT is one native entangling gate."""

    def rzz(self, i: int, j: int, angle: float) -> None:
        self._cx(i, j)
        self.rz(j, angle)
        self._cx(i, j)

    def rxx(self, i: int, j: int, angle: float) -> None:
        self._both(i, j, _H)
        self.rzz(i, j, angle)
        self._both(i, j, _H)

    def _cx(self, control: int, target: int) -> None:
        self.turn(target, _H)
        Compiler.rzz(self, control, target, -pi / 2)
        self.rz(control, pi / 2)
        self.rz(target, pi / 2)
        self.turn(target, _H)


def compile_by_cnots(ansatz: Ansatz, theta: Tensor | Sequence[float], profile: Profile) -> NativeCircuit:
    """The native circuit of the ansatz at theta (P,), radians, with two CNOTs per two-qubit rotation."""
    return compile_ansatz(ansatz, theta, CnotCompiler(ansatz.n_qubits, profile))
