"""Are generated images new: distances to the nearest training image, and distinct images among the draws."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from qgan.errors import InputError
from qgan.metrics.points import blocks

NEAR_QUANTILE = 0.05  # of the distances of held-out real images
COPY_RATIO = 1 / 3  # nearest to second nearest training image: below it an image is a copy
_TRAINING_ROWS = 500  # of a block of training images: 36 MB of 5 x 60 x 60 pixels


@dataclass(frozen=True)
class Nearest:
    """Distances (k,) float64 of images to the nearest and the second nearest training image."""

    first: Tensor
    second: Tensor


@dataclass(frozen=True)
class Memorisation:
    """Generated images against held-out real ones, d(x) = min_t ||x - t|| over the training images t."""

    distance_ratio: float  # median d(generated) / median d(held out): 1 for a perfect generator
    near_share: float  # share of generated x with d(x) below the 5 % quantile of d(held out): 0.05 expected
    copied_share: float  # share of generated x a third or less as far from its nearest t as from the next: copies
    copying_z: float  # rank test of d(generated) against d(held out), standard normal where equal; << 0: copying


def nearest_training(images: Tensor, training: Tensor) -> Nearest:
    """Nearest of `training` (n, ...), n >= 2, to each of `images` (k, ...), Euclidean.

    Both uint8 pixels, distances in units of a pixel range [0, 1]; or both floating-point features, in their unit.
    The search is in float32, the two distances that it finds are then computed from the differences, so that a copy
    has distance 0 exactly. Raises InputError.
    """
    _require_alike(images, training)
    centre = _unit(training[:_TRAINING_ROWS]).mean(0)  # a common shift changes no distance but saves digits
    points = _unit(images) - centre
    best = points.new_full((len(points), 2), torch.inf)
    index = torch.zeros(best.shape, dtype=torch.long, device=best.device)
    for start in range(0, len(training), _TRAINING_ROWS):
        block = _unit(training[start : start + _TRAINING_ROWS]) - centre
        # ||x - t||^2 less ||x||^2, which ranks the same
        squared = torch.addmm((block * block).sum(1), points, block.T, alpha=-2)
        squared, here = squared.topk(min(2, squared.shape[1]), largest=False)
        best, order = torch.cat([best, squared], 1).topk(2, largest=False)
        index = torch.cat([index, here + start], 1).gather(1, order)
    exact = torch.cat([_distances(images[rows], training, index[rows]) for rows in blocks(len(images))])
    if not exact.isfinite().all():
        raise InputError("images or training images hold values that are not finite; leave those images out")
    first, second = exact.double().sort(dim=1).values.T
    return Nearest(first, second)


def memorisation(generated: Nearest, held_out: Nearest) -> Memorisation:
    """Whether generated images lie nearer to the training images than real ones that were held out.

    distance_ratio, near_share: see `Memorisation`; blurred and averaged images also lie near all others in pixel
    space, so a low ratio alone is no proof of copying. copied_share = share of d1 <= d2 / 3 (or d1 = 0) is not fooled
    by them, but misses copies of a training image that has a near twin among the others (Yoon et al., ICML 2023
    workshop on structured probabilistic inference).
    copying_z = (U - mu) / sigma, U = number of pairs with d(generated) > d(held out): the test of Meehan, Chaudhuri
    and Dasgupta, AISTATS 2020, with the whole space as one cell; grows with the root of the sample size.
    Held-out images come from other maps, so they may lie a little farther away than a perfect generator's. Raises
    InputError.
    """
    near, far = (each.first.cpu().numpy() for each in (generated, held_out))
    m, k = len(far), len(near)
    if np.median(far) == 0:
        raise InputError("half of the held-out images or more are copies of training images; split the data by map")
    u = float(mannwhitneyu(near, far).statistic)  # ties count a half
    return Memorisation(
        distance_ratio=float(np.median(near) / np.median(far)),
        near_share=float(np.mean(near < np.quantile(far, NEAR_QUANTILE))),
        copied_share=float(copies(generated).double().mean()),
        copying_z=(u - m * k / 2) / (m * k * (m + k + 1) / 12) ** 0.5,
    )


def copies(generated: Nearest) -> Tensor:
    """Flags (k,) of the images with d1 <= `COPY_RATIO` d2: the nearest training image and no other is repeated."""
    return generated.first <= generated.second * COPY_RATIO


def distinct_images(images: Tensor) -> int:
    """Number of different images among `images` (k, ...) uint8, k >= 1: exact duplicates count once."""
    if images.dtype != torch.uint8 or images.dim() < 2:
        raise InputError(f"images are {images.dtype}; count distinct ones among bytes (k, ...), rounded to uint8")
    rows = images.flatten(1).cpu().numpy()
    return len({hashlib.blake2b(row, digest_size=16).digest() for row in rows})


def _distances(images: Tensor, training: Tensor, index: Tensor) -> Tensor:
    """||x_i - t_j|| (k, 2) for the two training images j that `index` (k, 2) names for each image i."""
    chosen = _unit(training[index.flatten()]).unflatten(0, (-1, 2))
    distances: Tensor = torch.linalg.vector_norm(chosen - _unit(images)[:, None], dim=2)
    return distances


def _require_alike(images: Tensor, training: Tensor) -> None:
    if images.dtype != training.dtype or not (images.dtype == torch.uint8 or images.is_floating_point()):
        raise InputError(
            f"images are {images.dtype}, training images {training.dtype}; give both as uint8 pixels or as features"
        )
    if images.dim() < 2 or images.shape[1:] != training.shape[1:] or not len(images) or len(training) < 2:
        raise InputError(
            f"images of shape {tuple(images.shape)} and training images of shape {tuple(training.shape)}: give one or "
            "more images, two or more training images, all of one size"
        )


def _unit(images: Tensor) -> Tensor:
    """Pixels in [0, 1], or features, as a float32 matrix (k, d)."""
    flat = images.flatten(1).float()
    return flat / 255 if images.dtype == torch.uint8 else flat
