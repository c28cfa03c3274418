"""Gradients of the Born machine's loss L(theta) = sum_z p_theta(z) f(z) (Eqs. 6 and 8).

Every estimator is called as `estimator(sampler, theta, score)` and evaluates f once per distinct code.

L is the mean of a diagonal observable, and every angle turns one gate exp(-i theta_i P / 2) with P**2 = 1. So L is a
sinusoid of each angle, L = A + B sin(theta_i + phi), and for steps of any size, without any higher order,

    L(theta + epsilon e_i) - L(theta - epsilon e_i) = 2 sin(epsilon) dL/dtheta_i.

Eq. 8 divides by 2 epsilon and shrinks every slope by sin(epsilon) / epsilon; the shift rule is epsilon = pi / 2 divided
by 2 and shrinks none (Mitarai et al., PRA 98, 032309, 2018; for Born machines Zeng et al., PRA 99, 052306, 2019).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import pi
from typing import Protocol, cast

import torch
from torch import Tensor

from qgan.circuits import ExactSampler, Sampler
from qgan.circuits.codes import to_bits, to_integers
from qgan.errors import InputError

Score = Callable[[Tensor], Tensor]  # f: codes (k, n_bits) float32 -> (k,)

_AT_ONCE = 2**22  # probabilities held at a time, whatever the number of circuits


@dataclass(frozen=True)
class Gradient:
    """One estimate of dL/dtheta, and what it cost."""

    values: Tensor  # (P,)
    loss: float  # estimate of L(theta)
    circuits: int  # circuits run; reverse mode over all codes runs none
    shots: int  # codes measured over all circuits
    scores: int  # distinct codes whose f was evaluated


class Estimator(Protocol):
    """dL/dtheta from a sampler, the angles theta (P,), radians, and f; nothing else."""

    def __call__(self, sampler: Sampler, theta: Tensor, score: Score) -> Gradient:
        """Raises InputError where theta or f is not finite, or the sampler cannot give what the estimator needs."""
        ...


@dataclass(frozen=True)
class Exact:
    """The slope of every parameter at once, by reverse mode through an exact sampler.

    Up to `enumerate_up_to` codes (and never fewer than `shots`) f is evaluated on all 2**n codes: no noise at all.
    Beyond that, f is evaluated on `shots` codes z_k and the score-function estimate is used,
    sum_k (f(z_k) - mean f) grad log p(z_k) / (shots - 1), whose leave-one-out baseline keeps it unbiased.
    """

    shots: int
    enumerate_up_to: int = 2**12

    def __call__(self, sampler: Sampler, theta: Tensor, score: Score) -> Gradient:
        exact = _exact(sampler, "gradient exact")
        theta = _finite(theta).requires_grad_()
        p = exact.probabilities(theta[None])[0]
        if len(p) <= max(self.shots, self.enumerate_up_to):
            loss = p @ _score_all(len(p), score, p.device).to(p.dtype)
            (values,) = torch.autograd.grad(loss, theta)
            return Gradient(values, loss.item(), circuits=0, shots=0, scores=len(p))
        if self.shots < 2:
            raise InputError(f"gradient exact on {len(p)} codes needs 2 or more shots, not {self.shots}", "shots")
        codes = to_integers(exact.sample(theta.detach()[None], self.shots)[0])
        f, scores = _score_once(codes, len(p).bit_length() - 1, score)
        baselined = (f - f.mean()).to(p.dtype)
        (values,) = torch.autograd.grad(baselined @ p[codes].log() / (self.shots - 1), theta)
        return Gradient(values, f.mean().item(), circuits=1, shots=self.shots, scores=scores)


@dataclass(frozen=True)
class FiniteDifference:
    """Eq. 8: dL/dtheta_i = [L(theta + epsilon e_i) - L(theta - epsilon e_i)] / (2 epsilon).

    L comes from `shots` codes per circuit; None reads the probabilities of an exact sampler and all of f instead.
    The noise of a slope goes as 1 / epsilon, its value as sin(epsilon) / epsilon: a small step buys nothing but noise.
    `silent` names the angles that cannot change p_theta (`Ansatz.silent`): slope 0, and no circuits.
    """

    epsilon: float  # radians
    shots: int | None
    silent: Sequence[int] = ()

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < pi:
            raise InputError(f"epsilon must be above 0 and below pi radians, not {self.epsilon}", "epsilon")

    def __call__(self, sampler: Sampler, theta: Tensor, score: Score) -> Gradient:
        axes = _axes(theta, self.silent)
        return _two_point(sampler, theta, score, axes, self.epsilon, 1 / (2 * self.epsilon), self.shots)


@dataclass(frozen=True)
class ParameterShift:
    """dL/dtheta_i = [L(theta + pi/2 e_i) - L(theta - pi/2 e_i)] / 2, unbiased, with the circuits of Eq. 8.

    `shots` and `silent` as in FiniteDifference.
    """

    shots: int | None
    silent: Sequence[int] = ()

    def __call__(self, sampler: Sampler, theta: Tensor, score: Score) -> Gradient:
        return _two_point(sampler, theta, score, _axes(theta, self.silent), pi / 2, 1 / 2, self.shots)


@dataclass(frozen=True)
class SpsaGradient:
    """The mean over random signs Delta (P,) of [L(theta + c Delta) - L(theta - c Delta)] / (2 c) Delta.

    Two circuits per direction, however many parameters. Biased by O(c**2): a term of L in w angles at once is
    shrunk by sin(c) / c cos(c)**(w - 1).
    `shots` as in FiniteDifference; silent angles do not move.
    Source: J. C. Spall, IEEE Trans. Autom. Control 37 (1992) 332.
    """

    c: float  # radians
    shots: int | None
    stream: torch.Generator  # draws the signs
    directions: int = 1
    silent: Sequence[int] = ()

    def __post_init__(self) -> None:
        if not 0 < self.c < pi:
            raise InputError(f"c must be above 0 and below pi radians, not {self.c}", "c")
        if self.directions < 1:
            raise InputError(f"directions must be 1 or more, not {self.directions}", "directions")

    def __call__(self, sampler: Sampler, theta: Tensor, score: Score) -> Gradient:
        size = self.directions, len(theta)
        signs = (2 * torch.randint(2, size, generator=self.stream, device=self.stream.device) - 1).to(theta)
        signs[:, list(self.silent)] = 0
        return _two_point(sampler, theta, score, signs, self.c, 1 / (2 * self.c * self.directions), self.shots)


def with_entropy(score: Score, sampler: Sampler, theta: Tensor, weight: float) -> Score:
    """f(z) + weight log p_theta(z), the score whose loss and gradient at theta (P,) are those of L - weight H.

    H = -sum_z p log p, nats. Since sum_z dp(z) = 0, d(-H) = sum_z dp(z) (log p(z) + 1) = sum_z dp(z) log p(z), with
    log p held at theta: linear in p again, so every estimator is as right with it as without. The score belongs to
    this theta: build it anew for each step.
    Raises InputError for a sampler that does not know p: entropy has no unbiased estimate from codes alone.
    """
    if weight == 0:
        return score
    with torch.no_grad():
        p = _exact(sampler, "entropy_weight").probabilities(_finite(theta)[None])[0]
    log_p = p.clamp_min(torch.finfo(p.dtype).tiny).log()  # a code that cannot occur has no say: its dp is 0
    return lambda codes: score(codes) + weight * log_p[to_integers(codes)]


def _two_point(
    sampler: Sampler,
    theta: Tensor,
    score: Score,
    directions: Tensor,
    step: float,
    scale: float,
    shots: int | None,
) -> Gradient:
    """scale sum_d [L(theta + step d) - L(theta - step d)] d over directions d (k, P), in one batch of circuits.

    One more circuit, at theta itself, gives the loss: the mean of the others is no L(theta) where steps are large.
    """
    theta = _finite(theta)
    points = torch.cat([theta[None], theta + step * directions, theta - step * directions])
    if shots is None:
        exact = _exact(sampler, "shots: none")
        with torch.no_grad():
            codes = exact.probabilities(theta[None]).shape[1]
            f = _score_all(codes, score, theta.device).to(theta.dtype)
            some = points.split(max(1, _AT_ONCE // codes))
            losses = torch.cat([exact.probabilities(each).to(f.dtype) @ f for each in some])
        measured, scores = 0, codes
    elif shots >= 1:
        bits = sampler.sample(points, shots)
        f, scores = _score_once(to_integers(bits), bits.shape[-1], score)
        losses, measured = f.mean(-1).to(theta.dtype), f.numel()
    else:
        raise InputError(f"shots must be 1 or more codes per circuit, not {shots}", "shots")
    plus, minus = losses[1:].chunk(2)
    return Gradient(scale * (plus - minus) @ directions, losses[0].item(), len(points), measured, scores)


def _axes(theta: Tensor, silent: Sequence[int]) -> Tensor:
    """Unit steps (k, P) along every angle but the silent ones."""
    heard = torch.ones(len(theta), dtype=torch.bool, device=theta.device)
    heard[list(silent)] = False
    return torch.eye(len(theta), dtype=theta.dtype, device=theta.device)[heard]


def _score_once(codes: Tensor, n_bits: int, score: Score) -> tuple[Tensor, int]:
    """f of codes (...) int64, each distinct code evaluated once, and how many those are."""
    distinct, where = codes.unique(return_inverse=True)
    with torch.no_grad():
        f = score(to_bits(distinct, n_bits).float())
    finite = f.isfinite().sum().item() if f.shape == distinct.shape else 0
    if finite < len(distinct):
        raise InputError(
            f"the score must be one finite number per code, but of {len(distinct)} codes {len(distinct) - finite} "
            "have none; a smaller train.learning_rate keeps the critic finite"
        )
    return f[where], len(distinct)


def _score_all(codes: int, score: Score, device: torch.device) -> Tensor:
    """f of all codes (2**n_bits,) in order."""
    return _score_once(torch.arange(codes, device=device), codes.bit_length() - 1, score)[0]


def _finite(theta: Tensor) -> Tensor:
    """The angles, cut off from whatever computed them."""
    lost = int((~theta.isfinite()).sum())
    if lost:
        raise InputError(
            f"theta must be finite angles in radians, but {lost} of {theta.numel()} are not; "
            "a smaller learning_rate keeps them finite"
        )
    return theta.detach()


def _exact(sampler: Sampler, what: str) -> ExactSampler:
    if not hasattr(sampler, "probabilities"):
        raise InputError(f"{what} needs a sampler that knows its probabilities: backend exact", "backend")
    return cast(ExactSampler, sampler)
