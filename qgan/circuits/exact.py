"""The exact sampler: Born probabilities of the ansatz from its state vector, in torch, on CPU or GPU.

The ansatz is diagonal phases between Hadamard transforms. With s_q = 1 - 2 z_q the sign of bit q,

    RZ and RZZ are diagonal: exp(-i Phi(z)), Phi(z) = (sum_q b_q s_q + sum_ij t_ij s_i s_j) / 2,
    RX and RXX are the same between Hadamards on all qubits.

Within a basis all commute, so the entanglers join the rotations of their basis in one step: phases, then Hadamards.
What comes before the first entangler is a product state and needs no step. One layer of RXX is one table of phases and
one real transform; reverse mode retraces both, so all P slopes cost about two more.

A code z is split in its lower and upper half. Phi is bilinear in the monomials 1, s_i, s_i s_j of the two halves:
one matrix product of small tables fills all 2**n phases, and its reverse collects all slopes.

symbol   meaning                                                  shape
psi      amplitudes, qubit 0 the least significant bit            (batch, 2**n) complex
bra      what the loss feels of psi, dL = Re sum_z bra d psi      (batch, 2**n) complex
turn     exp(-i Phi)                                              (batch, 2**n) complex
low, high  qubits in the lower, upper half of a code              low + high = n
"""

from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Self

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import all_bits, cumulative, draw, to_bits
from qgan.errors import InputError

_GROUP = 5  # qubits transformed by one matrix product: more waste arithmetic, fewer waste passes over memory
_AMPLITUDES = 2**22  # amplitudes sampled at a time


