"""A restricted Boltzmann machine: bits that h hidden units tie together."""

from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import softplus

from qgan.circuits import Sampler
from qgan.prior_settings import RbmSettings
from qgan.priors.model import Model, parameter_budget
from qgan.priors.trained import TrainedPrior
from qgan.seeds import torch_stream
from qgan.trial import Trial


class Rbm(Model):
    """p(z) ~ exp(b z) prod_j (1 + exp(c_j + w_j z)), summed over the hidden units in closed form.

    theta: b (n,) | c (h,) | w (h, n).
    """

    def __init__(self, n_bits: int, hidden: int | None, stream: torch.Generator) -> None:
        """hidden=None: as many as a full one-layer QCBM's effective parameters allow, 6 for 12 bits."""
        self.hidden = (parameter_budget(n_bits) - n_bits) // (n_bits + 1) if hidden is None else hidden
        super().__init__(n_bits, n_bits + self.hidden * (n_bits + 1), stream)

    def probabilities(self, theta: Tensor) -> Tensor:
        """Probabilities (batch, 2**n_bits) of theta (batch, P)."""
        b, c, w = theta.split([self.n_bits, self.hidden, self.hidden * self.n_bits], dim=1)
        to_hidden = w.view(len(w), self.hidden, self.n_bits) @ self.bits.T + c.unsqueeze(2)
        log_weights: Tensor = b @ self.bits.T + softplus(to_hidden).sum(1)
        return log_weights.softmax(-1)


class RbmPrior(TrainedPrior):
    """Codes of a restricted Boltzmann machine trained on the generator loss."""

    @classmethod
    def from_trial(cls, trial: Trial, device: torch.device | str, sampler: Sampler | None = None) -> Self:
        assert isinstance(trial.prior, RbmSettings)
        stream = torch_stream(trial, "prior", device)
        model = Rbm(trial.latent_dim, trial.prior.hidden, stream)
        return cls(trial, model, model.initial(), stream)
