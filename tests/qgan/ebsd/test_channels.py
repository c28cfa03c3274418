"""Cleaning, grains, channels and windows: identities first."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qgan.ebsd import crystal
from qgan.ebsd.channels import CHANNELS, IQ, KAM, KS_DEVIATION, kernel_average, ks_deviation, map_channels
from qgan.ebsd.cleaning import CleanMap, clean
from qgan.ebsd.grains import Grains, mean_orientations, segment
from qgan.ebsd.patches import cut_scan, join, windows
from qgan.ebsd.scan import BCC, FCC, NOISE, Scan
from qgan.ebsd.settings import Settings
from qgan.errors import InputError

SETTINGS = Settings(patch=32)


def scan_of(phase: np.ndarray, angle_deg: np.ndarray, quality: np.ndarray | None = None) -> Scan:
    """A map whose orientations turn about the specimen's normal."""
    euler = np.zeros((*phase.shape, 3), np.float32)
    euler[..., 0] = np.radians(angle_deg)
    if quality is None:
        quality = np.random.default_rng(0).uniform(50, 100, phase.shape)
    return Scan("test", euler, phase.astype(np.uint8), quality.astype(np.float32), "IQ", None, 0.5, "test", ())


def measured(cleaned: CleanMap, settings: Settings = SETTINGS) -> tuple[Grains, np.ndarray, np.ndarray]:
    grains = segment(cleaned.orientations, cleaned.phase, settings.grain_angle_deg)
    return grains, kernel_average(cleaned, grains, settings), ks_deviation(cleaned, grains, settings)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_random_symmetry_per_pixel_changes_no_channel(bainite: Scan, seed: int) -> None:
    cleaned = clean(bainite, SETTINGS)
    rng = np.random.default_rng(seed)
    operators = (
        crystal.symmetries()[rng.integers(24, size=bainite.shape)] * rng.choice([-1, 1], bainite.shape)[..., None]
    )
    disguised = replace(cleaned, orientations=crystal.multiply(operators, cleaned.orientations))
    grains, kam, ks = measured(cleaned)
    grains2, kam2, ks2 = measured(disguised)
    np.testing.assert_array_equal(grains2.labels, grains.labels)
    np.testing.assert_allclose(kam2, kam, atol=5e-6)  # the arc cosine one ulp below 1 is 1.7e-6 deg
    np.testing.assert_allclose(ks2, ks, atol=1e-6)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_turning_the_specimen_changes_no_channel(bainite: Scan, seed: int) -> None:
    """Vendors' frames differ by rotations of the specimen: none needs converting."""
    cleaned = clean(bainite, SETTINGS)
    turn = crystal.unit(np.random.default_rng(seed).normal(size=4))
    grains, kam, ks = measured(cleaned)
    grains2, kam2, ks2 = measured(replace(cleaned, orientations=crystal.multiply(cleaned.orientations, turn)))
    np.testing.assert_array_equal(grains2.labels, grains.labels)
    np.testing.assert_allclose(kam2, kam, atol=5e-6)  # the arc cosine one ulp below 1 is 1.7e-6 deg
    np.testing.assert_allclose(ks2, ks, atol=1e-6)


def test_the_transposed_map_has_transposed_channels(bainite: Scan) -> None:
    # qualities without ties: of two equal donors either may fill a noise pixel
    quality = bainite.quality + np.random.default_rng(0).uniform(0, 0.1, bainite.shape).astype(np.float32)
    upright = replace(bainite, quality=quality)
    assert bainite.confidence is not None
    lying = replace(
        upright,
        euler=upright.euler.transpose(1, 0, 2),
        phase=upright.phase.T,
        quality=quality.T,
        confidence=bainite.confidence.T,
    )
    channels = []
    for each in (upright, lying):
        cleaned = clean(each, SETTINGS)
        grains = segment(cleaned.orientations, cleaned.phase, SETTINGS.grain_angle_deg)
        channels.append(map_channels(cleaned, grains, SETTINGS).pixels.astype(int))
    assert np.abs(channels[0] - channels[1].transpose(0, 2, 1)).max() <= 1  # sums in another order round differently


