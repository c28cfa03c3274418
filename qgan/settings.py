"""Settings of a trial's parts: data, networks, scores and every prior. Imports no torch.

A study file's keys are these fields; the defaults are the paper's.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from qgan.errors import InputError

_STRICT: dict[str, Any] = {"extra": "forbid", "strict": True}


def require(ok: bool, key: str, rule: str, value: object) -> None:
    if not ok:
        raise InputError(f"{key} must be {rule}, not {value!r}", key)


@dataclass(frozen=True)
class DataSettings:
    """Which patches a trial sees."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    patches: str  # content hash of the patches, or the recipe of a synthetic set
    evaluation: int  # held-out patches, from other maps than the training pool, split in two disjoint batches
    microstructure: str | None = None  # keep only patches with this label

    def __post_init__(self) -> None:
        require(self.evaluation >= 4, "evaluation", "4 or more patches", self.evaluation)


@dataclass(frozen=True)
class TrainSettings:
    """The WGAN-GP and its optimisers (Eq. 3)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    batch_size: int = 64  # images per step
    gradient_penalty: float = 10.0  # lambda of Eq. 3
    critic_steps: int = 1  # critic steps per generator step
    learning_rate: float = 1e-4  # Adam, betas (0, 0.9)
    width: int = 64  # channels of the widest feature map next to the image

    def __post_init__(self) -> None:
        require(self.batch_size >= 2, "batch_size", "2 or more images", self.batch_size)
        require(self.gradient_penalty >= 0, "gradient_penalty", "0 or more", self.gradient_penalty)
        require(self.critic_steps >= 1, "critic_steps", "1 or more", self.critic_steps)
        require(0 < self.learning_rate < 1, "learning_rate", "above 0 and below 1", self.learning_rate)
        require(1 <= self.width <= 1024, "width", "from 1 to 1024 channels", self.width)


@dataclass(frozen=True)
class ScoreSettings:
    """How generated images are scored."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    images: int = 1000  # images per batch of the MMD, real and generated
    every: int = 1  # epochs between scores

    def __post_init__(self) -> None:
        require(self.images >= 2, "images", "2 or more", self.images)
        require(self.every >= 1, "every", "1 or more epochs", self.every)


@dataclass(frozen=True)
class BernoulliSettings:
    """Independent bits: the classical baseline."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    prior: Literal["bernoulli"] = "bernoulli"
    p: float = 0.5  # probability of a 1

    def __post_init__(self) -> None:
        require(0 < self.p < 1, "p", "above 0 and below 1", self.p)


@dataclass(frozen=True)
class Gains:
    """SPSA's gain sequence in Spall's names: a_k = a / (A + k + 1)^alpha, c_k = c / (k + 1)^gamma, k = 0, 1, ...

    Source: J. C. Spall, IEEE Trans. Aerosp. Electron. Syst. 34 (1998) 817.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    a: float  # first step size where A = 0
    c: float  # first perturbation, radians
    A: float = 0.0  # stability constant, iterations
    alpha: float = 0.602
    gamma: float = 0.101

    def __post_init__(self) -> None:
        require(self.a > 0, "a", "above 0", self.a)
        require(self.c > 0, "c", "above 0", self.c)
        require(self.A >= 0, "A", "0 or more", self.A)
        require(0 < self.alpha <= 1, "alpha", "above 0 and at most 1", self.alpha)
        require(0 < self.gamma <= 1, "gamma", "above 0 and at most 1", self.gamma)


@dataclass(frozen=True)
class TrainedSettings:
    """What every prior has that learns from the critic: when, how often, by which gradient (Eqs. 6 to 8)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    gradient: Literal["exact", "finite_difference"] = "finite_difference"
    optimizer: Literal["gd"] = "gd"  # plain gradient descent (Eq. 7)
    iterations: int = 1  # optimiser steps per update event
    epsilon: float = 0.3  # step of a finite difference (Eq. 8), of the angles, radians
    learning_rate: float = 0.1  # eta of Eq. 7
    shots: int = 256  # codes measured per circuit
    update_every: int = 30  # epochs between update events
    train_epochs: int = 100  # after this epoch the prior is frozen

    def __post_init__(self) -> None:
        require(self.iterations >= 1, "iterations", "1 or more", self.iterations)
        require(0 < self.epsilon <= 3.2, "epsilon", "above 0 and at most pi radians", self.epsilon)
        require(self.learning_rate > 0, "learning_rate", "above 0", self.learning_rate)
        require(self.shots >= 2, "shots", "2 or more", self.shots)
        require(self.update_every >= 1, "update_every", "1 or more epochs", self.update_every)
        require(self.train_epochs >= 0, "train_epochs", "0 or more epochs", self.train_epochs)

    def due(self, epoch: int) -> bool:
        """Whether an update event follows this epoch (epochs count from 1)."""
        return epoch <= self.train_epochs and epoch % self.update_every == 0


@dataclass(frozen=True)
class QcbmSettings(TrainedSettings):
    """A quantum-circuit Born machine: one qubit per bit of the code (Fig. 1)."""

    prior: Literal["qcbm"] = "qcbm"
    layers: int = 1  # each layer beyond the first adds one region 2 and one region 3
    connectivity: Literal["full", "reduced", "line"] = "full"  # all pairs; distance <= 3 on a line; neighbours
    entangler: Literal["rxx", "rzz"] = "rxx"
    backend: Literal["exact"] = "exact"  # where the circuits run

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.layers >= 1, "layers", "1 or more", self.layers)


PriorSettings = BernoulliSettings | QcbmSettings

# the word after `prior:` in a study file -> its settings
PRIOR_SETTINGS: dict[str, type[BernoulliSettings] | type[QcbmSettings]] = {
    "bernoulli": BernoulliSettings,
    "qcbm": QcbmSettings,
}
