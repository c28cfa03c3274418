"""From maps to patches: one window per grain, centred on it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd.channels import MASK, map_channels
from qgan.ebsd.cleaning import CleaningRecord, clean
from qgan.ebsd.grains import Grains, centres, segment
from qgan.ebsd.patchset import Patches, assemble
from qgan.ebsd.scan import BCC, FCC, Scan
from qgan.ebsd.settings import Settings
from qgan.errors import InputError

STEP_RATIO = 1.5  # of the coarsest to the finest map in one file
_CENTRES = {"bcc": (BCC,), "fcc": (FCC,), "any": (BCC, FCC)}


@dataclass(frozen=True, eq=False)
class MapPatches:
    """The patches of one map."""

    images: NDArray[np.uint8]  # (count, 5, patch, patch)
    grain: NDArray[np.int32]  # (count,), the central grain's label
    row: NDArray[np.int32]  # (count,), first row of the window
    column: NDArray[np.int32]
    record: CleaningRecord

    def __len__(self) -> int:
        return len(self.images)

    def take(self, chosen: NDArray[np.int64]) -> "MapPatches":
        """Only the patches with these indices."""
        return MapPatches(self.images[chosen], self.grain[chosen], self.row[chosen], self.column[chosen], self.record)


def cut_scan(scan: Scan, settings: Settings) -> MapPatches:
    """Clean a scan, measure its channels and cut its patches; a scan smaller than a patch is an `InputError`."""
    largest = min(scan.shape)
    if largest < settings.patch:
        raise InputError(
            f"{scan.source}: {scan.shape[1]} x {scan.shape[0]} points are too few for patches of {settings.patch} "
            f"x {settings.patch}; the largest patch that fits is {largest} (--patch {largest})",
            "patch",
        )
    cleaned = clean(scan, settings)
    grains = segment(cleaned.orientations, cleaned.phase, settings.grain_angle_deg)
    channels = map_channels(cleaned, grains, settings)
    grain, row, column = windows(grains, settings)
    size = settings.patch
    images = np.empty((len(grain), len(channels) + 1, size, size), np.uint8)
    for image, label, top, left in zip(images, grain, row, column, strict=True):
        window = slice(top, top + size), slice(left, left + size)
        image[:-1] = channels[:, *window]
        image[-1] = MASK.encode((grains.labels[window] == label).astype(np.float64))
    return MapPatches(images, grain, row, column, cleaned.record)


def windows(grains: Grains, settings: Settings) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Label, first row and first column (count,) of every window, by label; its middle is the grain's centre."""
    chosen = (grains.sizes >= settings.min_grain) & np.isin(grains.phase, _CENTRES[settings.centre])
    centre_row, centre_column = centres(grains)
    top, left = centre_row - settings.patch // 2, centre_column - settings.patch // 2
    last_top, last_left = np.array(grains.labels.shape) - settings.patch
    if settings.edge == "clamp":
        top, left = np.clip(top, 0, last_top), np.clip(left, 0, last_left)
    chosen &= (top >= 0) & (left >= 0) & (top <= last_top) & (left <= last_left)
    grain = np.flatnonzero(chosen)
    return grain.astype(np.int32), top[grain].astype(np.int32), left[grain].astype(np.int32)


def join(
    maps: Sequence[MapPatches], labels: Sequence[str | None], settings: Settings, recipe: str | None = None
) -> Patches:
    """The patches of several maps, numbered in their order, with one label per map.

    `InputError` where there is no patch at all, or where steps differ by more than `STEP_RATIO`: KAM grows with
    the step.
    """
    steps = {each.record.step_um: each.record.source for each in maps}
    if max(steps) > STEP_RATIO * min(steps):
        raise InputError(
            f"step sizes from {min(steps):g} um ({steps[min(steps)]}) to {max(steps):g} um ({steps[max(steps)]}) in "
            f"one file: KAM depends on the step, so more than {STEP_RATIO:g} times is refused; build two files"
        )
    counts = [len(each) for each in maps]
    if not sum(counts):
        raise InputError(
            f"no patch of {settings.patch} x {settings.patch} in {', '.join(sorted(set(steps.values())))}: no "
            f"{settings.centre.upper()} grain of {settings.min_grain} pixels has a window inside its map; try "
            "--edge clamp, a smaller --patch or another --centre"
        )
    records = [each.record for each in maps]
    columns = {
        "microstructure": np.repeat(np.array(labels, object), counts),
        "source": np.repeat(np.array([record.source for record in records], object), counts),
        "map_id": np.repeat(np.arange(len(maps)), counts),
        "grain_id": np.concatenate([each.grain for each in maps]),
        "row": np.concatenate([each.row for each in maps]),
        "column": np.concatenate([each.column for each in maps]),
        "step_um": np.repeat([record.step_um for record in records], counts),
    }
    return assemble(
        np.concatenate([each.images for each in maps]),
        columns,
        settings=asdict(settings),
        cleaning=tuple(asdict(record) for record in records),
        recipe=recipe,
    )
