"""What indexing makes of a steel: angular noise, dips and errors at boundaries, drift of the beam; truth included."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd import crystal
from qgan.ebsd.crystal import Floats
from qgan.ebsd.geometry import Labels, random_orientations, smooth, vectors
from qgan.ebsd.scan import BCC, FCC, NOISE, Phase, Scan

PHASES = (Phase(1, "Iron bcc", 2.866, BCC), Phase(2, "Iron fcc", 3.595, FCC))
MISINDEXED = 0.3  # share of indexing errors that carry a wrong orientation instead of none


@dataclass(frozen=True, eq=False)
class Steel:
    """The truth of a map, before it is measured."""

    orientations: Floats  # (H, W, 4)
    phase: NDArray[np.uint8]  # (H, W)
    regions: Labels  # (H, W), borders between them are hard to index
    quality: Floats  # (H, W), image quality without borders and noise, 0 to 1
    error_share: float  # of all points


@dataclass(frozen=True, eq=False)
class KnownScan:
    """A measured map and what is true of it."""

    scan: Scan
    wrong: NDArray[np.bool_]  # (H, W), not indexed or of an orientation that is not the steel's


def measure(steel: Steel, step_um: float, rng: np.random.Generator, source: str, vendor: str) -> KnownScan:
    """The scan of a steel. Wrong orientations come alone or in small clumps, as overlapping patterns make them."""
    shape = steel.phase.shape
    near = borders(steel.regions)
    drift = 0.03 * smooth(shape[0], shape[0] / 4, 1, rng)[..., 0]
    quality = steel.quality - rng.uniform(0.05, 0.15) * near + drift
    quality += rng.normal(0, rng.uniform(0.02, 0.05), shape)
    confidence = 1.2 * quality - 0.15 * near + rng.normal(0, 0.08, shape)

    weight = 0.25 + near
    error = rng.random(shape) < steel.error_share * weight / weight.mean()
    wrong = error & (rng.random(shape) < MISINDEXED)
    jitter = vectors(np.full(shape, np.radians(rng.uniform(0.12, 0.35))), rng)
    orientations = crystal.multiply(crystal.from_rotation_vector(jitter), steel.orientations)
    orientations[wrong] = random_orientations(int(wrong.sum()), rng)
    for shift, axis in ((1, 0), (1, 1), (-1, 1)):  # each step of a clump takes its neighbour's orientation
        joins = np.roll(wrong, shift, axis) & (rng.random(shape) < 0.15) & ~wrong
        orientations[joins] = np.roll(orientations, shift, axis)[joins]
        wrong |= joins
    missing = error & ~wrong
    confidence[wrong] *= rng.uniform(0.2, 0.7, int(wrong.sum()))
    confidence = np.clip(confidence, 0.01, 0.98)
    confidence[missing] = -1
    gain = rng.uniform(80, 120)
    scan = Scan(
        source=source,
        euler=np.where(missing[..., None], 0, crystal.to_euler(orientations)).astype(np.float32),
        phase=np.where(missing, NOISE, steel.phase).astype(np.uint8),
        quality=np.round(np.clip(quality, 0.02, None) * gain, 1).astype(np.float32),
        quality_kind="IQ",
        confidence=np.round(confidence, 3).astype(np.float32),
        step_um=step_um,
        vendor=vendor,
        phases=PHASES,
    )
    return KnownScan(scan, missing | wrong)


def borders(regions: Labels) -> Floats:
    """How much of a border each pixel (H, W) is: 0.5 with one neighbour of another region, 1 with more."""
    border = np.zeros(regions.shape)
    for axis in (0, 1):
        step = np.diff(regions, axis=axis) != 0
        border += np.pad(step, [(0, int(axis == k)) for k in (0, 1)])
        border += np.pad(step, [(int(axis == k), 0) for k in (0, 1)])
    return np.minimum(border / 2, 1)
