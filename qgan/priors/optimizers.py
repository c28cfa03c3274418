"""Optimisers of a prior's theta, one interface: plain gradient descent (Eq. 7), Adam, and cycles of SPSA."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from qgan.prior_settings import Gains, TrainedSettings
from qgan.spsa import Spsa, calibrate

# of every angle in the first iteration, radians; qiskit-algorithms' 0.63 scrambles the circuit's 44 angles at n = 8,
# where 50 iterations lowered a random loss by 0.69 with 0.1, by 0.08 with 0.63 (standard deviation of f = 1)
FIRST_STEP = 0.1


class Problem(Protocol):
    """What an optimiser may ask for; whoever answers counts the cost."""

    def gradient(self, theta: Tensor) -> tuple[Tensor, float]:
        """An estimate (P,) of the slopes at theta (P,), and of the loss."""
        ...

    def losses(self, thetas: Tensor) -> list[float]:
        """Estimates of the loss at each of thetas (k, P), one circuit each, run together."""
        ...


@dataclass(frozen=True)
class Minimised:
    """Where `iterations` steps have led."""

    theta: Tensor  # (P,)
    loss: float  # before the last step; of SPSA after it
    gradient_norm: float  # of the last step
    losses: tuple[float, ...] = ()  # told to SPSA, in order


class Optimizer(Protocol):
    """Lowers a loss; its state outlives the update events."""

    def minimise(self, theta: Tensor, problem: Problem) -> Minimised: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


def make_optimizer(settings: TrainedSettings, stream: np.random.Generator) -> Optimizer:
    """The settings' optimiser; only SPSA draws from the stream."""
    if settings.optimizer == "spsa":
        return SpsaCycles(settings.iterations, settings.gains, settings.gains_restart, stream)
    return (Adam if settings.optimizer == "adam" else Descent)(settings.learning_rate, settings.iterations)


class Descent:
    """theta <- theta - eta grad L(theta) (Eq. 7)."""

    def __init__(self, learning_rate: float, iterations: int) -> None:
        self.learning_rate = learning_rate
        self.iterations = iterations

    def minimise(self, theta: Tensor, problem: Problem) -> Minimised:
        for _ in range(self.iterations):
            slopes, loss = problem.gradient(theta)
            theta = theta - self.learning_rate * self.direction(slopes)
        return Minimised(theta, loss, float(slopes.norm()))

    def direction(self, slopes: Tensor) -> Tensor:
        return slopes

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class Adam(Descent):
    """Adam with the usual betas (0.9, 0.999). Source: Kingma and Ba, ICLR 2015, Algorithm 1."""

    mean: Tensor | None = None  # of the slopes (P,)
    square: Tensor | None = None  # mean of their squares (P,)
    steps = 0

    def direction(self, slopes: Tensor) -> Tensor:
        mean, square = (
            torch.zeros_like(slopes) if each is None else each.to(slopes) for each in (self.mean, self.square)
        )
        self.mean, self.square = mean.lerp(slopes, 0.1), square.lerp(slopes.square(), 0.001)
        self.steps += 1
        unbiased = self.square / (1 - 0.999**self.steps)
        return self.mean / (1 - 0.9**self.steps) / (unbiased.sqrt() + 1e-8)

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean, "square": self.square, "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.mean, self.square, self.steps = state["mean"], state["square"], state["steps"]


class SpsaCycles:
    """One SPSA cycle of 2 iterations + 1 evaluations per update event; without gains the first calibrates them."""

    def __init__(self, iterations: int, gains: Gains | None, restart: bool, stream: np.random.Generator) -> None:
        self.iterations = iterations
        self.gains = gains
        self.restart = restart
        self.stream = stream
        self.k = 0  # gain index of the next cycle

    def minimise(self, theta: Tensor, problem: Problem) -> Minimised:
        if self.gains is None:
            self.gains = calibrate(lambda at: problem.losses(at[None])[0], theta, self.stream, first_step=FIRST_STEP)
        spsa = Spsa(theta, self.gains, self.stream, self.iterations, self.k)
        points: list[Tensor] = []
        losses: list[float] = []
        while not spsa.done:
            together = spsa.ask()
            told = problem.losses(together)
            for loss in told:
                spsa.tell(loss)
            points += together
            losses += told
        self.k = 0 if self.restart else spsa.k
        found, loss = spsa.result
        # every slope is (L+ - L-) / 2c, and the two points lie 2c sqrt(P) apart
        norm = abs(losses[-3] - losses[-2]) / float((points[-3] - points[-2]).norm()) * len(theta)
        return Minimised(found.to(theta), loss, norm, tuple(losses))

    def state_dict(self) -> dict[str, Any]:
        gains = None if self.gains is None else vars(self.gains).copy()
        return {"k": self.k, "gains": gains, "stream": self.stream.bit_generator.state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.k = state["k"]
        self.gains = None if state["gains"] is None else Gains(**state["gains"])
        self.stream.bit_generator.state = state["stream"]
