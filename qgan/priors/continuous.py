"""Continuous codes: what a plain WGAN draws from. No circuit can give them and no update changes them."""

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor

from qgan.circuits import Sampler
from qgan.seeds import torch_stream
from qgan.trial import Trial


class UniformPrior:
    """Numbers uniform in [0, 1], which the generator reads as 2 z - 1, from -1 to 1, where bits are its ends."""

    def __init__(self, latent_dim: int, stream: torch.Generator) -> None:
        self.latent_dim = latent_dim
        self.stream = stream

    @classmethod
    def from_trial(cls, trial: Trial, device: torch.device | str, sampler: Sampler | None = None) -> Self:
        return cls(trial.latent_dim, torch_stream(trial, "prior", device))

    def sample(self, count: int) -> Tensor:
        """Codes (count, latent_dim), float32 on the stream's device."""
        return torch.rand(count, self.latent_dim, generator=self.stream, device=self.stream.device)

    def state_dict(self) -> dict[str, Any]:
        return {"stream": self.stream.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.stream.set_state(state["stream"].cpu())


class NormalPrior(UniformPrior):
    """Numbers normal about 1/2 with standard deviation 1/2: standard normal where the generator reads 2 z - 1."""

    def sample(self, count: int) -> Tensor:
        """Codes (count, latent_dim), float32 on the stream's device."""
        return (1 + torch.randn(count, self.latent_dim, generator=self.stream, device=self.stream.device)) / 2
