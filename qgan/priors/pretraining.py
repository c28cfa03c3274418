"""Tensor-network pre-training: a matrix product state is trained first, then the circuit's theta is fitted to it.

Source of the idea: Rudolph et al., Nat. Commun. 14, 8367 (2023), who compile the state into gates. Here the ansatz is
fixed, so its angles are fitted: by reverse mode through the exact sampler, wherever the circuit runs later.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.special import xlogy

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import all_bits
from qgan.circuits.exact import StateVector
from qgan.gradients import Score
from qgan.priors.mps import Mps

STEPS = 200  # of Adam, for each of the two
RATE = 0.05  # its step


def pretrained(ansatz: Ansatz, theta: Tensor, score: Score, stream: torch.Generator) -> Tensor:
    """The angles (P,) near theta (P,) whose distribution comes nearest to that of a trained matrix product state.

    The state minimises sum_z p f - tau H(p) with tau the standard deviation of f: Eq. 6 alone is linear in p, so a
    well-trained state would be a single code, and the circuit would start collapsed. Evaluates f on all codes.
    """
    f = score(all_bits(ansatz.n_qubits, stream.device).float())
    mps = Mps(ansatz.n_qubits, None, stream)
    state = descended(mps.initial(), lambda each: free_energy(mps.probabilities(each[None])[0], f))
    with torch.no_grad():
        q = mps.probabilities(state[None])[0]
    circuit = StateVector(ansatz, stream)
    return descended(theta, lambda each: -xlogy(q, circuit.probabilities(each[None])[0].clamp_min(1e-12)).sum())


def free_energy(p: Tensor, f: Tensor) -> Tensor:
    """sum_z p f - tau H(p), nats, for p and f (2**n,); tau is the standard deviation of f."""
    energy: Tensor = p @ f + f.std(correction=0) * xlogy(p, p.clamp_min(1e-30)).sum()
    return energy


def descended(theta: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """theta (P,) after `STEPS` of Adam."""
    leaf = theta.clone().requires_grad_()
    adam = torch.optim.Adam([leaf], lr=RATE)
    for _ in range(STEPS):
        adam.zero_grad()
        loss(leaf).backward()
        adam.step()
    return leaf.detach()
