"""Priors: where the latent code z comes from.

A new prior is one module here, one settings class in `qgan.prior_settings` and one line in `PRIORS`. Its class has a
constructor `from_trial(trial, device, sampler)`, which draws from the pair's streams named "prior ..." only; priors
without circuits ignore the sampler.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from qgan.circuits import Sampler
from qgan.priors.statistics import CodeStatistics
from qgan.trial import Trial


class Prior(Protocol):
    """A distribution of the latent code."""

    latent_dim: int

    def sample(self, count: int) -> Tensor:
        """Codes (count, latent_dim), float32 on the prior's device: bits, or numbers of the continuous priors."""
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

    def critic_codes(self, codes: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
        """Bits of the critic's latent layer, 1 above the threshold: of all training images, and of G(codes)."""
        ...


@dataclass(frozen=True)
class PriorUpdate:
    """What one scheduled update event did, and what it spent."""

    loss: float  # before the last step of the event; with optimizer spsa after it
    gradient_norm: float  # Euclidean norm of the last step's gradient estimate
    circuits: int  # circuits run, that of the first code pool included; batches of codes for a classical model
    shots: int  # codes measured over all circuits
    scores: int  # distinct codes whose f was evaluated
    codes: CodeStatistics  # of the distribution after the event
    warning: str | None = None  # a sentence where the perplexity fell below `least_perplexity`
    losses: tuple[float, ...] = ()  # of SPSA's 2 iterations + 1 evaluations, in order


@runtime_checkable
class TrainablePrior(Prior, Protocol):
    """A prior that the WGAN's feedback improves."""

    def update(self, feedback: Feedback) -> PriorUpdate:
        """One scheduled update event: the settings' `iterations` optimiser steps; raises Diverged."""
        ...


# name -> "module:Class"; loaded late, so that a prior's dependencies are paid for by its users only
PRIORS = {
    "bernoulli": "qgan.priors.bernoulli:BernoulliPrior",
    "uniform": "qgan.priors.continuous:UniformPrior",
    "normal": "qgan.priors.continuous:NormalPrior",
    "bernoulli_trained": "qgan.priors.bernoulli:BernoulliTrainedPrior",
    "qcbm": "qgan.priors.qcbm:QcbmPrior",
    "qcbm_frozen": "qgan.priors.controls:QcbmFrozenPrior",
    "qcbm_no_entangler": "qgan.priors.controls:QcbmNoEntanglerPrior",
    "qcbm_marginals": "qgan.priors.controls:QcbmMarginalsPrior",
    "qcbm_shuffled": "qgan.priors.controls:QcbmShuffledPrior",
    "qcbm_aan": "qgan.priors.aan:QcbmAanPrior",
    "rbm": "qgan.priors.rbm:RbmPrior",
    "mps": "qgan.priors.mps:MpsPrior",
    "autoregressive": "qgan.priors.autoregressive:AutoregressivePrior",
}


def build(trial: Trial, device: torch.device | str, sampler: Sampler | None = None) -> Prior:
    """The trial's prior, on a device; `sampler` runs a quantum prior's circuits instead of its backend's own.

    Raises InputError where the prior's settings do not fit the trial's.
    """
    trial.prior.require_fit(trial.latent_dim, trial.train)
    module, name = PRIORS[trial.prior.prior].split(":")
    return cast(Prior, getattr(import_module(module), name).from_trial(trial, device, sampler))