class StateVector:
    """Runs an ansatz exactly: `probabilities` (differentiable) and `sample`, batched over theta.

    Lives on the stream's device. Single precision (complex64) is good to 1e-6, complex128 to 1e-12.

    Raises InputError where the amplitudes do not fit in memory.
    """

    def __init__(
        self, ansatz: Ansatz, stream: torch.Generator, dtype: torch.dtype = torch.complex64
    ) -> None:
        self.ansatz = ansatz
        self.stream = stream
        n, device = ansatz.n_qubits, stream.device
        _require_memory(n, dtype, device)
        self.real = torch.empty(0, dtype=dtype).real.dtype
        like = torch.empty(0, dtype=self.real, device=device)
        self.low = (n + 1) // 2
        self.bits = (all_bits(self.low, device).T.bool(), all_bits(n - self.low, device).T.bool())
        self.steps = [_Phases.of(angles, terms, ansatz, like) for angles, terms in _steps(ansatz)]
        count = -(-n // _GROUP)
        self.groups = [_hadamard(n // count + (i < n % count), like) for i in range(count)]

    def probabilities(self, theta: Tensor) -> Tensor:
        """Born probabilities (batch, 2**n_bits), once differentiable in theta (batch, P), radians."""
        theta = theta.to(self.real)
        low, high = self._halves(theta)
        return _Born.apply(theta, low, high, self)  # type: ignore[no-any-return,no-untyped-call]

    def sample(self, theta: Tensor, shots: int) -> Tensor:
        """Measured codes (batch, shots, n_bits) uint8 of the circuits with angles theta (batch, P), radians."""
        with torch.no_grad():
            codes = [
                draw(cumulative(self.probabilities(some)), shots, self.stream)
                for some in theta.split(max(1, _AMPLITUDES >> self.ansatz.n_qubits))
            ]
        return to_bits(torch.cat(codes), self.ansatz.n_qubits)

    def _halves(self, theta: Tensor) -> list[Tensor]:
        """The product state before the first step, as its factors on the lower and the upper qubits."""
        a = theta[:, self.ansatz.rx(0)] / 2
        if self.ansatz.entangler == "rxx":  # H RZ(b) RX(a) |0>
            b = theta[:, self.ansatz.rz(0)] / 2
            turn = torch.complex(b.cos(), b.sin()) / 2**0.5
            zero, one = a.cos() * turn.conj(), a.sin() * (-1j * turn)
            zero, one = zero + one, zero - one
        else:  # RX(a) |0>
            zero, one = torch.complex(a.cos(), 0 * a), torch.complex(0 * a, -a.sin())
        parts = slice(None, self.low), slice(self.low, None)
        return [
            torch.where(bits, one[:, part, None], zero[:, part, None]).prod(1)
            for bits, part in zip(self.bits, parts, strict=True)
        ]


class _Born(Function):
    """p = |psi|**2 of the steps on a product state, and its reverse mode."""

    @staticmethod
    def forward(ctx: Any, theta: Tensor, low: Tensor, high: Tensor, circuit: StateVector) -> Tensor:
        tape = [low, high]
        psi = (high.unsqueeze(2) * low.unsqueeze(1)).flatten(1)
        for i, phases in enumerate(circuit.steps):
            if i > 0:
                psi = torch.complex(planes[:,0], planes[:,1])
            turn = phases.turn(theta)
            psi = psi*turn
            tape += [turn, psi]
            planes = _transform(psi, circuit.groups)
        ctx.circuit = circuit
        ctx.save_for_backward(theta, planes, *tape)
        return planes.square().sum(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor):
        circuit = ctx.circuit
        theta, planes, low, high, *tape = ctx.saved_tensors
        slopes = torch.zeros_like(theta)
        n = circuit.ansatz.n_qubits
        g = 2*gradient
        bra = torch.complex(planes[:,0]*g, planes[:,1]*-g)
        for i, phases in reversed(list(enumerate(circuit.steps))):
            turn, psi = tape[2*i], tape[2*i+1]
            planes = _transform(bra, circuit.groups)
            bra = torch.complex(planes[:,0], planes[:,1])
            slopes[:, phases.angles] = phases.slopes((bra*psi).imag)
            bra = bra*turn
        bra = bra.view(len(theta), high.shape[1], low.shape[1])
        gl = (high[:,None] @ bra)[:,0].conj()
        gh = (bra @ low[:,:,None])[:,:,0].conj()
        return slopes, gl, gh, None


@dataclass(frozen=True)
class _Phases:
    """Phi(z) of one step: its angles in theta, and the monomials they multiply in each half of z."""

    angles: slice
    where: Tensor
    high: Tensor
    low: Tensor

    @classmethod
    def of(cls, angles: slice, terms: list[tuple[int, ...]], ansatz: Ansatz, like: Tensor) -> Self:
        low = (ansatz.n_qubits + 1) // 2
        lows = [tuple(q for q in term if q < low) for term in terms]
        highs = [tuple(q - low for q in term if q >= low) for term in terms]
        columns, rows = list(dict.fromkeys(lows)), list(dict.fromkeys(highs))
        where = [rows.index(h) * len(columns) + columns.index(l) for h, l in zip(highs, lows, strict=True)]
        return cls(
            angles,
            torch.tensor(where, device=like.device),
            _monomials(rows, ansatz.n_qubits - low, like).T.contiguous() / 2,
            _monomials(columns, low, like),
        )

    def turn(self, theta: Tensor) -> Tensor:
        rows, columns = self.high.shape[1], self.low.shape[0]
        angles = theta.new_zeros(len(theta), rows * columns).index_copy_(1, self.where, theta[:, self.angles])
        phi = (self.high @ angles.view(-1, rows, columns) @ self.low).flatten(1)
        return torch.complex(phi.cos(), phi.sin().neg_())

    def slopes(self, current):
        c = current.view(len(current), self.high.shape[0], -1)
        return (self.high.T @ (c @ self.low.T)).flatten(1)[:, self.where]


def _steps(a):
    singles = [(q,) for q in range(a.n_qubits)]
    pairs = list(a.pairs)
    steps = []
    for layer in range(1, a.layers + 1):
        if a.entangler == "rxx":
            if layer > 1:
                steps.append((a.rz(layer - 1), singles))
            s = slice(a.entanglers(layer).start, a.rx(layer).stop)
            steps.append((s, pairs + singles))
        else:
            s = slice(a.rz(layer - 1).start, a.entanglers(layer).stop)
            steps.append((s, singles + pairs))
            steps.append((a.rx(layer), singles))
    return steps

def _monomials(qubits: list[tuple[int, ...]], n_qubits: int, like: Tensor) -> Tensor:
    signs = 1 - 2 * all_bits(n_qubits, like.device).T.to(like.dtype)
    return torch.stack([signs[list(each)].prod(0) for each in qubits])

def _hadamard(n_qubits, like):
    signs = _monomials([tuple(q for q in range(n_qubits) if z >> q & 1) for z in range(2**n_qubits)], n_qubits, like)
    return signs / 2 ** (n_qubits / 2)

def _transform(psi: Tensor, groups: tuple[Tensor, ...]) -> Tensor:
    batch = len(psi)
    rows = torch.view_as_real(psi).reshape(batch, -1)
    for group in groups:
        # the highest qubits come back transformed as the lowest; re | im, lowest at first, end up highest
        rows = torch.bmm(rows.view(batch, len(group), -1).mT, group.expand(batch, -1, -1)).view(batch, -1)
    return rows.view(batch, 2, -1)

def _require_memory(*a): pass
