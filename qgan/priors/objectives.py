"""What a prior minimises: the generator loss (Eq. 6), as a function of theta for optimisers and estimators."""

from typing import Protocol, cast

import torch
from torch import Tensor
from torch.special import entr

from qgan.circuits import ExactSampler, Sampler
from qgan.circuits.codes import to_bits, to_integers
from qgan.errors import Diverged
from qgan.gradients import Gradient, Score, with_entropy


class Objective(Protocol):
    """A loss of a model's theta (P,) that one update event lowers."""

    @property
    def evaluations(self) -> int:
        """Distinct codes that the WGAN has scored so far."""
        ...

    def score(self, theta: Tensor) -> Score:
        """A function f of codes whose mean sum_z p f has, f held fixed, the loss's gradient at theta."""
        ...

    def at(self, theta: Tensor, gradient: Gradient) -> float:
        """The loss at theta, where an estimator has just been."""
        ...

    def measured(self, theta: Tensor, codes: Tensor) -> float:
        """The loss at theta, from codes (k,) int64 measured there."""
        ...


class OncePerCode:
    """f, evaluated once for each code: during an update event the networks stand still."""

    def __init__(self, score: Score, n_bits: int, device: torch.device) -> None:
        self.known = torch.full((2**n_bits,), torch.nan, device=device)
        self.raw = score
        self.evaluations = 0  # codes evaluated

    def __call__(self, codes: Tensor) -> Tensor:
        integers = to_integers(codes)
        new = integers[self.known[integers].isnan()].unique()
        if len(new):
            with torch.no_grad():
                f = self.raw(to_bits(new, codes.shape[1]).float())
            if not f.isfinite().all():
                raise Diverged(
                    "the critic's judgement f(z) = -D(G(z)) of some codes is no longer a finite number; "
                    "lower train.learning_rate"
                )
            self.known[new] = f.to(self.known)
            self.evaluations += len(new)
        return self.known[integers]


class GeneratorLoss:
    """L(theta) = sum_z p_theta(z) f(z) (Eq. 6), less `entropy_weight` times the entropy of p_theta (nats)."""

    def __init__(self, model: Sampler, score: Score, n_bits: int, entropy_weight: float, device: torch.device) -> None:
        """`score` is the WGAN's f."""
        self.model = model
        self.f = OncePerCode(score, n_bits, device)
        self.n_bits = n_bits
        self.entropy_weight = entropy_weight

    @property
    def evaluations(self) -> int:
        return self.f.evaluations

    def score(self, theta: Tensor) -> Score:
        return with_entropy(self.f, self.model, theta, self.entropy_weight)

    def at(self, theta: Tensor, gradient: Gradient) -> float:
        return gradient.loss

    def measured(self, theta: Tensor, codes: Tensor) -> float:
        loss = float(self.f(to_bits(codes, self.n_bits).float()).double().mean())
        return loss - self.entropy_weight * self._entropy(theta)

    def _entropy(self, theta: Tensor) -> float:
        if self.entropy_weight == 0:
            return 0.0
        with torch.no_grad():
            return float(entr(cast(ExactSampler, self.model).probabilities(theta[None])).sum())
