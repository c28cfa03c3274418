"""The ansatz as steps of commuting rotations: Phi(z) of each step, and the slopes of its angles.

A code z is split in its lower and upper half. Phi is bilinear in the monomials 1, s_i, s_i s_j of the two halves,
s_q = 1 - 2 z_q: one matrix product of small tables fills all 2**n phases, and its reverse collects the slopes.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import all_bits

Term = tuple[int, ...]  # the qubits whose signs multiply an angle


@dataclass(frozen=True)
class Phases:
    """Phi(z) of one step: monomials of the high qubits x angles x monomials of the low qubits."""

    angles: slice  # in theta
    where: Tensor  # of the angles in the flat (high monomials, low monomials) matrix
    high: Tensor  # (2**high, high monomials), the 1/2 of Phi included
    low: Tensor  # (low monomials, 2**low)

    @classmethod
    def of(cls, angles: slice, terms: list[Term], n: int, half: int, like: Tensor) -> Self:
        """The tables of a step of n qubits, of which `half` are low; dtype and device of `like`."""
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
        """exp(-i Phi) (batch, 2**n) for theta (batch, P)."""
        rows, columns = self.high.shape[1], self.low.shape[0]
        angles = theta.new_zeros(len(theta), rows * columns)
        angles.index_copy_(1, self.where, theta[:, self.angles])
        phi = (self.high @ angles.view(-1, rows, columns) @ self.low).flatten(1)
        return torch.complex(phi.cos(), phi.sin().neg_())

    def slopes(self, current: Tensor) -> Tensor:
        """dL by each angle (batch, angles) from dL/dPhi (batch, 2**n)."""
        current = current.reshape(len(current), self.high.shape[0], self.low.shape[1])
        return (self.high.T @ (current @ self.low.T)).flatten(1)[:, self.where]


def steps(ansatz: Ansatz) -> list[tuple[slice, list[Term]]]:
    """Each step's angles in theta, neighbours by the layout, and the term of each; a Hadamard transform follows it."""
    singles: list[Term] = [(q,) for q in range(ansatz.n_qubits)]
    pairs: list[Term] = list(ansatz.pairs)
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


def signs(n_bits: int, like: Tensor) -> Tensor:
    """s_q of every bit of every code: (n_bits, 2**n_bits)."""
    return 1 - 2 * all_bits(n_bits, like.device).T.to(like.dtype)


def _monomials(terms: list[Term], n_bits: int, like: Tensor) -> Tensor:
    """The product of the signs of each term, for every code: (terms, 2**n_bits)."""
    table = signs(n_bits, like)
    return torch.stack([table[list(term)].prod(0) for term in terms])
