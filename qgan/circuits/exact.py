"""The exact sampler: Born probabilities of the ansatz from its state vector, in torch, on CPU or GPU.

The ansatz is diagonal phases between Hadamard transforms. With s_q = 1 - 2 z_q the sign of bit q,

    RZ and RZZ are diagonal: exp(-i Phi(z)), Phi(z) = (sum_q b_q s_q + sum_ij t_ij s_i s_j) / 2,
    RX and RXX are the same between Hadamards on all qubits.

Within a basis all commute, so the entanglers join the rotations of their basis in one step: phases, then Hadamards.
What comes before the first entangler is a product state and needs no step. One layer of RXX is one table of phases
and one real transform; reverse mode retraces both, so all P slopes cost about two circuits more. It is written by
hand, as autograd costs twice as much: dL = Im sum_z bra (Q psi) / 2 for a rotation exp(-i angle Q / 2).

symbol     meaning                                              shape
psi        amplitudes, qubit 0 the least significant bit        (batch, 2**n) complex
planes     the same as real and imaginary part                  (batch, 2, 2**n) real
bra        what the loss feels of psi, dL = Re sum_z bra dpsi   (batch, 2**n) complex
turn       exp(-i Phi)                                          (batch, 2**n) complex
low, high  the product state's factors on the lower and the     (batch, 2**k) complex, k adds up to n
           upper half of the qubits
"""

