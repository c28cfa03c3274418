"""Independent bits: the classical baseline of the paper, and the same bits trained."""

from collections.abc import Mapping
from math import log
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from qgan.circuits import Sampler
from qgan.circuits.codes import all_bits
from qgan.prior_settings import BernoulliSettings, BernoulliTrainedSettings
from qgan.priors.model import Model
from qgan.priors.trained import TrainedPrior
from qgan.seeds import torch_stream
from qgan.trial import Trial


class BernoulliPrior:
    """Each bit is 1 with probability p, whatever the others are."""

    def __init__(self, latent_dim: int, p: float, stream: torch.Generator) -> None:
        self.latent_dim = latent_dim
        self.p = p
        self.stream = stream

    @classmethod
    def from_trial(cls, trial: Trial, device: torch.device | str, sampler: Sampler | None = None) -> Self:
        assert isinstance(trial.prior, BernoulliSettings)
        return cls(trial.latent_dim, trial.prior.p, torch_stream(trial, "prior", device))

    def sample(self, count: int) -> Tensor:
        """Codes (count, latent_dim), float32 on the stream's device."""
        uniform = torch.rand(count, self.latent_dim, generator=self.stream, device=self.stream.device)
        return (uniform < self.p).float()

    def distribution(self) -> Tensor:
        """Probabilities (2**latent_dim,) float64 of the codes that `sample` gives."""
        ones = all_bits(self.latent_dim, self.stream.device).sum(1)
        return self.p ** ones.double() * (1 - self.p) ** (self.latent_dim - ones).double()

    def state_dict(self) -> dict[str, Any]:
        return {"stream": self.stream.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.stream.set_state(state["stream"].cpu())


class Bernoulli(Model):
    """p(z) = prod_q sigmoid(+-theta_q): theta (n,) are the logits of independent bits."""

    def __init__(self, n_bits: int, stream: torch.Generator) -> None:
        super().__init__(n_bits, n_bits, stream)

    def probabilities(self, theta: Tensor) -> Tensor:
        """Probabilities (batch, 2**n_bits) of theta (batch, P)."""
        return (logsigmoid(theta) @ self.bits.T + logsigmoid(-theta) @ (1 - self.bits).T).exp()


class BernoulliTrainedPrior(TrainedPrior):
    """Independent bits trained on the generator loss."""

    @classmethod
    def from_trial(cls, trial: Trial, device: torch.device | str, sampler: Sampler | None = None) -> Self:
        assert isinstance(trial.prior, BernoulliTrainedSettings)
        stream = torch_stream(trial, "prior", device)
        model = Bernoulli(trial.latent_dim, stream)
        p = trial.prior.p
        theta = torch.full((trial.latent_dim,), log(p / (1 - p)), device=stream.device)
        return cls(trial, model, theta, stream)
