"""QCBM-AAN, the older method: the circuit learns the critic's latent layer instead of the generator loss.

Source: Rudolph et al., Phys. Rev. X 12, 031010 (2022).
"""

from typing import Self, cast

import torch
from torch import Tensor
from torch.special import xlogy

from qgan.circuits import ExactSampler, Sampler
from qgan.circuits.codes import to_integers
from qgan.errors import InputError
from qgan.gradients import Exact, Gradient, Score, with_entropy
from qgan.prior_settings import QcbmAanSettings
from qgan.priors import Feedback
from qgan.priors.objectives import Objective
from qgan.priors.qcbm import QcbmPrior
from qgan.trial import Trial


class LatentLikelihood:
    """KL(q || p_theta) = sum_z q(z) [log q(z) - log max(p_theta(z), least)], nats: clipped log likelihood.

    Its gradient is that of the linear loss sum_z p_theta(z) f(z) with f = -q / p_theta held at theta, so every
    gradient estimator of the generator loss serves it.
    """

    evaluations = 0  # f(z) = -D(G(z)) is not asked

    def __init__(self, model: ExactSampler, q: Tensor, least: float, entropy_weight: float) -> None:
        """q (2**n,) float64: the target distribution."""
        self.model = model
        self.q = q
        self.least = least
        self.entropy_weight = entropy_weight

    def score(self, theta: Tensor) -> Score:
        p = self._probabilities(theta)
        f = torch.where(p > self.least, -self.q / p, 0).float()
        return with_entropy(lambda codes: f[to_integers(codes)], self.model, theta, self.entropy_weight)

    def at(self, theta: Tensor, gradient: Gradient | None = None) -> float:
        p = self._probabilities(theta)
        divergence = (xlogy(self.q, self.q) - xlogy(self.q, p.clamp_min(self.least))).sum()
        return float(divergence - self.entropy_weight * torch.special.entr(p).sum())

    def measured(self, theta: Tensor, codes: Tensor) -> float:
        return self.at(theta)

    def _probabilities(self, theta: Tensor) -> Tensor:
        with torch.no_grad():
            return self.model.probabilities(theta[None])[0].double()


class QcbmAanPrior(QcbmPrior):
    """The target is half the latent layer's codes over all training images, half those over `shots` generated ones."""

    @classmethod
    def from_trial(cls, trial: Trial, device: torch.device | str, sampler: Sampler | None = None) -> Self:
        prior = super().from_trial(trial, device, sampler)
        if not prior.exact:
            raise InputError("prior qcbm_aan needs a sampler that knows its probabilities: backend exact", "backend")
        if prior.settings.gradient == "exact":  # f costs nothing here, so no code is left out
            prior.estimator = Exact(prior.settings.shots, enumerate_up_to=2**prior.latent_dim)
        return prior

    def objective(self, feedback: Feedback) -> Objective:
        settings = self.settings
        assert isinstance(settings, QcbmAanSettings)
        both = feedback.critic_codes(self.sample(settings.shots), settings.threshold)
        q = torch.stack([self.shares(to_integers(codes)) for codes in both]).mean(0)
        return LatentLikelihood(cast(ExactSampler, self.model), q, settings.least_probability, settings.entropy_weight)
