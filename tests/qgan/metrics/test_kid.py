"""KID against a double loop and its own identities."""

import numpy as np
import pytest
import torch

from qgan.errors import InputError
from qgan.metrics.kid import kid


def points(count: int, seed: int, d: int = 6) -> torch.Tensor:
    return torch.randn(count, d, generator=torch.Generator().manual_seed(seed))


def by_hand(x: np.ndarray, y: np.ndarray) -> float:
    def mean(a: np.ndarray, b: np.ndarray, same: bool) -> float:
        return float(
            np.mean([(p @ q / len(p) + 1) ** 3 for i, p in enumerate(a) for j, q in enumerate(b) if not same or i != j])
        )

    return mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)


def test_equals_a_double_loop() -> None:
    x, y = points(30, 0), points(21, 1) * 1.5 + 0.2
    assert kid(x, y) == pytest.approx(by_hand(x.double().numpy(), y.double().numpy()), rel=1e-9)


def test_blocks_change_nothing() -> None:
    x, y = points(601, 0, 3).double(), points(509, 1, 3).double() + 0.1  # more than two blocks of either
    xx, yy, xy = ((a @ b.T / 3 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    whole = (xx.sum() - xx.trace()) / (601 * 600) + (yy.sum() - yy.trace()) / (509 * 508) - 2 * xy.sum() / (601 * 509)
    assert kid(x, y) == pytest.approx(float(whole), rel=1e-9)


def test_mean_zero_under_the_null() -> None:
    # |mean| < 3.9 standard errors fails once in 10,000
    values = np.array([kid(points(20, 2 * i), points(25, 2 * i + 1)) for i in range(200)])
    assert abs(values.mean()) < 3.9 * values.std(ddof=1) / np.sqrt(len(values))
    assert values.min() < 0 < values.max()


def test_symmetric_and_blind_to_order_and_rotation() -> None:
    x, y = points(40, 0).double(), points(30, 1).double() * 2
    rotation = torch.linalg.qr(points(6, 2).double()).Q
    for pair in ((y, x), (x.flip(0), y.roll(3, 0)), (x.flip(1), y.flip(1)), (x @ rotation, y @ rotation)):
        assert kid(*pair) == pytest.approx(kid(x, y), rel=1e-9)


def test_sees_spread_and_not_only_the_mean() -> None:
    x = points(300, 0)
    collapsed = points(300, 1) * 1e-3
    assert kid(x, collapsed) > 10 * abs(kid(x, points(300, 1)))


@pytest.mark.parametrize(
    ("generated", "words"),
    [
        (points(1, 0), "needs 2"),
        (points(5, 0, d=7), "7"),
        (torch.full((5, 6), torch.nan), "not finite"),
        (torch.zeros(5, 6, dtype=torch.uint8), "uint8"),
        (torch.zeros(5, 2, 3), "shape"),
    ],
)
def test_bad_input_gets_one_sentence(generated: torch.Tensor, words: str) -> None:
    with pytest.raises(InputError, match=words):
        kid(points(10, 1), generated)
