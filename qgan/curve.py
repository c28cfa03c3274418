"""A trial's curve: what every epoch says."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from qgan.scoring import Score


@dataclass(frozen=True)
class Images:
    """A few images of one marked epoch: the first of the real and of the generated batch that were scored."""

    real: Tensor  # (k, channels, height, width) uint8
    generated: Tensor  # (k, channels, height, width) uint8
    codes: Tensor  # (k, latent_dim) float32, of the generated images
    classes: list[str] | None = None  # microstructures of both, where the model is conditional


@dataclass(frozen=True)
class Epoch:
    """What one epoch yields: a row of the curve, and images where the epoch is marked."""

    epoch: int  # 1, 2, ...
    seconds: float  # training time so far, s
    critic_loss: float  # L_D of Eq. 3, mean over the epoch
    generator_loss: float  # L_G, mean over the epoch
    mmd_v: float | None  # Eq. 9; None where not scored
    mmd_u: float | None
    floor_v: float  # Eq. 9 between two real batches of the same size
    floor_u: float
    channel_mmd_v: list[float] | None  # the same of every channel alone
    channel_mmd_u: list[float] | None
    channel_floor_v: list[float]
    channel_floor_u: list[float]
    distinct_codes: int | None  # different codes among those scored
    prior_loss: float | None  # Eq. 6 at this epoch's update event
    prior_gradient_norm: float | None
    circuits: int  # of the update event
    shots: int
    scores: int  # distinct codes whose f was evaluated
    prior_entropy: float | None  # of the codes after the update event, nats
    prior_perplexity: float | None
    prior_distinct_codes: float | None  # expected number of different codes among the circuit's shots
    prior_total_variation: float | None  # total variation from the starting prior
    prior_mutual_information: float | None  # between two bits, mean over all pairs, nats
    warning: str | None = None  # of the prior
    images: Images | None = None
    full_scores: list[Score] | None = None  # at horizons and every `score.full_every` epochs
    checkpointed: bool = False  # a checkpoint that ends with this epoch is on disk
    resumed: bool = field(default=False, compare=False)  # comes from the checkpoint: an earlier run trained it


def plain(row: Epoch) -> dict[str, Any]:
    """An epoch as values that a checkpoint holds without pickled classes."""
    values = dict(vars(row))
    if row.images is not None:
        values["images"] = vars(row.images)
    if row.full_scores is not None:
        values["full_scores"] = [vars(score) for score in row.full_scores]
    return values


def row_of(values: dict[str, Any]) -> Epoch:
    """The epoch of `plain` values."""
    images, scores = values["images"], values["full_scores"]
    return Epoch(
        **{
            **values,
            "images": Images(**images) if images else None,
            "full_scores": [Score(**score) for score in scores] if scores is not None else None,
        }
    )
