"""Priors that learn: a model of codes, an objective, a gradient estimator and an optimiser, on a schedule."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from qgan.circuits import RecordedSampler, Sampler
from qgan.circuits.codes import to_integers
from qgan.errors import Diverged
from qgan.gradients import Estimator, Exact, FiniteDifference, ParameterShift, Score, SpsaGradient
from qgan.prior_settings import TrainedSettings
from qgan.priors import Feedback, PriorUpdate
from qgan.priors.model import ModelPrior
from qgan.priors.objectives import GeneratorLoss, Objective
from qgan.priors.optimizers import make_optimizer
from qgan.priors.statistics import CodeStatistics
from qgan.seeds import numpy_stream
from qgan.trial import Trial


class TrainedPrior(ModelPrior):
    """Codes from a model whose theta follows the critic's judgement.

    A model that does not know its probabilities (Aer, a QPU) is measured: codes are drawn with replacement from the
    pool, the shots of the last evaluation of an event and, before the first event, those of one circuit at theta_0.
    """

    def __init__(
        self, trial: Trial, model: Sampler, theta: Tensor, stream: torch.Generator, silent: Sequence[int] = ()
    ) -> None:
        """`silent` names the parameters that cannot change the distribution."""
        assert isinstance(trial.prior, TrainedSettings)
        super().__init__(trial.latent_dim, model, theta, stream)
        self.settings = trial.prior
        self.estimator = _estimator(trial.prior, stream, silent)
        self.optimizer = make_optimizer(trial.prior, numpy_stream(trial, "prior SPSA"))
        self.exact = hasattr(model, "probabilities")
        self.start = theta
        self.pool: Tensor | None = None  # (shots,) int64
        self.start_pool: Tensor | None = None
        self.events = 0
        self.circuits = self.shots = 0  # run since the last report

    def objective(self, feedback: Feedback) -> Objective:
        """What this event lowers: the generator loss."""
        return self.generator_loss(feedback.score)

    def generator_loss(self, score: Score) -> GeneratorLoss:
        """Eq. 6 with the settings' entropy weight, for the f that `score` evaluates."""
        return GeneratorLoss(self.model, score, self.latent_dim, self.settings.entropy_weight, self.theta.device)

    def prepare(self, objective: Objective) -> None:
        """What happens once, at the first event and before its steps: nothing."""

    def distribution(self) -> Tensor:
        """Probabilities (2**n,) float64 of the codes that `sample` gives; the pool's shares where codes are measured.

        The first call runs the circuit at theta_0 where codes are measured.
        """
        if self.exact:
            return super().distribution()
        if self.pool is None:
            self.pool = self.start_pool = self.measure(self.theta[None])[0]
        return self.shown(self.shares(self.pool))

    def update(self, feedback: Feedback) -> PriorUpdate:
        """The settings' `iterations` steps of the optimiser."""
        if isinstance(self.model, RecordedSampler):
            self.model.begin_cycle(self.events)
        if not self.exact:
            self.distribution()  # the pool of theta_0, even where nobody has drawn from it
        objective = self.objective(feedback)
        if self.events == 0:
            self.prepare(objective)
        event = _Event(self, objective)
        found = self.optimizer.minimise(self.theta, event)
        if not bool(found.theta.isfinite().all()):
            raise Diverged(
                f"the prior's theta is no longer finite after an update event; lower its learning_rate or gains "
                f"(learning_rate now {self.settings.learning_rate:g})"
            )
        self.theta = found.theta
        if not self.exact:
            # SPSA's last evaluation was made at its final theta; after gradients one more circuit has to run
            self.pool = event.last if self.settings.optimizer == "spsa" else self.measure(self.theta[None])[0]
        self.events += 1
        codes = self.statistics()
        update = PriorUpdate(
            found.loss,
            found.gradient_norm,
            self.circuits,
            self.shots,
            objective.evaluations,
            codes,
            self._warning(codes),
            found.losses,
        )
        self.circuits = self.shots = 0
        return update

    def statistics(self) -> CodeStatistics:
        """Of the codes that `sample` gives now, against those of theta_0."""
        now = self.distribution()
        start = self.probabilities(self.start) if self.start_pool is None else self.shares(self.start_pool)
        return CodeStatistics.of(now, self.shown(start), self.settings.shots)

    def state_dict(self) -> dict[str, Any]:
        return {
            **super().state_dict(),
            "start": self.start.clone(),
            "pool": self.pool,
            "start_pool": self.start_pool,
            "events": self.events,
            "spent": (self.circuits, self.shots),
            "optimizer": self.optimizer.state_dict(),
            **({"sampler": self.model.state_dict()} if isinstance(self.model, RecordedSampler) else {}),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        device = self.theta.device
        self.start = state["start"].to(self.theta)
        self.pool, self.start_pool = (
            each if each is None else each.to(device) for each in (state["pool"], state["start_pool"])
        )
        self.events = state["events"]
        self.circuits, self.shots = state["spent"]
        self.optimizer.load_state_dict(state["optimizer"])
        if isinstance(self.model, RecordedSampler):
            self.model.load_state_dict(state["sampler"])

    def measure(self, thetas: Tensor) -> Tensor:
        """Codes (k, shots) int64 of the circuits at thetas (k, P), counted."""
        codes = to_integers(self.model.sample(thetas, self.settings.shots).to(thetas.device))
        self.circuits += len(codes)
        self.shots += codes.numel()
        return codes

    def shares(self, codes: Tensor) -> Tensor:
        """How often each code stands among codes (k,) int64: (2**n,) float64, sum 1."""
        return codes.bincount(minlength=2**self.latent_dim).double() / len(codes)

    def _warning(self, codes: CodeStatistics) -> str | None:
        least = self.settings.least_perplexity
        if codes.perplexity >= least:
            return None
        return (
            f"the codes' perplexity fell to {codes.perplexity:.3g}, below least_perplexity = {least:g}: the prior "
            "is collapsing; an entropy_weight above 0, fewer update events or a smaller learning_rate keep it wider"
        )


class _Event:
    """One update event as an optimiser's problem; costs go to the prior's account."""

    def __init__(self, prior: TrainedPrior, objective: Objective) -> None:
        self.prior = prior
        self.objective = objective
        self.last: Tensor | None = None  # codes of the last circuit measured by `losses`

    def gradient(self, theta: Tensor) -> tuple[Tensor, float]:
        self._require_finite(theta.sum(), "theta")
        gradient = self.prior.estimator(self.prior.model, theta, self.objective.score(theta))
        self.prior.circuits += gradient.circuits
        self.prior.shots += gradient.shots
        self._require_finite(gradient.values.sum(), "gradient")
        loss = self.objective.at(theta, gradient)
        self._require_finite(torch.tensor(loss), "loss")
        return gradient.values, loss

    def losses(self, thetas: Tensor) -> list[float]:
        thetas = thetas.to(self.prior.theta)
        self._require_finite(thetas.sum(), "theta")
        measured = self.prior.measure(thetas)
        self.last = measured[-1]
        losses = [self.objective.measured(theta, codes) for theta, codes in zip(thetas, measured, strict=True)]
        self._require_finite(torch.tensor(losses).sum(), "loss")
        model = self.prior.model
        return model.remember(losses) if isinstance(model, RecordedSampler) else losses

    def _require_finite(self, number: Tensor, what: str) -> None:
        if not number.isfinite():
            raise Diverged(f"the prior's {what} is no longer finite; lower its learning_rate or gains")


def _estimator(settings: TrainedSettings, stream: torch.Generator, silent: Sequence[int]) -> Estimator:
    match settings.gradient:
        case "exact":
            return Exact(settings.shots)
        case "parameter_shift":
            return ParameterShift(settings.shots, silent)
        case "finite_difference":
            return FiniteDifference(settings.epsilon, settings.shots, silent)
        case "spsa":
            return SpsaGradient(settings.epsilon, settings.shots, stream, silent=silent)
