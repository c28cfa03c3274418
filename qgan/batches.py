"""The patches of one trial on its device: which images train, which judge, and what class each has."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qgan import seeds
from qgan.ebsd.dataset import Patches, PatchIndex, split
from qgan.ebsd.splitting import Indices
from qgan.errors import InputError
from qgan.trial import Trial


@dataclass(frozen=True)
class Labelled:
    """Images with their classes."""

    images: Tensor  # (k, channels, height, width) uint8
    labels: Tensor | None  # (k,) int64, an index into `Batches.classes`; None unless the model is conditional


@dataclass(frozen=True)
class Batches:
    """The trial's own draw: the arms of a pair get the same patches in the same order."""

    training: Labelled  # `images` of them
    evaluation: Labelled  # `score.images`, from other maps
    floor: Labelled  # a second, disjoint batch like it
    classes: tuple[str, ...]  # microstructures that a conditional model tells apart; empty unless it is one

    @classmethod
    def of(cls, trial: Trial, data: Patches, device: torch.device) -> "Batches":
        """Raises InputError where trial and data do not fit."""
        classes = _classes(trial, data.index)
        pool, held_out = pools(trial, data.index)
        _require_fit(trial, len(pool), len(data.images))
        drawn = seeds.numpy_stream(trial, "training subset").permutation(pool)[: trial.images]
        held_out = seeds.numpy_stream(trial, "evaluation batch").permutation(held_out)
        m = trial.score.images

        def labelled(rows: NDArray[np.int64]) -> Labelled:
            images = torch.from_numpy(data.images[rows]).to(device)  # indexing copies: the patches stay read-only
            if not classes:
                return Labelled(images, None)
            labels = np.searchsorted(classes, data.index.microstructure[rows].astype(str))
            return Labelled(images, torch.from_numpy(labels).to(device))

        return cls(labelled(drawn), labelled(held_out[:m]), labelled(held_out[m : 2 * m]), classes)


def _require_fit(trial: Trial, pool: int, patches: int) -> None:
    if trial.images > pool:
        raise InputError(
            f"images is {trial.images}, but the training pool holds {pool} patches "
            f"({trial.data.evaluation} of {patches} are kept for evaluation); use at most {pool}",
            "images",
        )
    batches = trial.images // min(trial.train.batch_size, trial.images)
    if trial.train.critic_steps > batches:
        raise InputError(
            f"critic_steps is {trial.train.critic_steps}, but an epoch has {batches} batches, so some epochs would "
            f"not train the generator; use at most {batches}, or smaller batches",
            "critic_steps",
        )


def pools(trial: Trial, index: PatchIndex) -> tuple[Indices, Indices]:
    """Training pool and evaluation patches; of a conditional model's classes each gives its share of both."""
    evaluation, classes = trial.data.evaluation, _classes(trial, index)
    if not classes:
        return split(index, evaluation, trial.data.microstructure)
    counts = np.array([np.count_nonzero(index.microstructure == each) for each in classes])
    ends = np.rint(counts.cumsum() / counts.sum() * evaluation).astype(int)
    parts = [split(index, int(n), each) for n, each in zip(np.diff(ends, prepend=0), classes, strict=True)]
    pool, held_out = (np.sort(np.concatenate(each)) for each in zip(*parts, strict=True))
    return pool, held_out


def _classes(trial: Trial, index: PatchIndex) -> tuple[str, ...]:
    if not trial.train.conditional:
        return ()
    only = trial.data.microstructure
    found = {each for each in index.microstructure if only in (None, each)}
    if None in found:
        raise InputError("conditional needs a microstructure for every patch, and some have none", "conditional")
    if len(found) < 2:
        raise InputError(
            f"conditional needs patches of two or more microstructures, and all are {', '.join(found)}; "
            "leave data.microstructure out, or turn conditional off",
            "conditional",
        )
    return tuple(sorted(found))


def rounded(images: Tensor) -> Tensor:
    """Pixels in [0, 1] as uint8."""
    return (images * 255).round().to(torch.uint8)


def unit(images: Tensor) -> Tensor:
    """uint8 pixels as float32 in [0, 1]."""
    return images.float().div_(255)
