"""A trial: everything that changes one WGAN's numbers, as a value with a key. Imports no torch."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Literal, get_type_hints

from qgan.errors import InputError

SCHEMA = 1  # bump when a default or the meaning of a field changes: every key changes with it

_STRICT: dict[str, Any] = {"extra": "forbid", "strict": True}


def _require(ok: bool, key: str, rule: str, value: object) -> None:
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
        _require(self.evaluation >= 4, "evaluation", "4 or more patches", self.evaluation)


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
        _require(self.batch_size >= 2, "batch_size", "2 or more images", self.batch_size)
        _require(self.gradient_penalty >= 0, "gradient_penalty", "0 or more", self.gradient_penalty)
        _require(self.critic_steps >= 1, "critic_steps", "1 or more", self.critic_steps)
        _require(0 < self.learning_rate < 1, "learning_rate", "above 0 and below 1", self.learning_rate)
        _require(1 <= self.width <= 1024, "width", "from 1 to 1024 channels", self.width)


@dataclass(frozen=True)
class ScoreSettings:
    """How generated images are scored."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    images: int = 1000  # images per batch of the MMD, real and generated
    every: int = 1  # epochs between scores

    def __post_init__(self) -> None:
        _require(self.images >= 2, "images", "2 or more", self.images)
        _require(self.every >= 1, "every", "1 or more epochs", self.every)


@dataclass(frozen=True)
class BernoulliSettings:
    """Independent bits: the classical baseline."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    prior: Literal["bernoulli"] = "bernoulli"
    p: float = 0.5  # probability of a 1

    def __post_init__(self) -> None:
        _require(0 < self.p < 1, "p", "above 0 and below 1", self.p)


@dataclass(frozen=True)
class QcbmSettings:
    """A quantum-circuit Born machine, trained on the generator loss (Eqs. 6 to 8)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    prior: Literal["qcbm"] = "qcbm"
    layers: int = 1  # each layer beyond the first adds one region 2 and one region 3
    connectivity: Literal["full", "reduced", "line"] = "full"  # all pairs; distance <= 3 on a line; neighbours
    entangler: Literal["rxx", "rzz"] = "rxx"
    backend: Literal["exact"] = "exact"  # where the circuits run
    gradient: Literal["finite_difference", "exact"] = "finite_difference"
    optimizer: Literal["gd"] = "gd"  # plain gradient descent (Eq. 7)
    iterations: int = 1  # optimiser steps per update event
    epsilon: float = 0.3  # finite-difference step of Eq. 8, radians
    learning_rate: float = 0.1  # eta of Eq. 7
    shots: int = 256  # codes measured per circuit
    update_every: int = 30  # epochs between update events
    train_epochs: int = 100  # after this epoch theta is frozen

    def __post_init__(self) -> None:
        _require(self.layers >= 1, "layers", "1 or more", self.layers)
        _require(self.iterations >= 1, "iterations", "1 or more", self.iterations)
        _require(0 < self.epsilon <= 3.2, "epsilon", "above 0 and at most pi radians", self.epsilon)
        _require(self.learning_rate > 0, "learning_rate", "above 0", self.learning_rate)
        _require(self.shots >= 1, "shots", "1 or more", self.shots)
        _require(self.update_every >= 1, "update_every", "1 or more epochs", self.update_every)
        _require(self.train_epochs >= 0, "train_epochs", "0 or more epochs", self.train_epochs)

    def due(self, epoch: int) -> bool:
        """Whether an update event follows this epoch (epochs count from 1)."""
        return epoch <= self.train_epochs and epoch % self.update_every == 0


PriorSettings = BernoulliSettings | QcbmSettings

# the word after `prior:` in a study file -> its settings
PRIOR_SETTINGS: dict[str, type[BernoulliSettings] | type[QcbmSettings]] = {
    "bernoulli": BernoulliSettings,
    "qcbm": QcbmSettings,
}


@dataclass(frozen=True)
class Trial:
    """One WGAN with one prior on one training subset.

    Horizons, paths, arm names, resources and git state are not in it: they do not change its numbers.
    """

    data: DataSettings
    latent_dim: int  # bits of a code, qubits of a circuit
    images: int  # training images
    replicate: int  # paired across arms
    prior: PriorSettings
    train: TrainSettings = field(default_factory=TrainSettings)
    score: ScoreSettings = field(default_factory=ScoreSettings)

    def __post_init__(self) -> None:
        _require(1 <= self.latent_dim <= 26, "latent_dim", "from 1 to 26 bits", self.latent_dim)
        _require(self.images >= 2, "images", "2 or more training images", self.images)
        _require(self.replicate >= 0, "replicate", "0 or more", self.replicate)
        if 2 * self.score.images > self.data.evaluation:
            raise InputError(
                f"score.images is {self.score.images}, but score and floor need two disjoint batches out of "
                f"data.evaluation = {self.data.evaluation}; use at most {self.data.evaluation // 2}",
                "images",
            )

    @property
    def key(self) -> str:
        """16 hex digits that name this trial: the hash of its canonical JSON."""
        return _hash(canonical(self))[:16]

    @property
    def pairing(self) -> str:
        """Hash of all that the arms of a pair share: everything but the prior and how the result is scored."""
        return _hash({name: value for name, value in canonical(self).items() if name not in ("prior", "score")})


@cache
def _hints(settings: type) -> dict[str, Any]:
    return get_type_hints(settings)


def canonical(settings: Any) -> dict[str, Any]:
    """A settings dataclass as JSON values cast to their declared types, fields at their default left out."""
    hints = _hints(type(settings))  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for each in dataclasses.fields(settings):
        value = getattr(settings, each.name)
        if dataclasses.is_dataclass(value):
            nested = canonical(value)
            if nested:
                values[each.name] = nested
            continue
        value = float(value) if hints[each.name] is float else value
        # the prior's name stays: it decides which defaults were left out
        if value != each.default or each.name == "prior":
            values[each.name] = value
    return values


def _hash(values: dict[str, Any]) -> str:
    text = json.dumps({"schema": SCHEMA, **values}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
