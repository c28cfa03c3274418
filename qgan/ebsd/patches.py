"""From maps to patches: one window per grain, centred on it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd.channels import MASK, ScalingRecord, map_channels
from qgan.ebsd.cleaning import CleaningRecord, CleanMap, clean
from qgan.ebsd.grain_table import GrainLabel, label_grains
from qgan.ebsd.grains import Grains, centres, segment
from qgan.ebsd.patchset import Patches, assemble
from qgan.ebsd.resampling import resample
from qgan.ebsd.scan import BCC, FCC, NOISE, OTHER, Scan
from qgan.ebsd.settings import SMALLEST, Settings
from qgan.errors import InputError

STEP_RATIO = 1.5  # of the coarsest to the finest map in one file
_CENTRES = {"bcc": (BCC,), "fcc": (FCC,), "any": (BCC, FCC)}

Labels = NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class MapPatches:
    """The patches of one map."""

    images: NDArray[np.uint8]  # (count, 5, patch, patch)
    grain: NDArray[np.int32]  # (count,), the central grain's label
    row: NDArray[np.int32]  # (count,), first row of the window
    column: NDArray[np.int32]
    microstructure: Labels  # (count,), of the central grain, None where it has no label
    record: CleaningRecord
    scaling: ScalingRecord

    def __len__(self) -> int:
        return len(self.images)

    def take(self, chosen: NDArray[np.int64]) -> "MapPatches":
        """Only the patches with these indices."""
        names = ("images", "grain", "row", "column", "microstructure")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})


def cleaned_grains(scan: Scan, settings: Settings) -> tuple[CleanMap, Grains]:
    """A scan at the settings' step, cleaned, and its grains; `InputError` where it shows no steel at all."""
    scan = _at_step(scan, settings)
    if (scan.phase == NOISE).all():
        raise InputError(f"{scan.source}: none of its {scan.phase.size} points is indexed: there is nothing to measure")
    cleaned = clean(scan, settings)
    if (cleaned.phase == NOISE).all():
        raise InputError(f"{scan.source}: cleaning finds nothing but noise: no point of it can be trusted")
    return cleaned, segment(cleaned.orientations, cleaned.phase, settings.grain_angle_deg)


def _at_step(scan: Scan, settings: Settings) -> Scan:
    return scan if settings.resample_step_um is None else resample(scan, settings.resample_step_um)


def cut_scan(
    scan: Scan,
    settings: Settings,
    *,
    microstructure: str | None = None,
    grain_labels: Sequence[GrainLabel] = (),
    table: str = "",
) -> MapPatches:
    """Clean a scan, measure its channels and cut its patches.

    Each patch has the label of its central grain: that of `grain_labels` (read from `table`), else `microstructure`.
    `InputError` for a scan smaller than a patch, of noise alone or of unknown phases alone.
    """
    scan = _at_step(scan, settings)
    height, width = scan.shape
    largest = min(height, width)
    if largest < settings.patch:
        fits = f"the largest patch that fits is {largest} (--patch {largest})"
        if largest < SMALLEST:
            fits = f"not even the smallest, {SMALLEST} x {SMALLEST}, fits"
        raise InputError(
            f"{scan.source}: {width} x {height} points are too few for patches of {settings.patch} x "
            f"{settings.patch}; {fits}",
            "patch",
        )
    cleaned, grains = cleaned_grains(scan, settings)
    if (grains.phase == OTHER).all():
        names = ", ".join(f'"{phase.name}"' for phase in scan.phases) or "none in the header"
        raise InputError(
            f"{scan.source}: no point is of a known BCC or FCC phase (phases: {names}); say what a phase is with "
            '--phase-map "NAME=bcc"'
        )
    channels = map_channels(cleaned, grains, settings)
    named = label_grains(grains, grain_labels, f"{table}, {scan.source}")
    grain, row, column = windows(grains, settings)
    size = settings.patch
    images = np.empty((len(grain), len(channels.pixels) + 1, size, size), np.uint8)
    for image, label, top, left in zip(images, grain, row, column, strict=True):
        window = slice(top, top + size), slice(left, left + size)
        image[:-1] = channels.pixels[:, *window]
        image[-1] = MASK.encode((grains.labels[window] == label).astype(np.float64))
    labels = named[grain]
    labels[labels == None] = microstructure  # noqa: E711 - elementwise
    return MapPatches(images, grain, row, column, labels, cleaned.record, channels.record)


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
    maps: Sequence[MapPatches],
    settings: Settings,
    recipe: str | None = None,
    notes: Mapping[str, Any] | None = None,
) -> Patches:
    """The patches of several maps, numbered in their order; `notes` go into the footer beside the settings.

    `InputError` where there is no patch at all, or where steps differ by more than `STEP_RATIO`: KAM grows with
    the step.
    """
    steps = {each.record.step_um: each.record.source for each in maps}
    if max(steps) > STEP_RATIO * min(steps):
        raise InputError(
            f"step sizes from {min(steps):g} um ({steps[min(steps)]}) to {max(steps):g} um ({steps[max(steps)]}) in "
            f"one file: KAM depends on the step, so more than {STEP_RATIO:g} times is refused; build two files or "
            f"bring all to one step with --resample-step {max(steps):g}"
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
        "microstructure": np.concatenate([each.microstructure for each in maps]),
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
        settings=asdict(settings) | dict(notes or {}),
        cleaning=tuple(asdict(each.record) | asdict(each.scaling) for each in maps),
        recipe=recipe,
    )
