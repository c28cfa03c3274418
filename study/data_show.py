"""The pictures of `study data show`: a file of patches, or a scan."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.data_sheets import patch_sheet, scan_sheet
from qgan.ebsd import ipf
from qgan.ebsd.channels import CHANNELS, map_channels
from qgan.ebsd.dataset import read_patches
from qgan.ebsd.patches import cleaned_grains
from qgan.ebsd.scan import PHASE_WORDS, Scan
from qgan.files import whole_file
from study import data_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from qgan.ebsd.settings import Settings

_WIDTH = 120  # characters of a line under a picture


def show_patches(file: Path, rows: int, say: Callable[[str], None]) -> "Figure":
    """A contact sheet with `rows` patches of each label, histograms of all patches, and the cleaning record."""
    patches = read_patches(file)
    footer = patches.footer
    say(data_words.describe(footer))
    groups = []
    counts: dict[str, dict[str, np.ndarray]] = {
        channel.name: {} for channel in footer.channels if channel.sentinel is not None
    }
    for label in [*footer.microstructures, None]:
        chosen = np.flatnonzero(patches.index.microstructure == label)
        if not len(chosen):
            continue
        # spread over the file, and so over its maps
        picked = chosen[np.linspace(0, len(chosen) - 1, min(rows, len(chosen))).astype(int)]
        groups.append((label or "no label", patches.images[picked]))
        for number, channel in enumerate(footer.channels):
            if channel.name in counts:
                total = np.zeros(256, np.int64)
                for part in np.array_split(chosen, len(chosen) // 512 + 1):
                    total += np.bincount(patches.images[part, number].ravel(), minlength=256)
                counts[channel.name][label or "no label"] = total
    channels = [dataclasses.asdict(channel) for channel in footer.channels]
    record = [
        f"{file.name}: {footer.count} patches of {footer.height} x {footer.width} at {footer.step_um:g} um"
        + (f", {footer.recipe}" if footer.recipe else ""),
        data_words.noise_of(footer),
        *data_words.measured_with(footer.settings),
    ]
    return patch_sheet(groups, channels, footer.step_um, counts, _wrapped(record))


def show_scan(scan: Scan, settings: "Settings", say: Callable[[str], None]) -> "Figure":
    """Orientations and channels of a cleaned scan, histograms, and the cleaning record."""
    cleaned, grains = cleaned_grains(scan, settings)
    channels = map_channels(cleaned, grains, settings)
    lines = [f"{data_words.grid(scan)}; {grains.count} grains", data_words.cleaned(cleaned.record)]
    phases = [f"phase {phase.id}: {phase.name}, taken for {PHASE_WORDS[phase.code]}" for phase in scan.phases]
    notes = [f"note: {warning}" for warning in cleaned.record.warnings]
    say("\n  ".join(["; ".join(lines), *phases, *notes]))
    scaling = channels.record
    lines.append(
        f"{scan.quality_kind} {scaling.iq_low:.4g} to {scaling.iq_high:.4g}; clipped: KAM {scaling.kam_clipped:.1%}, "
        f"KS deviation {scaling.ks_clipped:.1%} of all points"
    )
    return scan_sheet(
        scan.source,
        channels.pixels,
        [dataclasses.asdict(channel) for channel in CHANNELS[: len(channels.pixels)]],
        cleaned.step_um,
        ipf.map_colours(cleaned.orientations, cleaned.phase),
        ipf.ipf_key(),
        _wrapped([*lines, *data_words.measured_with(dataclasses.asdict(settings)), *notes]),
    )


def save(figure: "Figure", output: Path) -> None:
    """Write the picture whole or not at all."""
    with whole_file(output) as temporary:
        figure.savefig(temporary, format=output.suffix.lstrip(".").lower())


def _wrapped(lines: list[str]) -> list[str]:
    import textwrap

    return [part for line in lines for part in textwrap.wrap(line, _WIDTH)]
