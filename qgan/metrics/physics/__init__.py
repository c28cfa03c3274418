"""Whether generated patches are physically possible, and whether they are the steel of the real ones.

Every score is 0 for the perfect generator and grows with the fault; its floor is the same score of another real batch
of the same size. g: generated, r: real; shares are of all pixels (of all images for masks), of one set where no
difference is written. W1: first Wasserstein distance, int |F_g - F_r| (Vallender, Theory Probab. Appl. 18 (1974) 784).
The rules are those of `qgan.ebsd.channels`, what no real patch can hold is in `readings`.

phase_noise, phase_bcc, phase_fcc, phase_other    |share_g - share_r| of the pixels, by the nearest allowed byte
phase_correlation       um    step * sum_r |rho_g(r) - rho_r(r)|, rho(r) of `maps.PhaseCorrelation`, r to half a side
kam_distance            deg   W1 of the measured pixels; sentinel and gap left out
kam_sentinel                  |share_g - share_r| of the pixels at 3.5 deg, "no measurement"
ks_deviation_distance   deg   W1 of the measured pixels of the deviation from Kurdjumov-Sachs
ks_deviation_sentinel         |share_g - share_r| of the pixels at 20 deg, "not available"
phase_gap, kam_gap, ks_deviation_gap, mask_gap    share of g's pixels further than `readings.TOLERANCE` from every byte
                              that a real patch can hold; exactly 0 for real patches
noise_disagreement            share of g's pixels that are noise (phase 0, or KAM at its sentinel) in one channel and
                              measured (KAM, deviation, or in the mask) in another
ks_deviation_off_bcc          share of g's pixels with a measured deviation in FCC or another phase: it has none there
mask_area                     W1 of the masks' shares of their image: the central grain's size
mask_components               W1 of the numbers of 4-connected pieces of the masks
mask_broken                   share of g's masks that are not one piece
mask_off_centre               share of g's masks without the middle of the image

NaN, and nothing else, means that a score has no meaning: its channel is missing from the set, one of the two sets has
no measured pixel at all (the scores of sentinel and gap say so) or only one phase, and then no correlation.
Some floors are not exactly 0: a window may cut a bent grain in two, --edge clamp moves grains off the centre, and
noise and KAM agree in every pixel only where grains end at `kam_angle_deg` or below it, as they do by default. KAM
and lengths depend on the step: both sets must have the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance
from torch import Tensor, uint8

from qgan.ebsd.channels import KAM, KS_DEVIATION, MASK, PHASE, Channel
from qgan.ebsd.scan import BCC, FCC, NOISE, OTHER
from qgan.errors import InputError
from qgan.metrics.physics.maps import Masks, PhaseCorrelation
from qgan.metrics.physics.readings import Levels, Measurements

PHASES = {"noise": NOISE, "bcc": BCC, "fcc": FCC, "other": OTHER}
NAMES = (
    *(f"phase_{phase}" for phase in PHASES),
    "phase_gap",
    "phase_correlation",
    *(f"{channel.name}_{score}" for channel in (KAM, KS_DEVIATION) for score in ("distance", "sentinel", "gap")),
    "ks_deviation_off_bcc",
    "noise_disagreement",
    *(f"mask_{score}" for score in ("gap", "area", "components", "broken", "off_centre")),
)
SCORED = (PHASE, KAM, KS_DEVIATION, MASK)
_AT_ONCE = 256  # images: bounds the memory of spectra and labels


@dataclass(frozen=True, eq=False)
class Physics:
    """What the scores need to know of one set of images; a real set's serves any number of generated ones."""

    channels: dict[str, Channel]
    shape: tuple[int, int]
    histograms: dict[str, NDArray[np.int64]]  # channel's name -> (256,) pixels per byte
    noise_disagreement: float
    ks_off_bcc: float
    masks: Masks  # of no image where there is no mask
    correlation: NDArray[np.float64]  # rho (r,) of the phases, r = 0, 1, ... pixels; NaN where undefined

    @classmethod
    def of(cls, images: Tensor, channels: Sequence[Channel]) -> "Physics":
        """Of images (k, C, H, W) uint8 on any device, k >= 1, described by C channels in any order."""
        described = {channel.name: channel for channel in channels}
        if images.ndim != 4 or images.dtype != uint8 or not len(images) or images.shape[1] != len(described):
            raise InputError(
                f"physics needs one image or more as bytes (k, {len(described)}, height, width), a channel for each of "
                f"{', '.join(described)}, not {tuple(images.shape)} of {images.dtype}"
            )
        shape = images.shape[2], images.shape[3]
        histograms = {each.name: np.zeros(256, np.int64) for each in SCORED if each.name in described}
        correlation = PhaseCorrelation(shape, len(PHASES))
        pieces = [Masks.of(np.zeros((0, *shape), np.bool_))]
        disagreeing = off_bcc = 0
        for part in images.split(_AT_ONCE):
            pixels = dict(zip(described, np.moveaxis(part.cpu().numpy(), 1, 0), strict=True))
            for name, histogram in histograms.items():
                histogram += np.bincount(pixels[name].ravel(), minlength=256)
            noise, off_bcc_here = _contradictions(pixels, described)
            disagreeing += noise
            off_bcc += off_bcc_here
            if PHASE.name in pixels:
                correlation.add(Levels.of(described[PHASE.name]).nearest[pixels[PHASE.name]])
            if MASK.name in pixels:
                pieces.append(Masks.of(Levels.of(described[MASK.name]).nearest[pixels[MASK.name]] == 1))
        pixels_in_all = len(images) * shape[0] * shape[1]
        return cls(
            described,
            shape,
            histograms,
            disagreeing / pixels_in_all,
            off_bcc / pixels_in_all,
            Masks(*(np.concatenate(each) for each in zip(*pieces, strict=True))),
            correlation.curve(),
        )

    def scores(self, real: "Physics", step_um: float) -> dict[str, float]:
        """All of NAMES for this set as the generated one; step_um: side of a pixel, um."""
        if self.channels != real.channels or self.shape != real.shape:
            raise InputError(
                "physics compares images of one size and one set of channels: generated ones are "
                f"{self.shape} of {', '.join(self.channels)}, real ones {real.shape} of {', '.join(real.channels)}"
            )
        scores = dict.fromkeys(NAMES, np.nan)
        if PHASE.name in self.channels:
            levels = Levels.of(self.channels[PHASE.name])
            for name, code in PHASES.items():
                scores[f"phase_{name}"] = self._difference(real, PHASE, levels.nearest == code)
            scores["phase_gap"] = self._share(PHASE, levels.gap)
            scores["phase_correlation"] = step_um * float(np.abs(self.correlation - real.correlation).sum())
        for channel in (KAM, KS_DEVIATION):
            if channel.name in self.channels:
                read = Measurements.of(self.channels[channel.name])
                scores[f"{channel.name}_distance"] = _distance(
                    read.values[read.measured],
                    *(each.histograms[channel.name][read.measured] for each in (self, real)),
                )
                if self.channels[channel.name].sentinel is not None:
                    scores[f"{channel.name}_sentinel"] = self._difference(real, channel, read.sentinel)
                scores[f"{channel.name}_gap"] = self._share(channel, read.gap)
        if {PHASE.name, KAM.name} <= self.channels.keys():
            scores["noise_disagreement"] = self.noise_disagreement
        if {PHASE.name, KS_DEVIATION.name} <= self.channels.keys():
            scores["ks_deviation_off_bcc"] = self.ks_off_bcc
        if MASK.name in self.channels:
            scores["mask_gap"] = self._share(MASK, Levels.of(self.channels[MASK.name]).gap)
            scores["mask_area"] = float(wasserstein_distance(self.masks.area, real.masks.area))
            scores["mask_components"] = float(wasserstein_distance(self.masks.components, real.masks.components))
            scores["mask_broken"] = float(np.mean(self.masks.components != 1))
            scores["mask_off_centre"] = float(np.mean(~self.masks.centred))
        return scores

    def _share(self, channel: Channel, chosen: NDArray[np.bool_]) -> float:
        """Share of pixels with one of the chosen (256,) bytes."""
        histogram = self.histograms[channel.name]
        return float(histogram[chosen].sum() / histogram.sum())

    def _difference(self, real: "Physics", channel: Channel, chosen: NDArray[np.bool_]) -> float:
        return abs(self._share(channel, chosen) - real._share(channel, chosen))


