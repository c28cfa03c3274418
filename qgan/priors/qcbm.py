"""The quantum-circuit Born machine, trained on the generator loss (Eqs. 6 to 8)."""

from collections.abc import Mapping
from typing import Any, Self, cast

import torch
from torch import Tensor

from qgan.circuits import ExactSampler, Sampler
from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import cumulative, draw, to_bits
from qgan.circuits.exact import StateVector
from qgan.errors import InputError
from qgan.gradients import Exact, FiniteDifference
from qgan.priors import Feedback, PriorUpdate
from qgan.seeds import torch_stream
from qgan.settings import QcbmSettings
from qgan.trial import Trial


class QcbmPrior:
    """Codes are the measured bits of a circuit whose angles theta follow the critic's judgement.

    Between updates theta stands still, so its distribution is computed once and `sample` runs no circuit.
    """

    def __init__(self, ansatz: Ansatz, settings: QcbmSettings, sampler: ExactSampler, stream: torch.Generator) -> None:
        self.latent_dim = ansatz.n_qubits
        self.settings = settings
        self.stream = stream
        self.sampler = sampler
        self.estimator = (
            Exact(settings.shots)
            if settings.gradient == "exact"
            else FiniteDifference(settings.epsilon, settings.shots, ansatz.silent)
        )
        self.theta = ansatz.initial_angles(0.5, stream)

    @classmethod
    def from_trial(cls, trial: Trial, device: torch.device | str, sampler: Sampler | None = None) -> Self:
        settings = trial.prior
        assert isinstance(settings, QcbmSettings)
        ansatz = Ansatz(trial.latent_dim, settings.layers, settings.connectivity, settings.entangler)
        stream = torch_stream(trial, "prior", device)
        if sampler is None:
            sampler = StateVector(ansatz, stream)
        if not hasattr(sampler, "probabilities"):
            raise InputError("backend exact needs a sampler that knows its probabilities", "backend")
        return cls(ansatz, settings, cast(ExactSampler, sampler), stream)

    @property
    def theta(self) -> Tensor:
        """The angles (P,), radians."""
        return self._theta

    @theta.setter
    def theta(self, theta: Tensor) -> None:
        self._theta = theta
        self._cumulative: Tensor | None = None

    def sample(self, count: int) -> Tensor:
        """Codes (count, latent_dim), float32 on the stream's device."""
        if self._cumulative is None:
            with torch.no_grad():
                self._cumulative = cumulative(self.sampler.probabilities(self.theta[None]))
        return to_bits(draw(self._cumulative, count, self.stream)[0], self.latent_dim).float()

    def update(self, feedback: Feedback) -> PriorUpdate:
        """The settings' `iterations` steps theta <- theta - eta grad L(theta) (Eq. 7)."""
        circuits = shots = scores = 0
        for _ in range(self.settings.iterations):
            gradient = self.estimator(self.sampler, self.theta, feedback.score)
            self.theta = self.theta - self.settings.learning_rate * gradient.values
            circuits += gradient.circuits
            shots += gradient.shots
            scores += gradient.scores
        return PriorUpdate(gradient.loss, gradient.values.norm().item(), circuits, shots, scores)

    def state_dict(self) -> dict[str, Any]:
        return {"theta": self.theta.clone(), "stream": self.stream.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.theta = state["theta"].to(self.theta)
        self.stream.set_state(state["stream"].cpu())
