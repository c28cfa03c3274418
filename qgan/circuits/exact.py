"""The exact sampler: Born probabilities of the ansatz from its state vector, in torch, on CPU or GPU.

The ansatz is diagonal phases between Hadamard transforms. With s_q = 1 - 2 z_q the sign of bit q,

    RZ and RZZ are diagonal: exp(-i Phi(z)), Phi(z) = (sum_q b_q s_q + sum_ij t_ij s_i s_j) / 2,
    RX and RXX are the same between Hadamards on all qubits.

Within a basis all commute, so the entanglers join the rotations of their basis in one step: phases, then Hadamards.
What comes before the first entangler is a product state and needs no step. One layer of RXX is one table of phases
and one real transform; reverse mode retraces both, so all P slopes cost about two circuits more.

A code z is split in its lower and upper half. Phi is bilinear in the monomials 1, s_i, s_i s_j of the two halves:
one matrix product of small tables fills all 2**n phases, and its reverse collects the slopes.

symbol     meaning                                              shape
psi        amplitudes, qubit 0 the least significant bit        (batch, 2**n) complex
planes     the same as real and imaginary part                  (batch, 2, 2**n) real
bra        what the loss feels of psi, dL = Re sum_z bra dpsi   (batch, 2**n) complex
turn       exp(-i Phi)                                          (batch, 2**n) complex
low, high  the lower and the upper half of the qubits           numbers of qubits add up to n
"""

import os
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import all_bits, cumulative, draw, to_bits
from qgan.errors import InputError

_GROUP = 5  # qubits transformed by one matrix product: more waste arithmetic, fewer waste passes over memory
_SAMPLED = 2**22  # amplitudes sampled at a time, whatever the batch


