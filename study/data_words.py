"""What `study data` says about scans and patches, in lines for the terminal and for pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgan.ebsd.scan import PHASE_WORDS, Scan

if TYPE_CHECKING:
    from qgan.ebsd.cleaning import CleaningRecord
    from qgan.ebsd.dataset import Footer, Patches
    from qgan.ebsd.patches import MapPatches


def summary(scan: Scan, cut: "MapPatches") -> str:
    """One line about a scan and what was cut from it."""
    return f"{grid(scan)}; {cleaned(cut.record)}; {len(cut)} patches"


def grid(scan: Scan) -> str:
    """Size, step and phases of a scan."""
    rows, columns = scan.shape
    shares = [f"{PHASE_WORDS[code]} {scan.share(code):.0%}" for code in (1, 2, 3) if scan.share(code)]
    return f"{scan.source}: {columns} x {rows} at {scan.step_um:g} um; {', '.join(shares) or 'nothing indexed'}"


def cleaned(record: "CleaningRecord") -> str:
    """What cleaning did, in shares of all points."""
    return (
        f"not indexed {record.raw:.1%}, noise {record.flagged:.1%}, cleaned {record.filled:.1%}, left {record.left:.1%}"
    )


def written(patches: "Patches", output: Path) -> str:
    """A file of patches that was just written."""
    footer = patches.footer
    maps = len(footer.cleaning)
    return (
        f"{footer.count} patches of {footer.height} x {footer.width} from {'1 map' if maps == 1 else f'{maps} maps'}, "
        f"content {footer.content_hash}\n{output}"
    )


def measured_with(settings: Mapping[str, Any]) -> list[str]:
    """The parameters without which noise, grains, KAM and KS deviation mean nothing, line by line."""
    if "noise" not in settings:  # joined from several files
        return [line for each in settings.get("joined", ()) for line in measured_with(each)]
    side = 2 * settings["kam_order"] + 1
    rules = f"confidence below {settings['min_confidence']:g}, regions under {settings['min_region']} pixels"
    fixed = settings["iq_scale"] == "fixed"
    iq = (
        "0 to 255"
        if fixed
        else f"{settings['iq_low_percentile']:g} to {settings['iq_high_percentile']:g} % of each map"
    )
    return [
        f"noise by {settings['noise']}"
        + (f" ({rules})" if settings["noise"] == "rules" else "")
        + f"; filled from {settings['min_neighbours']} or more neighbours in at most {settings['max_passes']} passes",
        f"grains {settings['grain_angle_deg']:g} deg; KAM {side} x {side} {settings['kam_shape']}"
        + (", periphery" if settings["kam_periphery"] else "")
        + f", below {settings['kam_angle_deg']:g} deg, within grains; "
        f"{settings['ks_relation']} deviation by {settings['ks_reference']}; IQ {iq}",
    ]


def noise_of(footer: "Footer") -> str:
    """The cleaning records of a file's maps in one line."""

    def span(key: str) -> str:
        values = [record[key] for record in footer.cleaning]
        return f"{min(values):.1%}" if len(values) == 1 else f"{min(values):.1%} to {max(values):.1%}"

    return (
        f"{len(footer.cleaning)} {'map' if len(footer.cleaning) == 1 else 'maps'}: not indexed {span('raw')}, "
        f"noise {span('flagged')}, cleaned {span('filled')}, left {span('left')}"
    )


def describe(footer: "Footer") -> str:
    """All that a file says about its patches."""
    labels = ", ".join(f"{label} {count}" for label, count in footer.microstructures.items()) or "no labels"
    settings = ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in footer.settings.items()
    )
    lines = [
        f"{footer.count} patches of {footer.height} x {footer.width} at {footer.step_um:g} um: {labels}",
        f"content {footer.content_hash}" + (f", recipe {footer.recipe}" if footer.recipe else ""),
        noise_of(footer),
        "channels " + "; ".join(f"{each.name} ({each.unit})" for each in footer.channels),
        f"settings {settings}",
        "versions " + ", ".join(f"{name} {version}" for name, version in footer.versions.items()),
    ]
    return "\n".join(lines)
