"""Independent bits: the classical baseline of the paper."""

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor

from qgan.circuits import Sampler
from qgan.seeds import torch_stream
from qgan.settings import BernoulliSettings
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

    def state_dict(self) -> dict[str, Any]:
        return {"stream": self.stream.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.stream.set_state(state["stream"].cpu())
