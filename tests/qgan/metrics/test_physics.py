"""Physics scores on synthetic steel: near their floor between real batches, and each defect noticed by its score."""

import dataclasses
from collections.abc import Callable
from math import isnan

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import wasserstein_distance

from qgan.ebsd.channels import CHANNELS, KAM, KS_DEVIATION, Channel
from qgan.ebsd.patches import cut_scan
from qgan.ebsd.settings import Settings
from qgan.ebsd.synthetic import generate
from qgan.ebsd.synthetic_maps import synthetic_map
from qgan.errors import InputError
from qgan.metrics.physics import NAMES, Physics
from qgan.metrics.physics.maps import Masks, PhaseCorrelation
from qgan.metrics.physics.readings import TOLERANCE, Levels, Measurements

Bytes = NDArray[np.uint8]
STEP = 0.5
SIZE = 30
IMPOSSIBLE = ("phase_gap", "kam_gap", "ks_deviation_gap", "mask_gap", "noise_disagreement", "ks_deviation_off_bcc")


def scores(generated: Bytes, real: Bytes, channels: tuple[Channel, ...] = CHANNELS) -> dict[str, float]:
    ours, theirs = (Physics.of(torch.from_numpy(each.copy()), channels) for each in (generated, real))
    return ours.scores(theirs, STEP)


@pytest.fixture(scope="module")
def steel() -> tuple[Bytes, Bytes]:
    """Two batches of one distribution, of bainite, for its two phases, with a speck of noise in every image."""
    images = generate("bainite", 400, 0, SIZE).images.copy()
    rng = np.random.default_rng(1)
    images = images[rng.permutation(len(images))]
    # cleaning leaves no noise in these maps: what a hole that could not be filled looks like
    for image in images:
        hole = (slice(top := rng.integers(0, 6), top + 2), slice(left := rng.integers(0, SIZE - 3), left + 3))
        for channel, byte in enumerate((40, 0, 255, 255, 0)):
            image[channel][hole] = byte
    return images[:200], images[200:]


def shuffled_pixels(x: Bytes, rng: np.random.Generator) -> Bytes:
    order = rng.permuted(np.tile(np.arange(SIZE * SIZE), (len(x), 1)), axis=1)
    return np.take_along_axis(x.reshape(len(x), 5, -1), order[:, None], axis=2).reshape(x.shape)


def speckled(channel: int, byte: int) -> Callable[[Bytes, np.random.Generator], Bytes]:
    def defect(x: Bytes, rng: np.random.Generator) -> Bytes:
        x[:, channel][rng.random(x[:, channel].shape) < 0.05] = byte
        return x

    return defect


def noise_in_phase_of_austenite(x: Bytes, rng: np.random.Generator) -> Bytes:
    x[:, 1][x[:, 1] == 170] = 0
    return x


def grey_background(x: Bytes, rng: np.random.Generator) -> Bytes:
    x[:, 4][(x[:, 4] == 0) & (rng.random(x[:, 4].shape) < 0.05)] = 70
    return x


def moved_mask(x: Bytes, rng: np.random.Generator) -> Bytes:
    """Every mask in the upper left corner of its image."""
    for image in x:
        rows, columns = np.nonzero(image[4])
        image[4] = 0
        image[4][rows - rows.min(), columns - columns.min()] = 255
    return x


def torn_mask(x: Bytes, rng: np.random.Generator) -> Bytes:
    """One corner pixel of the image joins the mask, one of the mask's edge leaves it."""
    for image in x:
        edge = (image[4] == 255) & ~ndimage.binary_erosion(image[4] == 255)
        row, column = np.argwhere(edge)[0]
        image[4][row, column], image[4][-1, -1] = 0, 255
    return x


def endless_mask(x: Bytes, rng: np.random.Generator) -> Bytes:
    x[:, 4][x[:, 1] > 0] = 255
    return x


def swapped_phases(x: Bytes, rng: np.random.Generator) -> Bytes:
    bcc, fcc = x[:, 1] == 85, x[:, 1] == 170
    x[:, 1][bcc], x[:, 1][fcc] = 170, 85
    return x


def bent(x: Bytes, rng: np.random.Generator) -> Bytes:
    kam = x[:, 2]
    kam[kam < 255] = np.minimum(kam[kam < 255].astype(int) + 40, 218)
    return x


def unrelated(x: Bytes, rng: np.random.Generator) -> Bytes:
    ks = x[:, 3]
    ks[ks < 255] = 191 - ks[ks < 255]
    return x