def test_kam_is_the_mean_over_the_neighbours_brute_force(bainite: Scan) -> None:
    for order, shape, periphery in (
        (1, "square", False),
        (2, "square", False),
        (2, "circle", False),
        (2, "square", True),
    ):
        settings_ = replace(SETTINGS, kam_order=order, kam_shape=shape, kam_periphery=periphery)
        cleaned = clean(bainite, settings_)
        grains, kam, _ = measured(cleaned, settings_)
        rng = np.random.default_rng(0)
        for row, column in rng.integers(0, 96, (200, 2)):
            angles = []
            for i in range(max(row - order, 0), min(row + order, 95) + 1):
                for j in range(max(column - order, 0), min(column + order, 95) + 1):
                    far = max(abs(i - row), abs(j - column)) if shape == "square" else np.hypot(i - row, j - column)
                    if far > order or (periphery and far < order):
                        continue
                    if (i, j) != (row, column) and grains.labels[i, j] == grains.labels[row, column] >= 0:
                        pair = cleaned.orientations[row, column], cleaned.orientations[i, j]
                        angle = np.degrees(crystal.disorientation(*pair))
                        angles += [float(angle)] if angle < 5 else []
            expected = np.mean(angles) if angles else np.nan
            assert kam[row, column] == pytest.approx(expected, nan_ok=True)


def test_kam_of_a_uniform_gradient_is_the_step() -> None:
    columns = np.tile(np.arange(40) * 0.5, (40, 1))
    _, kam, _ = measured(clean(scan_of(np.ones((40, 40)), columns), SETTINGS))
    assert kam[1:-1, 1:-1] == pytest.approx(0.5 * 6 / 8, abs=1e-4)  # six of eight neighbours are a step away


def test_grains_end_at_phases_large_angles_and_noise() -> None:
    phase = np.ones((6, 9))
    phase[:, 3] = NOISE
    phase[:3, 6:] = FCC
    angle = np.zeros((6, 9))
    angle[3:, 6:] = 20
    grains = segment(crystal.from_euler(scan_of(phase, angle).euler), phase.astype(np.uint8), 5)
    assert grains.labels[0].tolist() == [0, 0, 0, -1, 1, 1, 2, 2, 2]
    assert grains.labels[5].tolist() == [0, 0, 0, -1, 1, 1, 3, 3, 3]
    assert grains.sizes.tolist() == [18, 12, 9, 9]
    assert grains.phase.tolist() == [BCC, BCC, FCC, BCC]


def test_grain_means_stand_in_the_middle_of_their_grains(bainite: Scan) -> None:
    cleaned = clean(bainite, SETTINGS)
    grains, _, _ = measured(cleaned)
    means = mean_orientations(cleaned.orientations, grains)
    inside = grains.labels >= 0
    angles = np.degrees(crystal.disorientation(cleaned.orientations[inside], means[grains.labels[inside]]))
    assert np.median(angles) < 6
    pixel = np.random.default_rng(0).permutation(np.flatnonzero(inside))[: 20 * grains.count]
    label = grains.labels.ravel()[pixel]
    some = means.copy()
    some[label] = cleaned.orientations.reshape(-1, 4)[pixel]  # one pixel of each grain in place of its mean
    spread = [
        np.bincount(
            grains.labels[inside],
            crystal.disorientation(cleaned.orientations[inside], each[grains.labels[inside]]) ** 2,
        )
        for each in (means, some)
    ]
    assert (spread[0] <= spread[1] + 1e-9).all()
    assert np.allclose(np.linalg.norm(means, axis=1), 1)


