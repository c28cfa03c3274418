"""MMD against an independent implementation and its own identities."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from qgan.errors import InputError
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


def test_equals_a_double_loop() -> None:
    x, y = images(7, 0), images(6, 1)

    def mean(a: torch.Tensor, b: torch.Tensor, same: bool) -> float:
        pairs = [(p, q) for i, p in enumerate(a.double()) for j, q in enumerate(b.double()) if not same or i != j]
        return float(np.mean([float(((p - q) ** 2).sum()) ** 0.5 for p, q in pairs]))

    assert MmdTo(x)(y).u == pytest.approx(2 * mean(x, y, False) - mean(x, x, True) - mean(y, y, True), rel=1e-5)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_each_channel_is_its_own_mmd(beta: float) -> None:
    x, y = images(40, 0), images(30, 1) ** 2
    y[:, 3] = 0.25  # a channel that a generator never varies
    found = MmdTo(x, beta).with_channels(y)
    assert found.joint == MmdTo(x, beta)(y)
    assert len(found.per_channel) == 5
    for channel, mmd in enumerate(found.per_channel):
        alone = x[:, channel : channel + 1], y[:, channel : channel + 1]
        assert mmd == pytest.approx(by_hand(*alone, beta), rel=1e-4)
        assert mmd == pytest.approx(MmdTo(alone[0], beta)(alone[1]), rel=1e-4)


def test_equal_images_have_distance_zero_whatever_the_rounding() -> None:
    far = MmdTo(images(20, 0)).with_channels(images(1, 1).repeat(30, 1, 1, 1) + 2)
    near = MmdTo(images(20, 0)).with_channels(images(1, 1).repeat(2, 1, 1, 1) + 2)
    for one, other in zip((far.joint, *far.per_channel), (near.joint, *near.per_channel), strict=True):
        assert one == pytest.approx(other, rel=1e-6)  # as many equal images as one likes


def test_beta_two_of_the_channels_adds_up_to_the_joint_one() -> None:
    found = MmdTo(images(40, 0), 2.0).with_channels(images(30, 1) ** 2)
    assert sum(mmd.v for mmd in found.per_channel) == pytest.approx(found.joint.v, rel=1e-5)


def test_only_the_channel_that_differs_stands_out() -> None:
    x, y = images(60, 0), images(60, 1)
    y[:, 2] = y[:, 2] * 0.5
    values = [mmd.u for mmd in MmdTo(x).with_channels(y).per_channel]
    assert values[2] > 20 * max(abs(value) for value in (*values[:2], *values[3:]))


def test_blocks_change_nothing() -> None:
    x, y = images(601, 0, (2, 3, 1)), images(520, 1, (2, 3, 1)) ** 2  # more than two blocks of either
    found = MmdTo(x).with_channels(y)
    assert found.joint == pytest.approx(by_hand(x, y, 1.0), rel=1e-4)
    assert found.per_channel[1] == pytest.approx(by_hand(x[:, 1:], y[:, 1:], 1.0), rel=1e-4)


def test_pixel_order_and_a_common_shift_change_nothing() -> None:
    x, y = images(30, 0), images(30, 1) * 0.7
    order = torch.randperm(42, generator=torch.Generator().manual_seed(0))
    mixed = (each.flatten(2)[:, :, order] for each in (x, y))
    assert MmdTo(x).with_channels(y).per_channel[0] == pytest.approx(
        MmdTo(next(mixed)).with_channels(next(mixed)).per_channel[0], rel=1e-4
    )
    # far from zero the products have fewer digits: the common centre keeps them
    assert MmdTo(x + 100)(y + 100) == pytest.approx(MmdTo(x)(y), rel=1e-3)


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


@pytest.mark.parametrize(
    ("generated", "words"),
    [
        (images(1, 0), "2 or more images"),
        (images(4, 0, (5, 7, 6)), "5 x 7 x 6, real ones 5 x 6 x 7"),
        (images(4, 0, (3, 6, 7)), "number of channels"),
        (images(4, 0, ()), "2 or more images"),
        ((images(4, 0) * 255).to(torch.uint8), "uint8"),
        (images(4, 0).log() * torch.tensor([1, 1, 1, 1, torch.nan]).view(5, 1, 1), "not finite"),
        (images(4, 0) / 0, "not finite"),
    ],
)
def test_bad_images_get_one_sentence(generated: torch.Tensor, words: str) -> None:
    with pytest.raises(InputError, match=words):
        MmdTo(images(9, 1))(generated)


@pytest.mark.parametrize("beta", [0.0, -1.0, 2.1, float("nan")])
def test_exponents_without_a_distance_are_refused(beta: float) -> None:
    with pytest.raises(InputError, match="beta"):
        MmdTo(images(9, 1), beta)