def _contradictions(pixels: dict[str, NDArray[np.uint8]], channels: dict[str, Channel]) -> tuple[int, int]:
    """Pixels that are noise in one channel and measured in another, and pixels of FCC or others with a deviation."""
    nothing: NDArray[np.bool_] = np.zeros((), np.bool_)  # what a missing channel says
    noise = off_bcc = in_mask = kam_silent = kam_measured = ks_measured = nothing
    if PHASE.name in pixels:
        nearest = Levels.of(channels[PHASE.name]).nearest
        noise, off_bcc = ((nearest == NOISE)[pixels[PHASE.name]], (nearest > BCC)[pixels[PHASE.name]])
    if MASK.name in pixels:
        in_mask = (Levels.of(channels[MASK.name]).nearest == 1)[pixels[MASK.name]]
    if KAM.name in pixels:
        kam = Measurements.of(channels[KAM.name])
        kam_silent, kam_measured = kam.sentinel[pixels[KAM.name]], kam.measured[pixels[KAM.name]]
    if KS_DEVIATION.name in pixels:
        ks_measured = Measurements.of(channels[KS_DEVIATION.name]).measured[pixels[KS_DEVIATION.name]]
    disagreeing = (noise | kam_silent) & (kam_measured | ks_measured | in_mask)
    return int(np.count_nonzero(disagreeing)), int(np.count_nonzero(off_bcc & ks_measured))


def _distance(values: NDArray[np.float64], generated: NDArray[np.int64], real: NDArray[np.int64]) -> float:
    """W1 between two histograms over `values`; NaN where one is empty."""
    if not (generated.any() and real.any()):
        return np.nan
    return float(wasserstein_distance(values, values, generated, real))