@pytest.mark.parametrize("neighbour_phase", [BCC, FCC])
@pytest.mark.parametrize("variant", [0, 7, 23])
def test_exact_variants_deviate_by_nothing_and_turned_ones_by_their_turn(neighbour_phase: int, variant: int) -> None:
    mother = crystal.unit(np.array([0.3, -0.5, 0.2, 0.7]))
    first, second = crystal.multiply(crystal.austenite_relations("KS")[[3, (3 + variant) % 24]], mother)
    other = second if neighbour_phase == BCC else mother
    turned = crystal.multiply(crystal.from_rotation_vector(np.array([0, 0, np.radians(1.5)])), first)
    q = np.where(np.arange(40)[:, None] < 20, turned, other) * np.ones((40, 1, 1))
    phase = np.where(np.arange(40) < 20, BCC, neighbour_phase) * np.ones((40, 1), int)
    scan = scan_of(np.ones((40, 40)), np.zeros((40, 40)))
    cleaned = replace(clean(scan, SETTINGS), orientations=q, phase=phase.astype(np.uint8))
    _, _, ks = measured(cleaned)
    if neighbour_phase == BCC and variant == 0:
        assert np.isnan(ks).all()  # one variant: one grain, and no neighbour
    else:
        assert ks[:, :20] == pytest.approx(1.5, abs=1e-5)
    assert np.isnan(ks[:, 20:]).all() == (neighbour_phase == FCC or variant == 0)


def test_the_reference_is_the_median_neighbour_by_boundary_length() -> None:
    """A grain in the middle of three others is measured against the one that holds the median of its boundary."""
    mother = crystal.unit(np.array([0.3, -0.5, 0.2, 0.7]))
    variants = crystal.multiply(crystal.austenite_relations("KS")[[0, 4, 9, 14]], mother)
    turns = np.radians([0, 1.0, 2.0, 3.0])[:, None] * np.array([[0.6, 0, 0.8]])
    grains_q = crystal.multiply(crystal.from_rotation_vector(turns), variants)
    which = np.zeros((40, 40), int)
    which[:, :10], which[:, 30:], which[:8, 10:30] = 1, 3, 2  # boundaries of 32, 32 and 20 with grain 0
    cleaned = replace(clean(scan_of(np.ones((40, 40)), np.zeros((40, 40))), SETTINGS), orientations=grains_q[which])
    _, _, ks = measured(cleaned)
    relations = crystal.ferrite_relations("KS")
    deltas = sorted(
        (float(crystal.disorientation(grains_q[0], crystal.multiply(relations, grains_q[k])).min()), length)
        for k, length in ((1, 32), (2, 20), (3, 32))
    )
    assert ks[20, 20] == pytest.approx(np.degrees(deltas[1][0]), abs=1e-6)


def test_noise_is_filled_from_the_neighbour_of_like_quality() -> None:
    phase, angle = np.ones((32, 32)), np.zeros((32, 32))
    phase[:, 16:], angle[:, 16:] = FCC, 30
    quality = np.where(np.arange(32) < 16, 50.0, 100.0) * np.ones((32, 1))
    phase[10, 15:17], quality[10, 15:17] = NOISE, [52, 99]
    cleaned = clean(scan_of(phase, angle, quality), SETTINGS)
    assert cleaned.phase[10, 14:18].tolist() == [BCC, BCC, FCC, FCC]
    assert cleaned.quality[10, 15] == 52
    record = cleaned.record
    assert (record.raw, record.filled, record.left, record.passes) == (2 / 1024, 2 / 1024, 0, 1)


def test_wild_spikes_and_low_confidence_are_noise() -> None:
    angle = np.zeros((32, 32))
    angle[5, 5], angle[20, 20:23] = 40, 40  # one pixel goes, three stay
    scan = scan_of(np.ones((32, 32)), angle)
    confidence = np.full((32, 32), 0.5, np.float32)
    confidence[0, 0] = 0.05
    cleaned = clean(replace(scan, confidence=confidence), SETTINGS)
    assert cleaned.record.flagged == pytest.approx(2 / 1024)
    assert segment(cleaned.orientations, cleaned.phase, 5).count == 2


def test_large_holes_fill_slowly_and_loudly() -> None:
    phase = np.ones((40, 40))
    phase[5:35, 5:35] = NOISE
    cleaned = clean(scan_of(phase, np.zeros((40, 40))), replace(SETTINGS, max_passes=20))
    assert cleaned.record.filled > 0.3 and "filled" in cleaned.record.warnings[-1]
    kept = clean(scan_of(phase, np.zeros((40, 40))), replace(SETTINGS, max_passes=2))
    assert kept.record.left > 0.3 and "noise" in kept.record.warnings[-1]
    assert clean(scan_of(0 * phase, phase), SETTINGS).record.left == 1


