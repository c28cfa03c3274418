"""MMD against an independent implementation and its own identities."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from qgan.metrics.mmd import MmdTo


def images(count: int, seed: int, shape: tuple[int, ...] = (5, 6, 7)) -> torch.Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


def by_hand(x: torch.Tensor, y: torch.Tensor, beta: float) -> tuple[float, float]:
    a, b = (each.flatten(1).double().numpy() for each in (x, y))
    xy, xx, yy = (cdist(*pair) ** beta for pair in ((a, b), (a, a), (b, b)))
    m, k = len(a), len(b)
    v = 2 * xy.mean() - xx.mean() - yy.mean()
    u = 2 * xy.mean() - xx.sum() / (m * (m - 1)) - yy.sum() / (k * (k - 1))
    return v, u


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.7, 2.0])
def test_equals_an_independent_implementation(beta: float) -> None:
    x, y = images(40, 0), images(30, 1) ** 2
    assert MmdTo(x, beta)(y) == pytest.approx(by_hand(x, y, beta), rel=2e-5)


def test_biased_estimator_of_a_set_with_itself_is_zero() -> None:
    x = images(50, 0)
    assert MmdTo(x)(x.clone()).v == pytest.approx(0, abs=1e-4)


def test_unbiased_estimator_has_mean_zero_under_the_null() -> None:
    # 200 independent draws of two batches of one distribution: |mean| < 3.9 standard errors fails once in 10,000
    values = np.array([MmdTo(images(20, 2 * i))(images(20, 2 * i + 1)).u for i in range(200)])
    assert abs(values.mean()) < 3.9 * values.std(ddof=1) / np.sqrt(len(values))
    assert values.min() < 0


def test_biased_estimator_is_positive_and_shrinks_like_one_over_m() -> None:
    small, large = (np.mean([MmdTo(images(m, i))(images(m, 1000 + i)).v for i in range(20)]) for m in (16, 64))
    assert small > 0
    assert small / large == pytest.approx(4, rel=0.15)


def test_beta_two_is_blind_to_mode_collapse() -> None:
    real = images(200, 0)
    collapsed = real.mean(0, keepdim=True).expand(200, -1, -1, -1)
    assert MmdTo(real, beta=2.0)(collapsed).v == pytest.approx(0, abs=1e-3)
    assert MmdTo(real, beta=1.0)(collapsed).v > 10 * MmdTo(real)(images(200, 1)).v


def test_order_and_swap_change_nothing() -> None:
    x, y = images(30, 0), images(30, 1) * 0.7
    assert MmdTo(x)(y) == pytest.approx(MmdTo(y)(x), rel=1e-5)
    assert MmdTo(x)(y) == pytest.approx(MmdTo(x.flip(0))(y.roll(7, 0)), rel=1e-5)