class StateVector:
    """Runs an ansatz exactly: `probabilities` and `sample`, batched over theta, on the device of `stream`.

    complex64 is good to 1e-6 in every probability, complex128 to 1e-12.
    Raises InputError where the amplitudes of one circuit and its reverse mode do not fit in memory.
    """

    def __init__(self, ansatz: Ansatz, stream: torch.Generator, dtype: torch.dtype = torch.complex64) -> None:
        self.ansatz = ansatz
        self.stream = stream
        self.dtype = dtype
        n, device, steps = ansatz.n_qubits, stream.device, _steps(ansatz)
        _require_memory(n, (2 * len(steps) + 4) * 2**n * dtype.itemsize, device)
        like = torch.empty(0, dtype=dtype.to_real(), device=device)
        self.half = (n + 1) // 2
        self.bits = [all_bits(k, device).bool().T for k in (self.half, n - self.half)]
        self.steps = [_Phases.of(angles, terms, n, self.half, like) for angles, terms in steps]
        products = -(-n // _GROUP)
        self.hadamards = [_hadamard((n + i) // products, like) for i in range(products)]

    def probabilities(self, theta: Tensor) -> Tensor:
        """Born probabilities (batch, 2**n_bits), once differentiable in theta (batch, P), radians."""
        theta = theta.to(self.dtype.to_real())
        return _Born.apply(self, theta, *self._product_state(theta))  # type: ignore[no-any-return, no-untyped-call]

    def sample(self, theta: Tensor, shots: int) -> Tensor:
        """Measured codes (batch, shots, n_bits) uint8 of the circuits with angles theta (batch, P), radians."""
        with torch.no_grad():
            codes = [
                draw(cumulative(self.probabilities(some)), shots, self.stream)
                for some in theta.split(max(1, _SAMPLED >> self.ansatz.n_qubits))
            ]
        return to_bits(torch.cat(codes), self.ansatz.n_qubits)

    def _product_state(self, theta: Tensor) -> list[Tensor]:
        """The state before the first step, as its factors (batch, 2**k) on the low and on the high qubits."""
        a = theta[:, self.ansatz.rx(0)] / 2
        if self.ansatz.entangler == "rxx":  # H RZ(b) RX(a) |0>
            b = theta[:, self.ansatz.rz(0)] / 2
            turn = torch.complex(b.cos(), b.sin()) / 2**0.5
            zero, one = a.cos() * turn.conj(), -1j * a.sin() * turn
            zero, one = zero + one, zero - one
        else:  # RX(a) |0>; RZ is in the first step
            zero, one = a.cos() + 0j, -1j * a.sin()
        qubits = slice(None, self.half), slice(self.half, None)
        return [
            torch.where(bits, one[:, part, None], zero[:, part, None]).prod(1)
            for bits, part in zip(self.bits, qubits, strict=True)
        ]


class _Born(Function):
    """p = |psi|**2 after all steps on a product state; reverse mode by hand, as autograd costs twice as much."""

    @staticmethod
    def forward(ctx: Any, circuit: StateVector, theta: Tensor, low: Tensor, high: Tensor) -> Tensor:
        psi = (high.unsqueeze(2) * low.unsqueeze(1)).flatten(1)
        tape = []
        for phases in circuit.steps:
            turn = phases.turn(theta)
            psi = psi * turn
            if any(ctx.needs_input_grad):
                tape += [turn, psi]
            planes = _transform(psi, circuit.hadamards)
            psi = _amplitudes(planes) if phases is not circuit.steps[-1] else psi
        ctx.circuit = circuit
        ctx.save_for_backward(low, high, planes, *tape)
        return planes.square().sum(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor, Tensor]:
        circuit: StateVector = ctx.circuit
        low, high, planes, *tape = ctx.saved_tensors
        slopes = low.real.new_zeros(len(low), circuit.ansatz.n_parameters)
        bra = _amplitudes(planes * torch.stack([2 * gradient, -2 * gradient], 1))
        for phases in reversed(circuit.steps):
            psi, turn = tape.pop(), tape.pop()
            # Hadamards are real and symmetric, turns diagonal: the bra runs through the same operations
            bra = _amplitudes(_transform(bra, circuit.hadamards))
            slopes[:, phases.angles] = phases.slopes((bra * psi).imag)
            bra = bra * turn
        bra = bra.view(len(low), high.shape[1], low.shape[1])
        # torch wants conjugates
        to_low = (high.unsqueeze(1) @ bra).squeeze(1).conj()
        to_high = (bra @ low.unsqueeze(2)).squeeze(2).conj()
        return None, slopes, to_low, to_high


@dataclass(frozen=True)
class _Phases:
    """Phi(z) of one step: monomials of the high qubits x angles x monomials of the low qubits."""

    angles: slice  # in theta
    where: Tensor  # of the angles in the flat (high monomials, low monomials) matrix
    high: Tensor  # (2**high, high monomials), the 1/2 of Phi included
    low: Tensor  # (low monomials, 2**low)

    @classmethod
    def of(cls, angles: slice, terms: list[tuple[int, ...]], n: int, half: int, like: Tensor) -> Self:
        lows = [tuple(q for q in term if q < half) for term in terms]
        highs = [tuple(q - half for q in term if q >= half) for term in terms]
        rows, columns = list(dict.fromkeys(highs)), list(dict.fromkeys(lows))
        where = [rows.index(high) * len(columns) + columns.index(low) for high, low in zip(highs, lows, strict=True)]
        return cls(
            angles,
            torch.tensor(where, dtype=torch.long, device=like.device),
            _monomials(rows, n - half, like).T / 2,
            _monomials(columns, half, like),
        )

    def turn(self, theta: Tensor) -> Tensor:
        """exp(-i Phi) (batch, 2**n)."""
        rows, columns = self.high.shape[1], self.low.shape[0]
        angles = theta.new_zeros(len(theta), rows * columns)
        angles.index_copy_(1, self.where, theta[:, self.angles])
        phi = (self.high @ angles.view(-1, rows, columns) @ self.low).flatten(1)
        return torch.complex(phi.cos(), phi.sin().neg_())

    def slopes(self, current: Tensor) -> Tensor:
        """dL by each angle from dL/dPhi (batch, 2**n)."""
        current = current.reshape(len(current), self.high.shape[0], self.low.shape[1])
        return (self.high.T @ (current @ self.low.T)).flatten(1)[:, self.where]


def _steps(ansatz: Ansatz) -> list[tuple[slice, list[tuple[int, ...]]]]:
    """Each step's angles in theta, neighbours by the layout, and the qubits whose signs multiply them."""
    singles: list[tuple[int, ...]] = [(q,) for q in range(ansatz.n_qubits)]
    pairs: list[tuple[int, ...]] = list(ansatz.pairs)
    steps = []
    for layer in range(1, ansatz.layers + 1):
        before, pair, after = ansatz.rz(layer - 1), ansatz.entanglers(layer), ansatz.rx(layer)
        if ansatz.entangler == "rxx":
            if layer > 1:
                steps.append((before, singles))
            steps.append((slice(pair.start, after.stop), pairs + singles))
        else:
            steps += [(slice(before.start, pair.stop), singles + pairs), (after, singles)]
    return steps


def _monomials(qubits: list[tuple[int, ...]], n_bits: int, like: Tensor) -> Tensor:
    """The product of the signs s_q of each set of qubits, for every code: (sets, 2**n_bits)."""
    signs = 1 - 2 * all_bits(n_bits, like.device).T.to(like.dtype)
    return torch.stack([signs[list(each)].prod(0) for each in qubits])


def _hadamard(n_bits: int, like: Tensor) -> Tensor:
    bits = all_bits(n_bits, like.device).to(like.dtype)
    return (1 - 2 * (bits @ bits.T % 2)) / 2 ** (n_bits / 2)


def _transform(psi: Tensor, hadamards: list[Tensor]) -> Tensor:
    """Hadamards on all qubits of psi (batch, 2**n), as planes (batch, 2, 2**n)."""
    batch = len(psi)
    rows = torch.view_as_real(psi).view(batch, -1)
    for hadamard in hadamards:
        # the highest qubits come back transformed as the lowest; the lowest index, re | im, thereby ends up highest
        rows = torch.bmm(rows.view(batch, len(hadamard), -1).mT, hadamard.expand(batch, -1, -1)).view(batch, -1)
    return rows.view(batch, 2, -1)


def _amplitudes(planes: Tensor) -> Tensor:
    return torch.complex(planes[:, 0], planes[:, 1])


def _require_memory(n_qubits: int, needed: int, device: torch.device) -> None:
    if device.type == "cuda":
        there = torch.cuda.get_device_properties(device).total_memory
    else:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise InputError(
            f"the state vector of {n_qubits} qubits needs {needed / 2**30:,.1f} GiB with its gradient, {device} has "
            f"{there / 2**30:,.1f} GiB; use fewer qubits (latent_dim) or layers",
            "latent_dim",
        )
