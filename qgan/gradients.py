"""Gradients of the Born machine's loss L(theta) = sum_z p_theta(z) f(z) (Eqs. 6 and 8).

Every estimator is called as `estimator(sampler, theta, score)` and evaluates f once per distinct code.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qgan.circuits import ExactSampler, Sampler
from qgan.circuits.codes import to_bits, to_integers
from qgan.errors import InputError

Score = Callable[[Tensor], Tensor]  # f: codes (k, n_bits) float32 -> (k,)


@dataclass(frozen=True)
class Gradient:
    """One estimate of dL/dtheta, and what it cost."""

    values: Tensor  # (P,)
    loss: float  # estimate of L(theta)
    circuits: int  # circuits run (0 where none was needed)
    shots: int  # codes measured over all circuits
    scores: int  # distinct codes whose f was evaluated
    saved: int = 0  # circuits left out, as their angle is silent


@dataclass(frozen=True)
class Exact:
    """The slope of every parameter at once, by reverse mode through an exact sampler.

    Up to `enumerate_up_to` codes (and never fewer than `shots`) f is evaluated on all 2**n codes: no noise at all.
    Beyond that, f is evaluated on `shots` codes z_k and the score-function estimate is used,
    sum_k (f(z_k) - mean f) grad log p(z_k) / (shots - 1), whose leave-one-out baseline keeps it unbiased.
    """

    shots: int
    enumerate_up_to: int = 2**12

    def __call__(self, sampler: ExactSampler, theta: Tensor, score: Score) -> Gradient:
        theta = theta.detach().requires_grad_()
        p = sampler.probabilities(theta[None])[0]
        n_bits = len(p).bit_length() - 1
        if len(p) <= max(self.shots, self.enumerate_up_to):
            f, scores = _score_once(torch.arange(len(p), device=p.device), n_bits, score)
            loss = p @ f.to(p.dtype)
            (values,) = torch.autograd.grad(loss, theta)
            return Gradient(values, loss.item(), circuits=0, shots=0, scores=scores)
        if self.shots < 2:
            raise InputError(f"gradient exact on 2**{n_bits} codes needs 2 or more shots, not {self.shots}", "shots")
        codes = to_integers(sampler.sample(theta.detach()[None], self.shots)[0])
        f, scores = _score_once(codes, n_bits, score)
        baselined = (f - f.mean()).to(p.dtype)
        (values,) = torch.autograd.grad(baselined @ p[codes].log() / (self.shots - 1), theta)
        return Gradient(values, f.mean().item(), circuits=1, shots=self.shots, scores=scores)


@dataclass(frozen=True)
class FiniteDifference:
    """Eq. 8: dL/dtheta_i = [L(theta + epsilon e_i) - L(theta - epsilon e_i)] / (2 epsilon), L from `shots` codes.

    All circuits run as one batch. `silent` names the angles that cannot change p_theta (`Ansatz.silent`): their
    slope is 0 and their circuits are saved. The loss is the mean over all codes, L(theta) but for O(epsilon**2).
    """

    epsilon: float  # radians
    shots: int
    silent: Sequence[int] = ()

    def __call__(self, sampler: Sampler, theta: Tensor, score: Score) -> Gradient:
        steps = self.epsilon * torch.eye(len(theta), dtype=theta.dtype, device=theta.device)
        heard = torch.ones(len(theta), dtype=torch.bool, device=theta.device)
        heard[list(self.silent)] = False
        steps = steps[heard]
        measured = sampler.sample(torch.cat([theta + steps, theta - steps]), self.shots)
        f, scores = _score_once(to_integers(measured), measured.shape[-1], score)
        plus, minus = f.mean(-1).to(theta.dtype).chunk(2)
        values = torch.zeros_like(theta)
        values[heard] = (plus - minus) / (2 * self.epsilon)
        run, saved = 2 * len(steps), 2 * (len(theta) - len(steps))
        return Gradient(values, f.mean().item(), circuits=run, shots=f.numel(), scores=scores, saved=saved)


def _score_once(codes: Tensor, n_bits: int, score: Score) -> tuple[Tensor, int]:
    """f of codes (...) int64, each distinct code evaluated once, and how many those are."""
    distinct, where = codes.unique(return_inverse=True)
    with torch.no_grad():
        f = score(to_bits(distinct, n_bits).float())
    return f[where], len(distinct)
