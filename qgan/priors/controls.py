"""Controls of the Born machine: each takes one thing away from it."""

from typing import Self

import torch
from torch import Tensor

from qgan.circuits import Sampler
from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import to_bits, to_integers
from qgan.circuits.exact import StateVector
from qgan.prior_settings import QcbmFrozenSettings, QcbmNoEntanglerSettings
from qgan.priors import Feedback
from qgan.priors.model import ModelPrior
from qgan.priors.objectives import Objective
from qgan.priors.qcbm import QcbmPrior
from qgan.priors.statistics import product_of_marginals, renamed
from qgan.priors.trained import TrainedPrior
from qgan.seeds import torch_stream
from qgan.trial import Trial


class QcbmFrozenPrior(ModelPrior):
    """No training: the circuit keeps its first theta. Always computed exactly."""

    @classmethod
    def from_trial(cls, trial: Trial, device: torch.device | str, sampler: Sampler | None = None) -> Self:
        settings = trial.prior
        assert isinstance(settings, QcbmFrozenSettings)
        ansatz = Ansatz(trial.latent_dim, settings.layers, settings.connectivity, settings.entangler)
        stream = torch_stream(trial, "prior", device)
        theta = ansatz.initial_angles(0.5, stream, settings.initial)
        return cls(trial.latent_dim, StateVector(ansatz, stream), theta, stream)


class QcbmNoEntanglerPrior(TrainedPrior):
    """No entanglers: single qubits, trained by the same rules. Always computed exactly."""

    @classmethod
    def from_trial(cls, trial: Trial, device: torch.device | str, sampler: Sampler | None = None) -> Self:
        assert isinstance(trial.prior, QcbmNoEntanglerSettings)
        ansatz = Ansatz(trial.latent_dim, connectivity="none")
        stream = torch_stream(trial, "prior", device)
        model = StateVector(ansatz, stream)
        return cls(trial, model, ansatz.initial_angles(0.5, stream), stream, ansatz.silent)


class QcbmMarginalsPrior(QcbmPrior):
    """No correlations in what the generator gets: trains as the QCBM, gives the product of its marginals."""

    def shown(self, p: Tensor) -> Tensor:
        return product_of_marginals(p)


class QcbmShuffledPrior(QcbmPrior):
    """No structure: every code is renamed by a fixed random permutation of all 2**n, so the entropy stays.

    The score sees the renamed codes, those that the generator gets: the loss is that of the codes that are used, and
    only the kinship of neighbouring codes is lost.
    """

    renamed: Tensor  # (2**n,) int64: what each code of the circuit becomes

    @classmethod
    def from_trial(cls, trial: Trial, device: torch.device | str, sampler: Sampler | None = None) -> Self:
        prior = super().from_trial(trial, device, sampler)
        # on the host, so that the permutation is the same on every device
        stream = torch_stream(trial, "prior permutation")
        prior.renamed = torch.randperm(2**trial.latent_dim, generator=stream).to(prior.theta.device)
        return prior

    def shown(self, p: Tensor) -> Tensor:
        return renamed(p, self.renamed)

    def objective(self, feedback: Feedback) -> Objective:
        def score(codes: Tensor) -> Tensor:
            return feedback.score(to_bits(self.renamed[to_integers(codes)], self.latent_dim).float())

        return self.generator_loss(score)
