"""Sets of points, rows of a matrix: what scores in feature space take, checked, and the distances between them."""

from collections.abc import Iterator

import torch
from torch import Tensor

from qgan.errors import InputError

ROWS = 250  # of a block of pairs: 10,000 points in float64 take 20 MB per block


def paired(real: Tensor, generated: Tensor, least: int = 2) -> tuple[Tensor, Tensor]:
    """Both sets as float64: real (m, d), generated (k, d), `least` or more points each.

    Raises InputError where a set is not of that kind, or holds a value that is not finite.
    """
    x, y = checked(real, "real", least), checked(generated, "generated", least)
    if x.shape[1] != y.shape[1]:
        raise InputError(
            f"real points have {x.shape[1]} features, generated ones {y.shape[1]}; take both from one network"
        )
    return x, y


def checked(points: Tensor, name: str, least: int = 2) -> Tensor:
    """A set of points (k, d) as float64. Raises InputError as `paired` does."""
    if not points.is_floating_point() or points.dim() != 2 or points.shape[1] == 0:
        raise InputError(
            f"{name} points are {points.dtype} of shape {tuple(points.shape)}; give floating-point features (k, d)"
        )
    if len(points) < least:
        raise InputError(f"{name} points: {len(points)}, but this score needs {least} or more; score more images")
    if not points.isfinite().all():
        raise InputError(f"{name} points hold values that are not finite; leave those images out")
    return points.double()


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """||x_i - y_j||^2 (m, k) of points (m, d) and (k, d): |x|^2 + |y|^2 - 2 x.y, never negative."""
    return torch.addmm((x * x).sum(1)[:, None] + (y * y).sum(1), x, y.T, alpha=-2).clamp_(min=0)


def blocks(count: int) -> Iterator[slice]:
    """Slices of `ROWS` rows that cover `count` rows: they bound the memory of all pairs."""
    return (slice(start, min(start + ROWS, count)) for start in range(0, count, ROWS))