def test_bytes_keep_the_limit_and_the_sentinel_apart() -> None:
    assert KAM.encode(np.array([0, 1.75, 3, 9, np.nan])).tolist() == [0, 128, 218, 218, 255]
    assert KS_DEVIATION.encode(np.array([15, 40, np.nan])).tolist() == [191, 191, 255]
    assert IQ.encode(np.array([0, 1, np.nan])).tolist() == [0, 255, 0]
    for channel in CHANNELS:
        values = channel.decode(np.arange(256, dtype=np.uint8))
        assert values[-1] == pytest.approx(channel.full_scale)
        legal = values[values <= channel.limit]
        np.testing.assert_array_equal(channel.encode(legal), np.arange(len(legal)))


def test_windows_centre_on_their_grains_and_obey_the_edge(bainite: Scan) -> None:
    for edge in ("skip", "clamp"):
        settings_ = replace(SETTINGS, edge=edge)
        cut = cut_scan(bainite, settings_)
        assert len(cut) > 3
        assert (cut.row >= 0).all() and (cut.row <= 96 - 32).all()
        assert cut.images.shape[1:] == (5, 32, 32)
        mask = cut.images[:, 4] == 255
        assert (mask.sum(axis=(1, 2)) > 0).all() and np.isin(cut.images[:, 4], (0, 255)).all()
        assert (cut.images[:, 1][mask] == 85).all()  # the central grain is ferrite
        if edge == "skip":
            assert mask[:, 16, 16].all()
    assert len(cut_scan(bainite, replace(SETTINGS, edge="clamp"))) > len(cut_scan(bainite, SETTINGS))


def test_a_bent_grain_has_its_centre_inside() -> None:
    labels = np.zeros((60, 60), np.int32)
    labels[10:50, 10:50], labels[15:50, 15:45] = 1, 0  # an arch
    grains = Grains(labels, np.bincount(labels.ravel()), np.full(2, BCC, np.uint8))
    grain, row, column = windows(grains, Settings(patch=10))
    at = grain.tolist().index(1)
    assert labels[row[at] + 5, column[at] + 5] == 1


def test_a_scan_smaller_than_a_patch_names_the_largest_that_fits(bainite: Scan) -> None:
    with pytest.raises(InputError, match=r"--patch 96"):
        cut_scan(bainite, Settings(patch=100))


def test_maps_of_other_steps_and_maps_without_patches_are_refused(bainite: Scan) -> None:
    fine, coarse = (
        cut_scan(each, SETTINGS, microstructure="bainite") for each in (bainite, replace(bainite, step_um=0.5))
    )
    with pytest.raises(InputError, match=r"build two files or bring all to one step with --resample-step 0\.5"):
        join([fine, coarse], SETTINGS)
    austenite = np.where(bainite.phase == NOISE, NOISE, FCC).astype(np.uint8)
    empty = cut_scan(replace(bainite, phase=austenite), SETTINGS)
    with pytest.raises(InputError, match="no patch of 32 x 32"):
        join([empty], SETTINGS)
    joined = join([fine, empty, fine], SETTINGS)
    assert joined.footer.microstructures == {"bainite": 2 * len(fine)}
    assert set(joined.index.map_id.tolist()) == {0, 2}
    assert joined.footer.cleaning[0]["iq_low"] < joined.footer.cleaning[0]["iq_high"]


@pytest.mark.parametrize(
    "wrong", [{"patch": 4}, {"centre": "hcp"}, {"edge": "mirror"}, {"min_neighbours": 0}, {"grain_angle_deg": 60}]
)
def test_settings_out_of_range_name_their_key(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError) as caught:
        Settings(**wrong)  # type: ignore[arg-type]
    assert caught.value.key == next(iter(wrong))
