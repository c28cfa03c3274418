"""Nearest training images and distinct images against plain loops and built cases."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from qgan.errors import InputError
from qgan.metrics.memorisation import (
    Nearest,
    distinct_images,
    memorisation,
    nearest_training,
)


def pixels(count: int, seed: int, shape: tuple[int, ...] = (2, 5, 4)) -> torch.Tensor:
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def nearest(images: torch.Tensor, seed: int = 0) -> Nearest:
    return nearest_training(images, pixels(1200, seed))


@pytest.mark.parametrize("kind", ["bytes", "features"])
def test_distances_equal_an_independent_search(kind: str) -> None:
    images, training = pixels(300, 0), pixels(2100, 1)  # several blocks of either
    if kind == "features":
        images, training = images.flatten(1).float() / 255, training.flatten(1).float() / 255
    found = nearest_training(images, training)
    scale = 255 if kind == "bytes" else 1
    expected = np.sort(cdist(images.flatten(1).numpy() / scale, training.flatten(1).numpy() / scale), axis=1)
    np.testing.assert_allclose(found.first.numpy(), expected[:, 0], rtol=1e-5)
    np.testing.assert_allclose(found.second.numpy(), expected[:, 1], rtol=1e-5)


def test_a_copy_has_distance_zero_exactly() -> None:
    training = pixels(1200, 0)
    found = nearest_training(training[500:900], training)
    assert float(found.first.max()) == 0
    assert float(found.second.min()) > 0


def test_pixel_order_changes_nothing() -> None:
    images, training = pixels(30, 1), pixels(90, 2)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    mixed = nearest_training(images.flatten(1)[:, order], training.flatten(1)[:, order])
    torch.testing.assert_close(mixed.first, nearest_training(images, training).first)


def test_held_out_images_against_others_are_at_their_expectations() -> None:
    found = memorisation(nearest(pixels(1000, 1)), nearest(pixels(1000, 2)))
    assert found.distance_ratio == pytest.approx(1, abs=0.02)
    assert found.near_share == pytest.approx(0.05, abs=0.03)
    assert found.copied_share == 0
    assert abs(found.copying_z) < 3.9


def test_rank_statistic_is_standard_normal_under_the_null() -> None:
    stream = np.random.default_rng(0)

    def draw() -> Nearest:
        first = torch.from_numpy(stream.random(40))
        return Nearest(first, first + 1)

    z = np.array([memorisation(draw(), draw()).copying_z for _ in range(400)])
    assert abs(z.mean()) < 3.9 / 20
    assert z.std(ddof=1) == pytest.approx(1, abs=0.15)


def test_rank_statistic_equals_a_double_loop() -> None:
    near, far = torch.tensor([1.0, 2.0, 3.0, 3.0]), torch.tensor([3.0, 2.5, 4.0])
    u = sum(float(a > b) + 0.5 * float(a == b) for a in near for b in far)
    z = (u - 6) / np.sqrt(4 * 3 * 8 / 12)
    assert memorisation(Nearest(near, near + 1), Nearest(far, far + 1)).copying_z == pytest.approx(z)
    assert z < 0


def test_copies_are_found_and_averages_are_not_taken_for_copies() -> None:
    training, held_out = pixels(400, 0), nearest_training(pixels(300, 1), pixels(400, 0))
    noise = torch.randint(-3, 4, (300, 2, 5, 4), generator=torch.Generator().manual_seed(3))
    retouched = (training[:300].int() + noise).clamp(0, 255).to(torch.uint8)
    copied = memorisation(nearest_training(retouched, training), held_out)
    assert copied.copied_share > 0.99
    assert copied.near_share > 0.99
    assert copied.copying_z < -10
    grey = training.float().mean(0, keepdim=True).round().to(torch.uint8).expand(300, -1, -1, -1)
    blurred = memorisation(nearest_training(grey, training), held_out)
    assert blurred.distance_ratio < 0.9  # nearer to all of them than any real image is
    assert blurred.copied_share == 0


def test_a_mixture_of_copies_is_measured_by_its_share() -> None:
    training = pixels(400, 0)
    half = torch.cat([training[:150], pixels(150, 5)])
    found = memorisation(nearest_training(half, training), nearest_training(pixels(300, 1), training))
    assert found.copied_share == 0.5
    assert found.near_share == pytest.approx(0.5 + 0.05 / 2, abs=0.03)


def test_distinct_images_are_counted() -> None:
    images = pixels(50, 0)
    drawn = images[torch.randint(50, (700,), generator=torch.Generator().manual_seed(0))]
    assert distinct_images(drawn) == len({tuple(row.flatten().tolist()) for row in drawn})
    one_pixel = images[:1].repeat(2, 1, 1, 1)
    one_pixel[1, 0, 0, 0] ^= 1
    assert distinct_images(one_pixel) == 2
    assert distinct_images(drawn.transpose(2, 3)) == distinct_images(drawn)  # not contiguous


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (pixels(3, 0).float(), "float32"),
        (pixels(3, 0, (2, 4, 5)), "of one size"),
        (pixels(0, 0), "one or more"),
    ],
)
def test_bad_images_get_one_sentence(images: torch.Tensor, words: str) -> None:
    with pytest.raises(InputError, match=words):
        nearest_training(images, pixels(9, 1))


def test_bad_features_get_one_sentence() -> None:
    with pytest.raises(InputError, match="not finite"):
        nearest_training(torch.full((3, 4), torch.nan), torch.rand(9, 4))
    with pytest.raises(InputError, match="two or more training"):
        nearest_training(pixels(3, 0), pixels(1, 1))
    with pytest.raises(InputError, match="rounded to uint8"):
        distinct_images(torch.rand(3, 4))
