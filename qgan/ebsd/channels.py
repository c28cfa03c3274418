"""The five channels of a patch, in physical units and as bytes."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd import crystal
from qgan.ebsd.cleaning import CleanMap
from qgan.ebsd.grains import Grains, mean_orientations, neighbours
from qgan.ebsd.scan import BCC, FCC
from qgan.ebsd.settings import Settings


@dataclass(frozen=True)
class Channel:
    """How a channel's bytes are read: byte b means b / 255 * full_scale in `unit`."""

    name: str
    unit: str
    full_scale: float
    limit: float  # largest measured value; measurements above it are clipped to it
    sentinel: float | None  # the value that marks "no measurement"

    def encode(self, values: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Values in `unit`, NaN for no measurement -> bytes; a clipped value never rounds up past `limit`."""
        top = np.floor(self.limit / self.full_scale * 255 + 1e-9)
        scaled = np.clip(np.rint(values / self.full_scale * 255), 0, top)
        missing = 0.0 if self.sentinel is None else self.sentinel / self.full_scale * 255
        return np.where(np.isnan(values), missing, scaled).astype(np.uint8)

    def decode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Bytes -> values in `unit`, the sentinel as itself."""
        return (pixels * np.float32(self.full_scale / 255)).astype(np.float32)


CHANNELS: tuple[Channel, ...] = (
    Channel("iq", "share of the map's range", 1.0, 1.0, None),
    Channel("phase", "0 noise, 1 BCC, 2 FCC, 3 other", 3.0, 3.0, None),
    Channel("kam", "deg", 3.5, 3.0, 3.5),
    Channel("ks_deviation", "deg", 20.0, 15.0, 20.0),
    Channel("mask", "1 = central grain", 1.0, 1.0, None),
)
IQ, PHASE, KAM, KS_DEVIATION, MASK = CHANNELS


@dataclass(frozen=True)
class ScalingRecord:
    """What the bytes of one map leave out: the range of its IQ channel, shares of pixels clipped or unmeasured."""

    iq_low: float  # raw image quality of byte 0
    iq_high: float  # of byte 255
    kam_clipped: float  # above the channel's limit, of all points
    kam_missing: float  # without measurement
    ks_clipped: float
    ks_missing: float


@dataclass(frozen=True, eq=False)
class MapChannels:
    """The channels of a whole map."""

    pixels: NDArray[np.uint8]  # (4, H, W): IQ, phase, KAM and Kurdjumov-Sachs deviation
    record: ScalingRecord


def map_channels(cleaned: CleanMap, grains: Grains, settings: Settings) -> MapChannels:
    """IQ, phase, KAM and Kurdjumov-Sachs deviation of a whole map."""
    low, high = quality_range(cleaned.quality, settings)
    kam, ks = kernel_average(cleaned, grains, settings), ks_deviation(cleaned, grains, settings)
    pixels = [
        IQ.encode(np.clip((cleaned.quality.astype(np.float64) - low) / (high - low), 0, 1)),
        PHASE.encode(cleaned.phase.astype(np.float64)),
        KAM.encode(kam),
        KS_DEVIATION.encode(ks),
    ]
    shares = [float(share) for share in (*_outside(kam, KAM), *_outside(ks, KS_DEVIATION))]
    return MapChannels(np.stack(pixels), ScalingRecord(low, high, *shares))


def _outside(values: crystal.Floats, channel: Channel) -> tuple[np.floating, np.floating]:
    """Shares of the pixels above the channel's limit and without measurement."""
    return np.mean(values > channel.limit), np.mean(np.isnan(values))


def quality_range(quality: NDArray[np.float32], settings: Settings) -> tuple[float, float]:
    """Image qualities of bytes 0 and 255: two percentiles of the map, or 0 and 255."""
    if settings.iq_scale == "fixed":
        return 0.0, 255.0
    if not np.isfinite(quality).any():
        return 0.0, 1.0
    low, high = np.nanpercentile(quality, [settings.iq_low_percentile, settings.iq_high_percentile])
    return float(low), float(high) if high > low else float(low) + 1.0


def kernel_average(cleaned: CleanMap, grains: Grains, settings: Settings) -> crystal.Floats:
    """KAM (H, W), degrees: mean disorientation to the kernel's pixels of the same grain; NaN where there is none.

    Means nothing without kernel, threshold and step size: all three are in the file.
    """
    labels, q = grains.labels, cleaned.orientations
    total, count = np.zeros(labels.shape), np.zeros(labels.shape, np.int32)
    limit = np.radians(settings.kam_angle_deg)
    # half of the kernel: each pair is measured once and counts for both of its pixels
    shifts = [shift for shift in kernel(settings) if shift > (0, 0)]
    for shift in shifts:
        here, there = neighbours((labels.shape[0], labels.shape[1]), shift)
        angle = crystal.disorientation(q[here], q[there])
        same = (labels[here] == labels[there]) & (labels[here] >= 0) & (angle < limit)
        for side in (here, there):
            total[side] += np.where(same, angle, 0)
            count[side] += same
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return np.asarray(np.degrees(mean), np.float64)


def kernel(settings: Settings) -> list[tuple[int, int]]:
    """The pixels (rows, columns) away that KAM averages over."""
    order = settings.kam_order
    every = product(range(-order, order + 1), repeat=2)
    if settings.kam_shape == "circle":
        shifts = [(i, j) for i, j in every if 0 < i * i + j * j <= order * order]
        return [(i, j) for i, j in shifts if i * i + j * j > (order - 1) ** 2] if settings.kam_periphery else shifts
    shifts = [(i, j) for i, j in every if (i, j) != (0, 0)]
    return [(i, j) for i, j in shifts if max(abs(i), abs(j)) == order] if settings.kam_periphery else shifts


def ks_deviation(cleaned: CleanMap, grains: Grains, settings: Settings) -> crystal.Floats:
    """Deviation (H, W), degrees, of every ferrite pixel from the orientation relationship; NaN where unavailable.

    The paper does not define it. Here ("neighbour"): a ferrite grain is compared with each neighbour, through the
    23 relations of two variants of one austenite crystal for a ferrite neighbour, through the 24 variants for
    an austenite one; the neighbour at the median, weighted by boundary length, is its reference, and all its
    pixels are measured against that one relation. NaN: noise, other phases, grains without such a neighbour.
    """
    if not grains.count:
        return np.full(grains.labels.shape, np.nan)
    target = _reference_orientations(mean_orientations(cleaned.orientations, grains), grains, settings)
    target = np.append(target, np.full((1, 4), np.nan), axis=0)  # of label -1
    return np.degrees(crystal.disorientation(cleaned.orientations, target[grains.labels]))


def _boundaries(grains: Grains, settings: Settings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of neighbouring grains (n, 2) in both directions, and boundary lengths (n,) in pixel edges."""
    keys = []
    for shift in ((0, 1), (1, 0)):
        here, there = neighbours((grains.labels.shape[0], grains.labels.shape[1]), shift)
        p, q = grains.labels[here].astype(np.int64), grains.labels[there].astype(np.int64)
        apart = (p != q) & (p >= 0) & (q >= 0)
        keys += [p[apart] * grains.count + q[apart], q[apart] * grains.count + p[apart]]
    key, length = np.unique(np.concatenate(keys), return_counts=True)
    pairs = np.stack([key // grains.count, key % grains.count], axis=-1)
    usable = (length >= settings.ks_min_boundary) & np.all(grains.sizes[pairs] >= settings.ks_min_grain, axis=1)
    return pairs[usable], length[usable]


def _reference_orientations(means: crystal.Floats, grains: Grains, settings: Settings) -> crystal.Floats:
    """Where the relation to its reference neighbour would put each grain (count, 4); NaN without reference."""
    pairs, length = _boundaries(grains, settings)
    from_ferrite = (grains.phase[pairs[:, 0]] == BCC) & np.isin(grains.phase[pairs[:, 1]], (BCC, FCC))
    pairs, length = pairs[from_ferrite], length[from_ferrite]
    ideal = np.empty((len(pairs), 4))
    for code, relations in ((BCC, crystal.ferrite_relations), (FCC, crystal.austenite_relations)):
        chosen = np.flatnonzero(grains.phase[pairs[:, 1]] == code)
        nearest = crystal.Nearest.to(relations(settings.ks_relation))
        ideal[chosen] = nearest.of(means[pairs[chosen, 0]], means[pairs[chosen, 1]])
    delta = crystal.disorientation(means[pairs[:, 0]], ideal)

    target = np.full((grains.count, 4), np.nan)
    order = np.lexsort((delta, pairs[:, 0]))
    grain, weight = pairs[order, 0], length[order]
    ends = np.cumsum(weight)
    total = np.bincount(grain, weight, grains.count)
    before = np.concatenate([[0], np.cumsum(total)])[grain]  # weight of all earlier grains
    past_median = np.flatnonzero(ends - before >= total[grain] / 2)
    median_grain, first = np.unique(grain[past_median], return_index=True)
    target[median_grain] = ideal[order][past_median[first]]
    return target