import os
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import all_bits, cumulative, draw, require_shots, to_bits
from qgan.circuits.phases import Phases, signs, steps
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
        n, device, parts = ansatz.n_qubits, stream.device, steps(ansatz)
        _require_memory(n, (2 * len(parts) + 4) * 2**n * dtype.itemsize, device)
        like = torch.empty(0, dtype=dtype.to_real(), device=device)
        half = (n + 1) // 2
        self.registers = [_Register(slice(0, half), like), _Register(slice(half, n), like)]
        self.steps = [Phases.of(angles, terms, n, half, like) for angles, terms in parts]
        products = -(-n // _GROUP)
        self.hadamards = [_hadamard((n + i) // products, like) for i in range(products)]

    def probabilities(self, theta: Tensor) -> Tensor:
        """Born probabilities (batch, 2**n_bits), once differentiable in theta (batch, P), radians."""
        self.ansatz.require_angles(theta)
        return _Born.apply(self, theta.to(self.dtype.to_real()))  # type: ignore[no-any-return, no-untyped-call]

    def sample(self, theta: Tensor, shots: int) -> Tensor:
        """Measured codes (batch, shots, n_bits) uint8 of the circuits with angles theta (batch, P), radians."""
        require_shots(shots)
        with torch.no_grad():
            codes = [
                draw(cumulative(self.probabilities(some)), shots, self.stream)
                for some in theta.split(max(1, _SAMPLED >> self.ansatz.n_qubits))
            ]
        return to_bits(torch.cat(codes), self.ansatz.n_qubits)


class _Born(Function):
    """p = |psi|**2 after all steps on the product state of region 1."""

    @staticmethod
    def forward(ctx: Any, circuit: StateVector, theta: Tensor) -> Tensor:
        zero, one = region_1(circuit.ansatz, theta)
        low, high = [register.product(zero, one) for register in circuit.registers]
        psi = (high.unsqueeze(2) * low.unsqueeze(1)).flatten(1)
        tape = []
        for phases in circuit.steps:
            turn = phases.turn(theta)
            psi = psi * turn
            if ctx.needs_input_grad[1]:
                tape += [turn, psi]
            planes = transform(psi, circuit.hadamards)
            psi = amplitudes(planes) if phases is not circuit.steps[-1] else psi
        ctx.circuit = circuit
        ctx.save_for_backward(theta, low, high, planes, *tape)
        return planes.square().sum(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        circuit: StateVector = ctx.circuit
        theta, low, high, planes, *tape = ctx.saved_tensors
        slopes = torch.zeros_like(theta)
        bra = torch.complex(2 * gradient * planes[:, 0], -2 * gradient * planes[:, 1])
        for phases in reversed(circuit.steps):
            psi, turn = tape.pop(), tape.pop()
            # Hadamards are real and symmetric, turns diagonal: the bra runs through the same operations
            bra = amplitudes(transform(bra, circuit.hadamards))
            slopes[:, phases.angles] = phases.slopes((bra * psi).imag)
            bra = bra * turn
        bra = bra.view(len(low), high.shape[1], low.shape[1])
        to_low, to_high = (high.unsqueeze(1) @ bra).squeeze(1), (bra @ low.unsqueeze(2)).squeeze(2)
        for register, factor, felt in zip(circuit.registers, (low, high), (to_low, to_high), strict=True):
            register.slopes(circuit.ansatz, theta, factor, felt, slopes)
        return None, slopes


def region_1(ansatz: Ansatz, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Amplitudes of |0> and of |1> (batch, n) of every qubit where the first step begins."""
    a = theta[:, ansatz.rx(0)] / 2
    cos, sin = a.cos(), a.sin()
    if ansatz.entangler == "rzz":  # RX(a) |0>; RZ is in the first step
        return torch.complex(cos, torch.zeros_like(cos)), torch.complex(torch.zeros_like(sin), -sin)
    b = theta[:, ansatz.rz(0)] / 2  # H RZ(b) RX(a) |0>
    turn = torch.complex(b.cos(), b.sin()) / 2**0.5
    zero, one = cos * turn.conj(), -1j * sin * turn
    return zero + one, zero - one


class _Register:
    """Half of the qubits, while they are a product state."""

    def __init__(self, qubits: slice, like: Tensor) -> None:
        k = qubits.stop - qubits.start
        codes = torch.arange(2**k, device=like.device)
        self.qubits = qubits
        self.bits = all_bits(k, like.device).bool().T  # (k, 2**k)
        self.signs = signs(k, like)  # (k, 2**k)
        self.flips = codes ^ (1 << torch.arange(k, device=like.device))[:, None]  # (k, 2**k): code with bit q flipped

    def product(self, zero: Tensor, one: Tensor) -> Tensor:
        """The state (batch, 2**k) of qubits with amplitudes zero and one (batch, n)."""
        return torch.where(self.bits, one[:, self.qubits, None], zero[:, self.qubits, None]).prod(1)

    def slopes(self, ansatz: Ansatz, theta: Tensor, psi: Tensor, bra: Tensor, slopes: Tensor) -> None:
        """Writes dL by the angles of region 1; psi and bra (batch, 2**k), slopes (batch, P)."""
        rx, rz = slopes[:, ansatz.rx(0)][:, self.qubits], slopes[:, ansatz.rz(0)][:, self.qubits]
        crossed = bra.unsqueeze(1) * psi[:, self.flips]  # bra (X_q psi)
        x = crossed.imag.sum(-1) / 2
        if ansatz.entangler == "rzz":
            rx.copy_(x)
            return
        # after H and RZ(b), RX turns about cos b Z - sin b Y and RZ about X
        b = theta[:, ansatz.rz(0)][:, self.qubits]
        z = (bra * psi).imag @ self.signs.T / 2
        y = -(crossed.real * self.signs).sum(-1) / 2
        rx.copy_(b.cos() * z - b.sin() * y)
        rz.copy_(x)


def _hadamard(n_bits: int, like: Tensor) -> Tensor:
    bits = all_bits(n_bits, like.device).to(like.dtype)
    return (1 - 2 * (bits @ bits.T % 2)) / 2 ** (n_bits / 2)


def transform(psi: Tensor, hadamards: list[Tensor]) -> Tensor:
    """Hadamards on all qubits of psi (batch, 2**n), as planes (batch, 2, 2**n)."""
    batch = len(psi)
    rows = torch.view_as_real(psi).view(batch, -1)
    for hadamard in hadamards:
        # the highest qubits come back transformed as the lowest; the lowest index, re | im, thereby ends up highest
        rows = torch.bmm(rows.view(batch, len(hadamard), -1).mT, hadamard.expand(batch, -1, -1)).view(batch, -1)
    return rows.view(batch, 2, -1)


def amplitudes(planes: Tensor) -> Tensor:
    """Amplitudes (batch, 2**n) of planes (batch, 2, 2**n)."""
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
