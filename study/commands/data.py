"""`study data`: patches from scans, synthetic patches, and pictures of both."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from qgan.errors import InputError
from study.commands.arguments import FILE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from qgan.ebsd.dataset import Footer, Patches
    from qgan.ebsd.patches import MapPatches
    from qgan.ebsd.scan import Scan


@click.group()
def data() -> None:
    """Make patches from EBSD scans or synthetic maps, and look at them."""


@data.command()
@click.argument("scans", nargs=-1, required=True, type=FILE, metavar="SCAN...")
@click.option("--microstructure", metavar="LABEL", help="Label of all patches: ferrite, bainite, ...; default: none.")
@click.option("-o", "--output", required=True, type=FILE, help="Parquet file to write.")
@click.option("--patch", default=60, show_default=True, help="Height and width of a patch, pixels.")
@click.option(
    "--centre",
    type=click.Choice(["bcc", "fcc", "any"]),
    default="bcc",
    show_default=True,
    help="Phase of the grain in a patch's centre.",
)
@click.option(
    "--edge",
    type=click.Choice(["skip", "clamp"]),
    default="skip",
    show_default=True,
    help="Windows that leave the map: left out, or shifted inside.",
)
@click.option(
    "--phase-map", multiple=True, metavar='"NAME=bcc"', help="What a phase is: bcc, fcc or other; repeatable."
)
def build(
    scans: tuple[Path, ...],
    microstructure: str | None,
    output: Path,
    patch: int,
    centre: str,
    edge: str,
    phase_map: tuple[str, ...],
) -> None:
    """Cut patches from one or more scans (.ang) of one microstructure."""
    from qgan.ebsd.dataset import write_patches
    from qgan.ebsd.patches import cut_scan, join
    from qgan.ebsd.readers import read_scan
    from qgan.ebsd.scan import content
    from qgan.ebsd.settings import Settings

    _check_output(output, {".parquet"})
    settings = Settings(patch=patch, centre=centre, edge=edge)  # type: ignore[arg-type]
    phases = _phase_map(phase_map)
    maps = []
    seen: dict[str, Path] = {}
    for path in scans:
        scan = read_scan(path, phases)
        twin = seen.setdefault(content(scan), path)
        if twin is not path:
            raise InputError(f"{path}: holds the same points as {twin}; two copies would train and evaluate each other")
        cut = cut_scan(scan, settings)
        click.echo(_summary(scan, cut))
        maps.append(cut)
    for warning, count in Counter(warning for cut in maps for warning in cut.record.warnings).items():
        click.echo(f"note, {count} of {len(maps)} maps: {warning}")
    patches = join(maps, [microstructure] * len(maps), settings)
    write_patches(output, patches)
    _say_written(patches, output)


@data.command()
@click.option("--microstructure", required=True, type=click.Choice(["ferrite", "bainite"]))
@click.option("--count", required=True, type=int, help="Patches to make.")
@click.option("--seed", default=0, show_default=True, help="The same seed makes the same patches.")
@click.option(
    "--patch", default=60, show_default=True, help="Height and width of a patch, pixels; always 15 um of steel."
)
@click.option("-o", "--output", required=True, type=FILE, help="Parquet file to write.")
@click.option(
    "--processes", type=click.IntRange(min=1), default=2, show_default=True, help="Maps made at the same time."
)
def synthetic(microstructure: str, count: int, seed: int, patch: int, output: Path, processes: int) -> None:
    """Make patches of a synthetic microstructure."""
    from rich.console import Console
    from rich.progress import Progress

    from qgan.ebsd.dataset import write_patches
    from qgan.ebsd.synthetic import generate

    _check_output(output, {".parquet"})
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{microstructure} maps", total=count)
        patches = generate(microstructure, count, seed, patch, processes, lambda done: bar.update(task, completed=done))
    write_patches(output, patches)
    _say_written(patches, output)


@data.command()
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="PARQUET...")
@click.option("-o", "--output", type=FILE, required=True, help="Parquet file to write.")
def join(files: tuple[Path, ...], output: Path) -> None:
    """Put several files of patches into one, such as ferrite and bainite."""
    from qgan.ebsd.dataset import read_patches, write_patches
    from qgan.ebsd.joining import joined

    _check_output(output, {".parquet"})
    patches = joined({str(file): read_patches(file) for file in files})
    write_patches(output, patches)
    _say_written(patches, output)


@data.command()
@click.argument("file", type=FILE, metavar="SCAN|PARQUET")
@click.option("-o", "--output", type=FILE, help="Picture to write; default: NAME.png in the current folder.")
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Patches per microstructure on the contact sheet.",
)
@click.option(
    "--phase-map", multiple=True, metavar='"NAME=bcc"', help="What a phase is: bcc, fcc or other; repeatable."
)
def show(file: Path, output: Path | None, rows: int, phase_map: tuple[str, ...]) -> None:
    """Describe patches or a scan, and draw a contact sheet of the patches or the channels of the map."""
    output = output or Path(f"{file.stem}.png")
    _check_output(output, {".png", ".pdf", ".svg"})
    try:
        with file.open("rb") as opened:
            is_parquet = opened.read(4) == b"PAR1"
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    figure = _show_patches(file, rows) if is_parquet else _show_scan(file, _phase_map(phase_map))
    _save(figure, output)
    click.echo(f"picture: {output}")


def _show_patches(file: Path, rows: int) -> "Figure":
    import dataclasses

    import numpy as np

    from analysis.micrographs import contact_sheet
    from qgan.ebsd.dataset import read_patches

    patches = read_patches(file)
    click.echo(_describe(patches.footer))
    groups = []
    for label in [*patches.footer.microstructures, None]:
        chosen = np.flatnonzero(patches.index.microstructure == label)
        if len(chosen):
            # spread over the file, and so over its maps
            picked = chosen[np.linspace(0, len(chosen) - 1, min(rows, len(chosen))).astype(int)]
            groups.append((label or "no label", patches.images[picked]))
    channels = [dataclasses.asdict(channel) for channel in patches.footer.channels]
    return contact_sheet(groups, channels, patches.footer.step_um)


def _show_scan(file: Path, phases: dict[str, str]) -> "Figure":
    import dataclasses

    from analysis.micrographs import map_sheet
    from qgan.ebsd.channels import CHANNELS, map_channels
    from qgan.ebsd.cleaning import clean
    from qgan.ebsd.grains import segment
    from qgan.ebsd.readers import read_scan
    from qgan.ebsd.settings import Settings

    settings = Settings()
    scan = read_scan(file, phases)
    cleaned = clean(scan, settings)
    grains = segment(cleaned.orientations, cleaned.phase, settings.grain_angle_deg)
    record = cleaned.record
    click.echo(f"{_grid(scan)}; {_cleaned(record.flagged, record.filled, record.left)}; {grains.count} grains")
    for phase in scan.phases:
        click.echo(f"  phase {phase.id}: {phase.name}, taken for {('noise', 'BCC', 'FCC', 'other')[phase.code]}")
    for warning in record.warnings:
        click.echo(f"  note: {warning}")
    channels = [dataclasses.asdict(channel) for channel in CHANNELS[:4]]
    return map_sheet(scan.source, map_channels(cleaned, grains, settings), channels, scan.step_um)


def _save(figure: "Figure", output: Path) -> None:
    from qgan.files import whole_file

    with whole_file(output) as temporary:
        figure.savefig(temporary, format=output.suffix.lstrip(".").lower())


def _check_output(path: Path, suffixes: set[str]) -> None:
    """Refused before the work, not after it; a suffix also keeps a scan from being written over."""
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist; make it first")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file in it")
    if path.suffix.lower() not in suffixes:
        raise InputError(f"{path}: name the file to write with {' or '.join(sorted(suffixes))} at its end")


def _phase_map(words: tuple[str, ...]) -> dict[str, str]:
    phases = {}
    for word in words:
        name, sign, kind = word.rpartition("=")
        if not (name and sign and kind):
            raise InputError(f'--phase-map "{word}": must be NAME=bcc, NAME=fcc or NAME=other', "phase_map")
        phases[name] = kind
    return phases


def _summary(scan: "Scan", cut: "MapPatches") -> str:
    record = cut.record
    return f"{_grid(scan)}; {_cleaned(record.flagged, record.filled, record.left)}; {len(cut)} patches"


def _grid(scan: "Scan") -> str:
    rows, columns = scan.shape
    shares = [
        f"{name} {scan.share(code):.0%}" for code, name in ((1, "BCC"), (2, "FCC"), (3, "other")) if scan.share(code)
    ]
    return f"{scan.source}: {columns} x {rows} at {scan.step_um:g} um; {', '.join(shares) or 'nothing indexed'}"


def _cleaned(flagged: float, filled: float, left: float) -> str:
    return f"noise {flagged:.1%}, cleaned {filled:.1%}" + (f", left {left:.1%}" if left else "")


def _say_written(patches: "Patches", output: Path) -> None:
    footer = patches.footer
    maps = len(footer.cleaning)
    click.echo(
        f"{footer.count} patches of {footer.height} x {footer.width} from {'1 map' if maps == 1 else f'{maps} maps'}, "
        f"content {footer.content_hash}\n{output}"
    )


def _describe(footer: "Footer") -> str:
    labels = ", ".join(f"{label} {count}" for label, count in footer.microstructures.items()) or "no labels"
    settings = ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in footer.settings.items()
    )
    noise = [record["flagged"] for record in footer.cleaning]
    lines = [
        f"{footer.count} patches of {footer.height} x {footer.width} at {footer.step_um:g} um: {labels}",
        f"content {footer.content_hash}" + (f", recipe {footer.recipe}" if footer.recipe else ""),
        f"{len(noise)} maps, noise before cleaning {min(noise):.1%} to {max(noise):.1%}",
        "channels " + "; ".join(f"{each.name} ({each.unit})" for each in footer.channels),
        f"settings {settings}",
        "versions " + ", ".join(f"{name} {version}" for name, version in footer.versions.items()),
    ]
    return "\n".join(lines)
