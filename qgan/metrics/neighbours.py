"""Fidelity and diversity apart: precision and recall, density and coverage, from nearest neighbours in feature space.

Notation: real points x_i (m), generated points y_j (n); B(x_i) is the closed ball round x_i whose radius is the
distance to the k-th nearest other real point, B(y_j) the same among the generated points.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from qgan.metrics.points import blocks, paired, squared_distances

K = 5  # nearest neighbours, as in Naeem et al.


@dataclass(frozen=True)
class Neighbours:
    """Four shares; all depend on the sizes of both sets and on k, so compare only what agrees in them."""

    precision: float  # share of y_j inside any B(x_i): how many generated images could be real, 0 to 1
    recall: float  # share of x_i inside any B(y_j): how much of the real set could be generated, 0 to 1
    density: float  # mean number of B(x_i) round a y_j, over k: precision that one outlier cannot raise; 1 expected
    coverage: float  # share of B(x_i) that hold any y_j: recall that a wide-spread generator cannot raise, 0 to 1


def neighbours(real: Tensor, generated: Tensor, k: int = K) -> Neighbours:
    """The four shares of features real (m, d) and generated (n, d), more than k points each. Raises InputError.

    precision = 1/n sum_j 1[y_j in union_i B(x_i)]       recall = 1/m sum_i 1[x_i in union_j B(y_j)]
    density = 1/(k n) sum_j sum_i 1[y_j in B(x_i)]       coverage = 1/m sum_i 1[any y_j in B(x_i)]
    Two large sets of one distribution with m = n have density 1 and coverage 1 - 2^-k in expectation.
    Source: Kynkaanniemi et al., NeurIPS 2019 (precision, recall); Naeem et al., ICML 2020 (density, coverage).
    """
    x, y = paired(real, generated, least=k + 1)
    x_radius, y_radius = _squared_radii(x, k), _squared_radii(y, k)
    balls = torch.zeros(len(y), device=y.device)  # B(x_i) round each y_j
    covered, recalled = (torch.zeros(len(x), dtype=torch.bool, device=x.device) for _ in range(2))
    for rows in blocks(len(y)):
        squared = squared_distances(y[rows], x)
        in_real = squared <= x_radius
        balls[rows] = in_real.sum(1).float()
        covered |= in_real.any(0)
        recalled |= (squared <= y_radius[rows, None]).any(0)
    return Neighbours(
        precision=_share(balls > 0),
        recall=_share(recalled),
        density=float(balls.mean()) / k,
        coverage=_share(covered),
    )


def _squared_radii(x: Tensor, k: int) -> Tensor:
    """Squared distance (m,) of each point to its k-th nearest other point."""
    radii = x.new_empty(len(x))
    for rows in blocks(len(x)):
        squared = squared_distances(x[rows], x)
        squared.diagonal(offset=rows.start).fill_(torch.inf)
        radii[rows] = squared.topk(k, largest=False).values[:, -1]
    return radii


def _share(hits: Tensor) -> float:
    return float(hits.float().mean())
