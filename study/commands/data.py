"""`study data`: patches from scans, synthetic patches and maps, tables of grains, and pictures of all of them."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qgan.errors import InputError
from study.commands.arguments import FILE

if TYPE_CHECKING:
    from qgan.ebsd.scan import Scan
    from qgan.ebsd.settings import Settings


@click.group()
def data() -> None:
    """Make patches from EBSD scans or synthetic maps, and look at them."""


def _measuring(command: Callable[..., None]) -> Callable[..., None]:
    """The options of all commands that read scans: what a phase is, and every parameter up to the channels."""
    for option in (
        click.option(
            "--set",
            "words",
            multiple=True,
            metavar="NAME=VALUE",
            help="Any other parameter, such as kam_order=2 or min_neighbours=5; repeatable. A wrong name lists all.",
        ),
        click.option(
            "--resample-step", type=float, metavar="UM", help="Bring every map to this step, the coarsest or above."
        ),
        click.option(
            "--relation",
            metavar="KS|NW|ANGLES",
            help="Orientation relationship of the KS channel: KS (default), NW, or your own as Bunge angles from "
            "austenite to ferrite in degrees, PHI1,PHI,PHI2.",
        ),
        click.option(
            "--noise",
            type=click.Choice(["rules", "network"]),
            help="What finds noise: rules (default), or a small network trained on synthetic maps first.",
        ),
        click.option(
            "--phase-map", multiple=True, metavar='"NAME=bcc"', help="What a phase is: bcc, fcc or other; repeatable."
        ),
    ):
        command = option(command)
    return command


@data.command()
@click.argument("scans", nargs=-1, required=True, type=FILE, metavar="SCAN...")
@click.option("--microstructure", metavar="LABEL", help="Label of all patches: ferrite, bainite, ...; default: none.")
@click.option(
    "--grain-labels",
    "table",
    type=FILE,
    metavar="CSV",
    help="Labels grain by grain: a table of `study data grains` with its column microstructure filled in.",
)
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
@_measuring
def build(
    scans: tuple[Path, ...],
    microstructure: str | None,
    table: Path | None,
    output: Path,
    patch: int,
    centre: str,
    edge: str,
    **measuring: Any,
) -> None:
    """Cut patches from scans: .ang, .ctf, .cpr with .crc, .h5oina or EDAX .h5, by their content."""
    from qgan.ebsd.dataset import write_patches
    from qgan.ebsd.grain_table import read_grain_labels, require_scans
    from qgan.ebsd.patches import cut_scan, join
    from study import data_words

    _check_output(output, {".parquet"})
    settings = _settings(measuring, patch=patch, centre=centre, edge=edge)
    grain_labels = read_grain_labels(table) if table else {}
    if table:
        require_scans(grain_labels, [path.name for path in scans], table)
    notes = _noise_scores(settings)
    maps = []
    for scan in _read_scans(scans, measuring["phase_map"]):
        cut = cut_scan(
            scan,
            settings,
            microstructure=microstructure,
            grain_labels=grain_labels.get(scan.source, ()),
            table=str(table),
        )
        click.echo(data_words.summary(scan, cut))
        maps.append(cut)
    for warning, count in Counter(warning for cut in maps for warning in cut.record.warnings).items():
        click.echo(f"note, {count} of {len(maps)} maps: {warning}")
    patches = join(maps, settings, notes=notes)
    write_patches(output, patches)
    click.echo(data_words.written(patches, output))


@data.command()
@click.argument("scans", nargs=-1, required=True, type=FILE, metavar="SCAN...")
@click.option("-o", "--output", required=True, type=FILE, help="CSV file to write.")
@click.option("--patch", default=60, show_default=True, help="Of grains too small for such a patch no line is written.")
@_measuring
def grains(scans: tuple[Path, ...], output: Path, patch: int, **measuring: Any) -> None:
    """Write a table of grains: size, spread, KAM, KS deviation, and a column to label them for `build`."""
    from qgan.ebsd.grain_table import grain_rows, write_grain_table
    from qgan.ebsd.patches import cleaned_grains

    _check_output(output, {".csv"})
    settings = _settings(measuring, patch=patch)
    _noise_scores(settings)
    rows = []
    for scan in _read_scans(scans, measuring["phase_map"]):
        rows += grain_rows(*cleaned_grains(scan, settings), settings)
    write_grain_table(output, rows)
    click.echo(f"{len(rows)} grains of {settings.min_grain} pixels or more\n{output}")


@data.command()
@click.option("--microstructure", required=True, type=click.Choice(["ferrite", "bainite"]))
@click.option("--count", required=True, type=int, help="Patches to make.")
@click.option("--seed", default=0, show_default=True, help="The same seed makes the same patches.")
@click.option(
    "--patch", default=60, show_default=True, help="Height and width of a patch, pixels; always 15 um of steel."
)
@click.option("-o", "--output", required=True, type=FILE, help="Parquet file to write.")
@click.option(
    "--maps",
    "folder",
    type=FILE,
    metavar="FOLDER",
    help="Write the maps too, as .ang, into this new folder; `study data build` cuts the same patches from them.",
)
@click.option(
    "--processes", type=click.IntRange(min=1), default=2, show_default=True, help="Maps made at the same time."
)
def synthetic(
    microstructure: str, count: int, seed: int, patch: int, output: Path, folder: Path | None, processes: int
) -> None:
    """Make patches of a synthetic microstructure."""
    from rich.console import Console
    from rich.progress import Progress

    from qgan.ebsd.dataset import write_patches
    from qgan.ebsd.synthetic import generate
    from qgan.files import whole_folder
    from study import data_words

    _check_output(output, {".parquet"})
    if folder and (folder.exists() or not folder.parent.is_dir()):
        raise InputError(f"{folder}: name a folder for the maps that does not exist yet, inside one that does")
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{microstructure} maps", total=count)

        def make(maps: Path | None) -> None:
            def tell(done: int) -> None:
                bar.update(task, completed=done)

            patches = generate(microstructure, count, seed, patch, processes, tell, maps)
            write_patches(output, patches)
            click.echo(data_words.written(patches, output))

        if folder:
            with whole_folder(folder) as temporary:
                make(temporary)
            click.echo(f"maps: {folder}")
        else:
            make(None)


@data.command()
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="PARQUET...")
@click.option("-o", "--output", type=FILE, required=True, help="Parquet file to write.")
def join(files: tuple[Path, ...], output: Path) -> None:
    """Put several files of patches into one, such as ferrite and bainite."""
    from qgan.ebsd.dataset import read_patches, write_patches
    from qgan.ebsd.joining import joined
    from study import data_words

    _check_output(output, {".parquet"})
    patches = joined({str(file): read_patches(file) for file in files})
    write_patches(output, patches)
    click.echo(data_words.written(patches, output))


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
@_measuring
def show(file: Path, output: Path | None, rows: int, **measuring: Any) -> None:
    """Describe and draw patches (contact sheet) or a scan (orientations and channels), with histograms."""
    from study import data_show

    output = output or Path(f"{file.stem}.png")
    _check_output(output, {".png", ".pdf", ".svg"})
    settings = _settings(measuring)
    try:
        with file.open("rb") as opened:
            is_parquet = opened.read(4) == b"PAR1"
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    if is_parquet:
        figure = data_show.show_patches(file, rows, click.echo)
    else:
        _noise_scores(settings)
        (scan,) = _read_scans((file,), measuring["phase_map"])
        figure = data_show.show_scan(scan, settings, click.echo)
    data_show.save(figure, output)
    click.echo(f"picture: {output}")


def _settings(measuring: dict[str, Any], **others: Any) -> "Settings":
    from qgan.ebsd.settings import Settings, parsed

    named = {"noise": measuring["noise"], "ks_relation": measuring["relation"]}
    named["resample_step_um"] = measuring["resample_step"]
    return Settings(**others | {key: value for key, value in named.items() if value} | parsed(measuring["words"]))


def _noise_scores(settings: "Settings") -> dict[str, Any]:
    """Of the network and the rules, where the network is asked for: said, and for the file."""
    if settings.noise != "network":
        return {}
    try:
        from qgan.ebsd.noise_network import scores
    except ImportError:
        raise InputError(
            "--noise network needs torch; install this program with its extra cpu or gpu", "noise"
        ) from None
    import dataclasses

    click.echo("training the noise network on synthetic maps ...")
    found = scores()
    for name, score in found.items():
        click.echo(f"  noise by {name}, on held-out synthetic maps: {score}")
    scores_of = {
        name: {key: round(value, 4) for key, value in dataclasses.asdict(score).items()}
        for name, score in found.items()
    }
    return {"noise_scores": scores_of}


def _read_scans(paths: tuple[Path, ...], words: tuple[str, ...]) -> "Iterator[Scan]":
    """One scan after the other; `InputError` for a second copy of one."""
    from qgan.ebsd.readers import read_scan
    from qgan.ebsd.scan import content

    phases = _phase_map(words)
    seen: dict[str, Path] = {}
    for path in paths:
        scan = read_scan(path, phases)
        twin = seen.setdefault(content(scan), path)
        if twin is not path:
            raise InputError(f"{path}: holds the same points as {twin}; two copies would train and evaluate each other")
        yield scan


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
