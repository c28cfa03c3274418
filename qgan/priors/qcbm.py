"""The quantum-circuit Born machine, trained on the generator loss (Eqs. 6 to 8)."""

from typing import Self

import torch

from qgan.circuits import Sampler
from qgan.circuits.ansatz import Ansatz
from qgan.circuits.backends import make_sampler
from qgan.prior_settings import TrainedCircuitSettings
from qgan.priors.objectives import GeneratorLoss, Objective
from qgan.priors.pretraining import pretrained
from qgan.priors.trained import TrainedPrior
from qgan.seeds import torch_stream
from qgan.trial import Trial


class QcbmPrior(TrainedPrior):
    """Codes are the measured bits of a circuit whose angles theta follow the critic's judgement."""

    ansatz: Ansatz

    @classmethod
    def from_trial(cls, trial: Trial, device: torch.device | str, sampler: Sampler | None = None) -> Self:
        settings = trial.prior
        assert isinstance(settings, TrainedCircuitSettings)
        ansatz = Ansatz(trial.latent_dim, settings.layers, settings.connectivity, settings.entangler)
        stream = torch_stream(trial, "prior", device)
        if sampler is None:
            sampler = make_sampler(settings.backend, ansatz, stream)
        # an mps comes at the first update event, when there is a score to train it on
        start = "bernoulli" if settings.initial == "mps" else settings.initial
        prior = cls(trial, sampler, ansatz.initial_angles(0.5, stream, start), stream, ansatz.silent)
        prior.ansatz = ansatz
        return prior

    def prepare(self, objective: Objective) -> None:
        """With `initial: mps`, theta is fitted to a matrix product state trained on the event's score."""
        assert isinstance(self.settings, TrainedCircuitSettings)
        if self.settings.initial == "mps":
            assert isinstance(objective, GeneratorLoss)
            self.theta = pretrained(self.ansatz, self.theta, objective.f, self.stream)
