"""Priors: where the latent code z comes from.

A new prior is one module here, one settings class in `qgan.trial` and one line in `PRIORS`. Its class has a constructor
`from_trial(trial, device, sampler)`, which draws from no stream but `torch_stream(trial, "prior", device)`; priors
without circuits ignore the sampler.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from qgan.circuits import Sampler
from qgan.trial import Trial


class Prior(Protocol):
    """A distribution of the latent code."""

    latent_dim: int

    def sample(self, count: int) -> Tensor:
        """Codes (count, latent_dim), float32 on the prior's device; bits are 0 or 1."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything a resume needs, the random stream included."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class Feedback(Protocol):
    """What the WGAN tells a prior, its networks frozen meanwhile."""

    def score(self, codes: Tensor) -> Tensor:
        """f(z) = -D(G(z)) (k,) of codes (k, n_bits): low where the critic is deceived (Eq. 6)."""
        ...


@dataclass(frozen=True)
class PriorUpdate:
    """What one scheduled update event did, and what it spent."""

    loss: float  # L(theta) = sum_z p(z) f(z) before the last step of the event
    gradient_norm: float  # Euclidean norm of the last step's gradient
    circuits: int  # circuits run (0 where none was needed)
    shots: int  # codes measured over all circuits
    scores: int  # distinct codes whose f was evaluated


@runtime_checkable
class TrainablePrior(Prior, Protocol):
    """A prior that the WGAN's feedback improves."""

    def update(self, feedback: Feedback) -> PriorUpdate:
        """One scheduled update event: the settings' `iterations` optimiser steps."""
        ...


# name -> "module:Class"; loaded late, so that a prior's dependencies are paid for by its users only
PRIORS = {
    "bernoulli": "qgan.priors.bernoulli:BernoulliPrior",
    "qcbm": "qgan.priors.qcbm:QcbmPrior",
}


def build(trial: Trial, device: torch.device | str, sampler: Sampler | None = None) -> Prior:
    """The trial's prior, on a device; `sampler` runs a quantum prior's circuits instead of its backend's own."""
    module, name = PRIORS[trial.prior.prior].split(":")
    return cast(Prior, getattr(import_module(module), name).from_trial(trial, device, sampler))
