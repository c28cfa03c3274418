"""Precision, recall, density and coverage against plain loops and their own identities."""

import numpy as np
import pytest
import torch

from qgan.errors import InputError
from qgan.metrics.neighbours import Neighbours, neighbours


def points(count: int, seed: int, d: int = 4) -> torch.Tensor:
    return torch.randn(count, d, generator=torch.Generator().manual_seed(seed))


def by_hand(x: np.ndarray, y: np.ndarray, k: int) -> tuple[float, float, float, float]:
    def distance(p: np.ndarray, q: np.ndarray) -> float:
        return float(np.linalg.norm(p - q))

    def radius(points: np.ndarray, i: int) -> float:
        return sorted(distance(points[i], q) for j, q in enumerate(points) if j != i)[k - 1]

    in_real = np.array([[distance(p, q) <= radius(x, i) for i, p in enumerate(x)] for q in y])
    in_generated = np.array([[distance(p, q) <= radius(y, j) for p in x] for j, q in enumerate(y)])
    return in_real.any(1).mean(), in_generated.any(0).mean(), in_real.sum() / (k * len(y)), in_real.any(0).mean()


def values(found: Neighbours) -> tuple[float, float, float, float]:
    return found.precision, found.recall, found.density, found.coverage


@pytest.mark.parametrize("k", [1, 3, 5])
def test_equals_plain_loops(k: int) -> None:
    x, y = points(25, 0), points(18, 1) * 1.4 + 0.3
    assert values(neighbours(x, y, k)) == pytest.approx(by_hand(x.double().numpy(), y.double().numpy(), k), rel=1e-6)


def test_blocks_change_nothing() -> None:
    x, y = points(520, 0, 2).double(), points(600, 1, 2).double() + 0.5  # more than two blocks of either
    k = 5
    x_radius, y_radius = (torch.cdist(a, a).sort().values[:, k] for a in (x, y))
    distance = torch.cdist(y, x)
    in_real, in_generated = distance <= x_radius, distance <= y_radius[:, None]
    whole = (in_real.any(1), in_generated.any(0), in_real.sum(1) / k, in_real.any(0))
    assert values(neighbours(x, y, k)) == pytest.approx([float(each.double().mean()) for each in whole])


def test_two_batches_of_one_distribution() -> None:
    found = neighbours(points(1000, 0), points(1000, 1))
    assert found.density == pytest.approx(1, abs=0.1)
    assert found.coverage == pytest.approx(1 - 2**-5, abs=0.03)  # of m = n points, each equally likely the nearest
    assert min(found.precision, found.recall) > 0.9


def test_swapping_the_sets_swaps_precision_and_recall() -> None:
    x, y = points(60, 0), points(70, 1) * 1.5
    assert (neighbours(x, y).precision, neighbours(x, y).recall) == (
        neighbours(y, x).recall,
        neighbours(y, x).precision,
    )


def test_scale_shift_and_order_change_nothing() -> None:
    x, y = points(60, 0).double(), points(70, 1).double() * 1.5
    expected = values(neighbours(x, y))
    for change in (lambda a: 3 * a, lambda a: a + 5, lambda a: a.flip(0), lambda a: a.flip(1)):
        assert values(neighbours(change(x), change(y))) == pytest.approx(expected)


def test_the_right_number_falls() -> None:
    real = points(500, 0)
    collapsed = neighbours(real, points(500, 1) * 0.02)
    assert collapsed.precision > 0.95
    assert max(collapsed.recall, collapsed.coverage) < 0.1
    far = neighbours(real, points(500, 1) + 100)
    assert values(far) == (0, 0, 0, 0)
    # half of the generated points real-like, half far away: fidelity halves, coverage hardly moves
    half = torch.cat([points(500, 1), points(500, 2) + 100])
    assert neighbours(real, half).precision == pytest.approx(0.5, abs=0.03)
    assert neighbours(real, half).coverage > 0.9


def test_an_outlier_raises_recall_and_precision_but_not_density_and_coverage() -> None:
    """Why both pairs: Naeem et al., Fig. 2."""
    real = torch.cat([points(200, 0), torch.full((1, 4), 30.0)])
    beside = points(200, 1) * 0.5 + 15  # between the cloud and its one outlier, real-like nowhere
    found = neighbours(real, beside)
    assert found.precision > 0.9
    assert found.density < 0.25
    assert found.coverage < 0.02


@pytest.mark.parametrize(
    ("generated", "words"),
    [
        (points(5, 0), "needs 6"),
        (points(9, 0, d=3), "3"),
        (torch.full((9, 4), torch.inf), "not finite"),
        (torch.zeros(9, 4, dtype=torch.int64), "int64"),
    ],
)
def test_bad_input_gets_one_sentence(generated: torch.Tensor, words: str) -> None:
    with pytest.raises(InputError, match=words):
        neighbours(points(10, 1), generated)
