"""Noise: which points are no measurement, and how they are filled from their neighbours.

The paper finds noisy pixels with a network that it does not describe. Here the usual rules find them or, on request,
a network of our own (`noise_network`).
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd import crystal
from qgan.ebsd.grains import segment
from qgan.ebsd.scan import NOISE, Scan
from qgan.ebsd.settings import Settings

LOUD = 0.3  # filled share above which a map says more about the filling than about the steel


@dataclass(frozen=True)
class CleaningRecord:
    """What cleaning did to one map; shares of all its points."""

    source: str
    height: int
    width: int
    step_um: float
    raw: float  # not indexed, or absent
    flagged: float  # noise before filling: raw, and what rules or network found
    filled: float
    left: float  # still noise afterwards
    passes: int
    warnings: tuple[str, ...]  # the reader's and the cleaner's


@dataclass(frozen=True, eq=False)
class CleanMap:
    """A cleaned map."""

    orientations: crystal.Floats  # (H, W, 4)
    phase: NDArray[np.uint8]  # (H, W), NOISE where nothing could be filled
    quality: NDArray[np.float32]  # (H, W), as measured; NaN where absent
    step_um: float
    record: CleaningRecord


def clean(scan: Scan, settings: Settings) -> CleanMap:
    """Flag noise, then fill it pass by pass from the neighbour of most similar image quality."""
    orientations = crystal.from_euler(scan.euler)
    phase = scan.phase.copy()
    raw = np.mean(phase == NOISE)
    phase[noise_mask(scan, orientations, settings)] = NOISE
    flagged = np.mean(phase == NOISE)
    passes = _fill(orientations, phase, scan.quality, settings)
    left = np.mean(phase == NOISE)
    warnings = scan.warnings
    if flagged - left > LOUD:
        warnings += (f"{flagged - left:.0%} of the points were filled from their neighbours: use with care",)
    if left > LOUD:
        warnings += (f"{left:.0%} of the points are noise that could not be filled: use with care",)
    record = CleaningRecord(
        source=scan.source,
        height=scan.shape[0],
        width=scan.shape[1],
        step_um=scan.step_um,
        raw=float(raw),
        flagged=float(flagged),
        filled=float(flagged - left),
        left=float(left),
        passes=passes,
        warnings=warnings,
    )
    return CleanMap(orientations, phase, scan.quality, scan.step_um, record)


def noise_mask(scan: Scan, orientations: crystal.Floats, settings: Settings) -> NDArray[np.bool_]:
    """Which pixels (H, W) are noise: not indexed, and what `settings.noise` finds among the others.

    Rules: a true confidence index below the limit, and regions of one orientation too small to be grains.
    """
    if settings.noise == "network":
        from qgan.ebsd.noise_network import find_noise  # torch, only where it is asked for

        return find_noise(scan, orientations)
    phase = scan.phase.copy()
    if scan.confidence is not None:
        phase[scan.confidence < settings.min_confidence] = NOISE
    regions = segment(orientations, phase, settings.grain_angle_deg)
    is_small = np.append(regions.sizes < settings.min_region, True)  # label -1: noise
    return np.asarray(is_small[regions.labels], np.bool_)


def _fill(
    orientations: crystal.Floats, phase: NDArray[np.uint8], quality: NDArray[np.float32], settings: Settings
) -> int:
    """Fill noise in place, all pixels of a pass at once; how many passes changed something."""
    around = np.array([shift for shift in product((-1, 0, 1), repeat=2) if shift != (0, 0)])
    limits = np.array(phase.shape) - 1
    for done in range(settings.max_passes):
        noise = np.argwhere(phase == NOISE)
        places = noise[:, None] + around  # (noise, 8, 2)
        inside = np.all((places >= 0) & (places <= limits), axis=-1)
        rows, columns = np.moveaxis(np.clip(places, 0, limits), -1, 0)
        valid = inside & (phase[rows, columns] != NOISE)
        fillable = np.flatnonzero(valid.sum(axis=1) >= settings.min_neighbours)
        if not len(fillable):
            return done
        rows, columns, valid = rows[fillable], columns[fillable], valid[fillable]
        row, column = noise[fillable].T
        difference = np.abs(quality[rows, columns] - quality[row, column][:, None])
        # an absent point has no quality: any valid neighbour will do
        difference[np.isnan(difference)] = np.finfo(np.float32).max
        cost = np.where(valid, difference, np.inf)
        best = np.argmin(cost, axis=1)
        donor = rows[np.arange(len(best)), best], columns[np.arange(len(best)), best]
        orientations[row, column] = orientations[donor]
        phase[row, column] = phase[donor]
    return settings.max_passes