def near(x: Bytes, rng: np.random.Generator) -> Bytes:
    """What a sigmoid does: a few bytes off everywhere."""
    return np.clip(x.astype(int) + rng.integers(-3, 4, x.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("defect", "noticed"),
    [
        (near, set()),
        (shuffled_pixels, {"phase_correlation", "mask_broken", "mask_components", "mask_off_centre"}),
        # sentinel where the other channels measure
        (speckled(2, 255), {"kam_sentinel", "noise_disagreement"}),
        # the deviation has many reasons to be unavailable: no contradiction
        (speckled(3, 255), {"ks_deviation_sentinel"}),
        (noise_in_phase_of_austenite, {"phase_noise", "phase_fcc", "noise_disagreement"}),
        (speckled(2, 236), {"kam_gap"}),
        (speckled(3, 220), {"ks_deviation_gap"}),
        (grey_background, {"mask_gap"}),
        (moved_mask, {"mask_off_centre"}),
        (torn_mask, {"mask_broken", "mask_components"}),
        # real masks that the window cuts lie in several parts, this one in one
        (endless_mask, {"mask_area", "mask_components"}),
        (swapped_phases, {"phase_bcc", "phase_fcc", "ks_deviation_off_bcc"}),
        (bent, {"kam_distance"}),
        (unrelated, {"ks_deviation_distance"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_defect_raises_the_scores_that_should_notice_it_and_no_other(
    steel: tuple[Bytes, Bytes], defect: Callable[[Bytes, np.random.Generator], Bytes], noticed: set[str]
) -> None:
    first, second = steel
    floor = scores(first, second)
    found = scores(defect(first.copy(), np.random.default_rng(0)), second)
    raised = {name for name in NAMES if found[name] > 1.5 * floor[name] + 0.005}
    assert raised == noticed


def test_no_real_patch_holds_what_is_called_impossible() -> None:
    # without filling, 7 % of the pixels are noise that went through the same channels as a scan's
    settings = Settings(patch=SIZE, max_passes=0)
    cut = cut_scan(synthetic_map("bainite", 120, 0.5, np.random.default_rng(0), "map"), settings)
    noise = (cut.images[:, 1] == 0).mean()
    assert 0.03 < noise < 0.15
    found = scores(cut.images, cut.images)
    assert [found[name] for name in IMPOSSIBLE] == [0] * len(IMPOSSIBLE)


@pytest.mark.parametrize(
    ("phase", "kam", "ks", "mask", "disagrees"),
    [
        (0, 255, 255, 0, False),  # noise, and nobody measured
        (0, 80, 255, 0, True),
        (0, 255, 80, 0, True),
        (0, 255, 255, 255, True),
        (0, 237, 220, 0, False),  # in the gaps, where nothing is measured
        (85, 255, 255, 0, False),  # a pixel that is a grain of its own
        (85, 255, 80, 0, True),
        (85, 255, 255, 255, True),
        (85, 80, 80, 255, False),
        (170, 80, 255, 255, False),
    ],
)
def test_noise_in_one_channel_is_noise_in_all_that_can_say_so(
    phase: int, kam: int, ks: int, mask: int, disagrees: bool
) -> None:
    pixel = np.array([100, phase, kam, ks, mask], np.uint8)[None, :, None, None]
    found = scores(np.broadcast_to(pixel, (1, 5, 4, 4)), np.zeros((1, 5, 4, 4), np.uint8))
    assert found["noise_disagreement"] == disagrees


def test_another_steel_is_further_than_the_floor(steel: tuple[Bytes, Bytes]) -> None:
    ferrite = generate("ferrite", 200, 0, SIZE).images.copy()
    ferrite[:, 1][ferrite[:, 1] == 170] = 85  # without its retained austenite
    floor, found = scores(*steel), scores(ferrite, steel[1])
    for name in ("phase_bcc", "phase_fcc", "kam_distance", "ks_deviation_distance", "ks_deviation_sentinel"):
        assert found[name] > 3 * floor[name]
    assert isnan(found["phase_correlation"])  # one phase


def test_a_set_is_at_no_distance_from_itself_and_distances_are_symmetric(steel: tuple[Bytes, Bytes]) -> None:
    first, second = steel
    itself, there, back = scores(first, first), scores(first, second), scores(second, first)
    shares = {*IMPOSSIBLE, "mask_broken", "mask_off_centre"}
    assert all(itself[name] == 0 for name in NAMES if name not in shares)
    assert all(there[name] == pytest.approx(back[name]) for name in NAMES if name not in shares)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("size", [SIZE, SIZE - 1])
def test_turning_and_flipping_images_changes_nothing(
    steel: tuple[Bytes, Bytes], turns: int, flipped: bool, size: int
) -> None:
    first, second = (speckled(2, 255)(each[..., :size, :size].copy(), np.random.default_rng(0)) for each in steel)
    turned = np.rot90(first, turns, (2, 3))
    turned = turned[..., ::-1] if flipped else turned
    assert scores(turned, second) == pytest.approx(scores(first, second), abs=1e-9)


def test_order_of_images_and_channels_changes_nothing(steel: tuple[Bytes, Bytes]) -> None:
    first, second = steel
    order = [3, 0, 4, 1, 2]
    again = scores(first[::-1][:, order], second[:, order], tuple(CHANNELS[i] for i in order))
    assert again == pytest.approx(scores(first, second), abs=1e-9)


def test_scores_equal_their_formulas_on_decoded_pixels(steel: tuple[Bytes, Bytes]) -> None:
    first, second = steel
    found = scores(first, second)
    for channel, number in ((KAM, 2), (KS_DEVIATION, 3)):
        assert channel.sentinel is not None
        values = [channel.decode(each[:, number]).ravel().astype(float) for each in steel]
        measured = [each[each <= channel.limit + 1e-4] for each in values]
        assert found[f"{channel.name}_distance"] == pytest.approx(wasserstein_distance(*measured), rel=1e-6)
        missing = [np.isclose(each, channel.sentinel).mean() for each in values]
        assert found[f"{channel.name}_sentinel"] == pytest.approx(abs(missing[0] - missing[1]))
    for code, phase in enumerate(("noise", "bcc", "fcc", "other")):
        shares = [(each[:, 1] == 85 * code).mean() for each in steel]
        assert found[f"phase_{phase}"] == pytest.approx(abs(shares[0] - shares[1]))
    areas = [(each[:, 4] == 255).mean((1, 2)) for each in steel]
    assert found["mask_area"] == pytest.approx(wasserstein_distance(*areas))


@pytest.mark.parametrize("shape", [(7, 9), (8, 6), (5, 5)])
def test_correlation_equals_counting_all_pairs(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    phase = rng.integers(0, 4, (3, *shape)).astype(np.uint8) * (rng.random((3, *shape)) < 0.4).astype(np.uint8)
    correlation = PhaseCorrelation(shape, 4)
    correlation.add(phase[:1])
    correlation.add(phase[1:])
    places = np.argwhere(np.ones(shape))
    distance = np.rint(np.hypot(*(places[:, None] - places).transpose(2, 0, 1)))
    flat = phase.reshape(3, -1)
    expected = []
    for r in range(min(shape) // 2 + 1):
        one, other = (flat[:, ends].ravel() for ends in np.nonzero(distance == r))
        unrelated = sum((one == code).mean() ** 2 for code in range(4))  # each pair is there in both orders
        expected.append(((one == other).mean() - unrelated) / (1 - unrelated))
    np.testing.assert_allclose(correlation.curve(), expected, atol=1e-12)


def test_correlation_is_one_at_zero_and_nothing_where_phases_are_strewn_at_random() -> None:
    phase = (np.random.default_rng(0).random((200, 20, 20)) < 0.3).astype(np.uint8)
    correlation = PhaseCorrelation((20, 20), 4)
    correlation.add(phase)
    curve = correlation.curve()
    assert curve[0] == pytest.approx(1)
    assert np.abs(curve[1:]).max() < 0.01


def test_correlation_keeps_its_digits_where_a_phase_is_rare() -> None:
    phase = np.ones((500, 20, 20), np.uint8)
    phase[7, 10, 10] = 2
    correlation = PhaseCorrelation((20, 20), 4)
    correlation.add(phase)
    curve = correlation.curve()
    assert curve[0] == pytest.approx(1, abs=1e-9)
    assert np.abs(curve[1:]).max() < 1e-4


def test_masks_are_counted_one_image_at_a_time() -> None:
    mask = np.random.default_rng(0).random((50, 9, 8)) < np.linspace(0, 1, 50)[:, None, None]
    found = Masks.of(mask)
    assert found.components.tolist() == [ndimage.label(each)[1] for each in mask]
    np.testing.assert_allclose(found.area, mask.mean((1, 2)))
    assert found.centred.tolist() == [bool(each[4, 3:5].any()) for each in mask]
    assert (found.components[0], found.area[0], found.centred[0]) == (0, 0, False)


def test_every_byte_is_read_once_and_no_encoded_value_lies_in_a_gap() -> None:
    for channel in (KAM, KS_DEVIATION):
        read = Measurements.of(channel)
        assert ((read.measured.astype(int) + read.sentinel + read.gap) == 1).all()
        held = channel.encode(np.append(np.linspace(0, channel.full_scale, 2000), np.nan))
        assert not read.gap[held].any()
        np.testing.assert_allclose(read.values[held[:-1]], channel.decode(held[:-1]))
        top = held[:-1].max()
        assert not read.gap[top + TOLERANCE] and read.gap[top + TOLERANCE + 1]
        assert read.sentinel[255 - TOLERANCE] and not read.sentinel[254 - TOLERANCE]
        assert read.values.max() <= channel.limit
    for channel, allowed in ((CHANNELS[1], [0, 85, 170, 255]), (CHANNELS[4], [0, 255])):
        levels = Levels.of(channel)
        assert levels.nearest[allowed].tolist() == list(range(len(allowed)))
        assert not levels.gap[allowed].any()
        assert levels.gap.sum() == 256 - len(allowed) * (2 * TOLERANCE + 1) + 2 * TOLERANCE


def test_a_channel_that_is_missing_makes_its_scores_and_no_others_nan(steel: tuple[Bytes, Bytes]) -> None:
    cross = {
        "phase": {"noise_disagreement", "ks_deviation_off_bcc"},
        "kam": {"noise_disagreement"},
        "ks_deviation": set(),
        "mask": set(),
        "iq": set(),
    }
    full = scores(*steel)
    for number, missing in enumerate(CHANNELS):
        kept = [i for i in range(5) if i != number]
        found = scores(steel[0][:, kept], steel[1][:, kept], tuple(CHANNELS[i] for i in kept))
        assert tuple(found) == NAMES
        lost = {name for name in NAMES if name.startswith(missing.name)} | cross[missing.name]
        assert {name for name in NAMES if isnan(found[name])} == lost
        assert all(found[name] == full[name] for name in NAMES if name not in lost)


def test_a_channel_without_a_sentinel_has_no_sentinel_score(steel: tuple[Bytes, Bytes]) -> None:
    kam = dataclasses.replace(KAM, sentinel=None)
    found = scores(steel[0], steel[1], (*CHANNELS[:2], kam, *CHANNELS[3:]))
    assert isnan(found["kam_sentinel"])
    assert found["kam_gap"] > 0  # 3.5 deg is then a value that no real patch holds


def test_nothing_measured_is_nan_and_its_sentinel_says_so(steel: tuple[Bytes, Bytes]) -> None:
    first, second = steel[0].copy(), steel[1]
    first[:, 3] = 255
    found = scores(first, second)
    assert isnan(found["ks_deviation_distance"])
    assert found["ks_deviation_sentinel"] > 0.8
    assert not isnan(scores(np.zeros_like(first), second)["kam_distance"])


def test_one_image_and_empty_masks_are_scored() -> None:
    found = scores(np.zeros((1, 5, 4, 3), np.uint8), np.full((2, 5, 4, 3), 255, np.uint8))
    assert (found["mask_area"], found["mask_broken"], found["mask_off_centre"], found["phase_other"]) == (1, 1, 1, 1)


def test_lengths_grow_with_the_step(steel: tuple[Bytes, Bytes]) -> None:
    first, second = (Physics.of(torch.from_numpy(each.copy()), CHANNELS) for each in steel)
    near, far = first.scores(second, 0.1), first.scores(second, 0.2)
    assert far["phase_correlation"] == pytest.approx(2 * near["phase_correlation"])
    assert {name for name in NAMES if near[name] != far[name]} == {"phase_correlation"}


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(0, 5, 6, 6, dtype=torch.uint8),
        torch.zeros(3, 4, 6, 6, dtype=torch.uint8),
        torch.zeros(3, 5, 6, 6),
        torch.zeros(5, 6, 6, dtype=torch.uint8),
    ],
    ids=["none", "channels", "float", "one image"],
)
def test_images_that_are_none_are_one_sentence(images: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"one image or more as bytes \(k, 5, height, width\)"):
        Physics.of(images, CHANNELS)


def test_other_sizes_are_one_sentence() -> None:
    small, large = (np.zeros((2, 5, side, side), np.uint8) for side in (6, 8))
    with pytest.raises(InputError, match="images of one size"):
        scores(small, large)
