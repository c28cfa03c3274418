"""Noisy pixels found by a small network, as the paper does with one that it does not describe.

It is trained here, on synthetic maps whose noise is known, in some seconds and always from the same seed. It sees
what does not depend on frames and symmetry: disorientations to the four neighbours, image quality, confidence.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qgan.ebsd import crystal
from qgan.ebsd.grains import neighbours
from qgan.ebsd.microscope import KnownScan
from qgan.ebsd.scan import NOISE, Scan
from qgan.ebsd.synthetic_maps import known_map

SEED = 1930
_FEATURES = 8
_FARTHEST = np.radians(15)  # disorientations above are all alike
_MAPS, _SIZE = 12, 128  # trained on, of each microstructure; pixels
_HELD_OUT = 6  # maps of each microstructure that measure it
_STEPS, _BATCH, _CROP = 400, 8, 48
_STRIP = 1 << 18  # pixels judged at a time
_REACH = 2  # pixels that the network looks to each side

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Score:
    """How well noise is found among all pixels of the held-out maps."""

    precision: float  # share of the flagged pixels that are noise
    recall: float  # share of the noise that is flagged
    misindexed_recall: float  # the same among pixels that carry a wrong orientation

    def __str__(self) -> str:
        return (
            f"precision {self.precision:.3f}, recall {self.recall:.3f} "
            f"(of wrongly indexed points {self.misindexed_recall:.3f})"
        )


def find_noise(scan: Scan, orientations: crystal.Floats) -> Mask:
    """Which pixels (H, W) of a scan are noise by the network's judgement, unindexed ones included."""
    network = _network()
    features = torch.from_numpy(_features(scan, orientations))
    rows = max(1, _STRIP // scan.shape[1])
    noise = np.empty(scan.shape, np.bool_)
    with torch.inference_mode():
        for start in range(0, scan.shape[0], rows):
            low = max(start - _REACH, 0)
            judged = network(features[None, :, low : start + rows + _REACH])[0, 0, start - low :]
            noise[start : start + rows] = (judged[:rows] > 0).numpy()
    return np.asarray(noise | (scan.phase == NOISE))


@cache
def scores() -> dict[str, Score]:
    """Precision and recall of the rules and of the network on held-out synthetic maps."""
    from qgan.ebsd.cleaning import noise_mask
    from qgan.ebsd.settings import Settings

    maps = _maps(_HELD_OUT, held_out=True)
    found = {}
    for name in ("rules", "network"):
        settings = Settings(noise=name)
        masks = [noise_mask(each.scan, each.scan.orientations, settings) for each in maps]
        found[name] = _score(maps, masks)
    return found


def _score(maps: list[KnownScan], masks: list[Mask]) -> Score:
    truth, flagged = (np.concatenate([each.ravel() for each in group]) for group in ([m.wrong for m in maps], masks))
    indexed = np.concatenate([each.scan.phase.ravel() for each in maps]) != NOISE
    hits = truth & flagged
    return Score(
        float(hits.sum() / flagged.sum()),
        float(hits.sum() / truth.sum()),
        float((hits & indexed).sum() / (truth & indexed).sum()),
    )


@cache
def _network() -> nn.Module:
    """The trained network: features (batch, 8, H, W) -> log odds of noise (batch, 1, H, W)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = nn.Sequential(
            nn.Conv2d(_FEATURES, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 1, 1),
        )
    rng = np.random.default_rng([SEED, 2])
    maps = _maps(_MAPS, held_out=False)
    seen = torch.from_numpy(np.stack([_features(each.scan, each.scan.orientations) for each in maps]))
    wrong = torch.from_numpy(np.stack([each.wrong for each in maps])).float()
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, _STEPS)
    for _ in range(_STEPS):
        inputs, targets = _crops(seen, wrong, rng)
        loss = nn.functional.binary_cross_entropy_with_logits(network(inputs)[:, 0], targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def _crops(seen: Tensor, wrong: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    places = zip(rng.integers(len(seen), size=_BATCH), *rng.integers(_SIZE - _CROP + 1, size=(2, _BATCH)), strict=True)
    windows = [(k, slice(top, top + _CROP), slice(left, left + _CROP)) for k, top, left in places]
    return (
        torch.stack([seen[k, :, rows, columns] for k, rows, columns in windows]),
        torch.stack([wrong[k, rows, columns] for k, rows, columns in windows]),
    )


def _maps(count: int, held_out: bool) -> list[KnownScan]:
    """Maps of both microstructures at steps from 0.15 to 0.6 um; half without confidence, as Oxford's are."""
    maps = []
    for k in range(2 * count):
        rng = np.random.default_rng([SEED, int(held_out), k])
        each = known_map(("ferrite", "bainite")[k // 2 % 2], _SIZE, rng.uniform(0.15, 0.6), rng, "known noise")
        maps.append(each if k % 2 else replace(each, scan=replace(each.scan, confidence=None)))
    return maps


def _features(scan: Scan, orientations: crystal.Floats) -> NDArray[np.float32]:
    """What the network sees of each pixel (8, H, W), each from 0 to 1."""
    shape = scan.shape
    apart = np.ones((4, *shape), np.float32)
    for k, shift in enumerate(((0, 1), (1, 0))):
        here, there = neighbours(shape, shift)
        angle = crystal.disorientation(orientations[here], orientations[there]) / _FARTHEST
        other = (scan.phase[here] != scan.phase[there]) | (scan.phase[here] == NOISE)
        apart[2 * k][here] = apart[2 * k + 1][there] = np.where(other, 1, np.minimum(angle, 1))
    quality = np.nan_to_num(scan.quality, nan=0)
    low, high = np.percentile(quality, [0.5, 99.5])
    confidence = np.full(shape, 0.5) if scan.confidence is None else np.nan_to_num(scan.confidence, nan=-1)
    return np.stack(
        [
            *apart,
            np.clip((quality - low) / max(high - low, 1e-12), 0, 1),
            np.clip(confidence, 0, 1),
            np.full(shape, scan.confidence is not None),
            scan.phase != NOISE,
        ]
    ).astype(np.float32)
