"""Settings of a trial's data, networks and scores. Imports no torch.

A study file's keys are these fields; the defaults are the paper's. The priors' settings are in `qgan.prior_settings`.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar, Literal

from qgan.errors import InputError

Precision = Literal["float32", "tf32", "bfloat16"]

STRICT: dict[str, Any] = {"extra": "forbid", "strict": True}


def require(ok: bool, key: str, rule: str, value: object) -> None:
    """Raises InputError unless ok; an infinite number or NaN never is, whatever the rule."""
    if isinstance(value, float) and not isfinite(value):
        ok, rule = False, f"finite and {rule}"
    if not ok:
        raise InputError(f"{key} must be {rule}, not {value!r}", key)


@dataclass(frozen=True)
class DataSettings:
    """Which patches a trial sees."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    patches: str  # content hash of the patches, or the recipe of a synthetic set
    evaluation: int  # held-out patches, from other maps than the training pool, split in two disjoint batches
    microstructure: str | None = None  # keep only patches with this label

    def __post_init__(self) -> None:
        require(self.evaluation >= 4, "evaluation", "4 or more patches", self.evaluation)


@dataclass(frozen=True)
class TrainSettings:
    """The adversarial networks and their optimisers (Eq. 3)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    batch_size: int = 64  # images per step
    objective: Literal["wgan_gp", "wgan_clip", "gan"] = "wgan_gp"  # Eq. 3; clipped weights; Eq. 1
    gradient_penalty: float = 10.0  # lambda of Eq. 3
    weight_clip: float = 0.01  # of wgan_clip: the critic's weights stay in [-c, c]
    critic_steps: int = 1  # critic steps per generator step
    learning_rate: float = 1e-4  # Adam, betas (0, 0.9)
    width: int = 64  # channels of the critic's maps at half the image's size; the generator's has twice as many
    depth: int = 1  # convolutions at each of the two smaller sizes, in both nets
    code: Literal["signs", "bits"] = "signs"  # the generator reads a bit as -1 or +1, or as 0 or 1
    gaussian_dims: int = 0  # standard normal numbers that the generator reads beside the code
    conditional: bool = False  # one model for all microstructures of the data, the label given to both nets
    ema: float = 0.0  # decay per step of the averaged generator that makes the scored images; 0: none
    precision: Precision = "tf32"  # of products in training; tf32 and float32 differ on a GPU only
    critic_latent: bool = False  # a layer of latent_dim units before the critic's last: changes all arms' critics

    critic_qubits: int = 0  # above 0: the critic's last layer is a circuit of so many qubits, one layer, full, RXX

    def __post_init__(self) -> None:
        require(self.batch_size >= 2, "batch_size", "2 or more images", self.batch_size)
        require(self.gradient_penalty >= 0, "gradient_penalty", "0 or more", self.gradient_penalty)
        require(self.weight_clip > 0, "weight_clip", "above 0", self.weight_clip)
        require(self.critic_steps >= 1, "critic_steps", "1 or more", self.critic_steps)
        require(0 < self.learning_rate < 1, "learning_rate", "above 0 and below 1", self.learning_rate)
        require(1 <= self.width <= 1024, "width", "from 1 to 1024 channels", self.width)
        require(1 <= self.depth <= 16, "depth", "from 1 to 16 convolutions", self.depth)
        require(0 <= self.gaussian_dims <= 1024, "gaussian_dims", "from 0 to 1024", self.gaussian_dims)
        require(0 <= self.critic_qubits <= 10, "critic_qubits", "from 0 to 10", self.critic_qubits)
        require(0 <= self.ema < 1, "ema", "0 or more and below 1", self.ema)


@dataclass(frozen=True)
class ScoreSettings:
    """How generated images are scored."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    images: int = 1000  # images per batch of the MMD, real and generated
    every: int = 1  # epochs between scores
    beta: float = 1.0  # exponent of the MMD's kernel; 2 sees only the difference of the means
    full_every: int = 0  # epochs between full scores; horizons have them always, 0: these alone
    draws: int = 10_000  # generated images among which different ones are counted

    def __post_init__(self) -> None:
        require(self.images >= 2, "images", "2 or more", self.images)
        require(self.every >= 1, "every", "1 or more epochs", self.every)
        require(0 < self.beta <= 2, "beta", "above 0 and at most 2", self.beta)
        require(self.full_every >= 0, "full_every", "0 or more epochs", self.full_every)
        require(self.draws >= 1, "draws", "1 or more images", self.draws)
