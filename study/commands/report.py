"""`study report`: one HTML file, one figure, or the tables behind them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from study.commands.arguments import FILE

if TYPE_CHECKING:
    from analysis.location import Place
    from analysis.results import Results


@click.command()
@click.argument("source", metavar="FILE|RESULTS", type=FILE)
@click.option("-o", "--output", type=FILE, help="HTML file to write; default: report.html beside the results.")
@click.option("--figure", metavar="NUMBER|NAME", help="One figure instead: -o FILE.svg, .png, or its numbers as .csv.")
@click.option("--cell", help="With --figure: only cells with these grid values: latent_dim=8,images=256.")
@click.option("--export", type=FILE, metavar="FOLDER", help="The tables behind the report instead (CSV and Parquet).")
def report(source: Path, output: Path | None, figure: str | None, cell: str | None, export: Path | None) -> None:
    """Write one HTML file with effects, intervals, figures and provenance of a study, finished or not."""
    from analysis import load as load_results
    from analysis import summary
    from analysis.report import write_report

    if export is not None and (figure is not None or output is not None):
        raise click.UsageError("--export FOLDER writes tables only: leave out --figure and -o")
    if cell is not None and figure is None:
        raise click.UsageError("--cell needs --figure: a report and its tables show all cells")
    folder = _results(source)
    results = load_results(folder)
    if export is not None:
        from analysis.export import export_tables

        export_tables(results, export)
        click.echo(f"tables: {export.absolute()}, explained in columns.csv")
    elif figure is not None:
        for path in _figure(results.only(cell) if cell else results, figure, output):
            click.echo(f"figure: {path.absolute()}")
    else:
        # a place that is read by URI is not written to
        written = write_report(results, output or (folder if isinstance(folder, Path) else Path()) / "report.html")
        click.echo(summary(results))
        click.echo(f"report: {written.absolute()}")


def _figure(results: "Results", which: str, output: Path | None) -> list[Path]:
    """Draw one figure into `output`, or in all formats beside the results."""
    from analysis.figures import catalogue, files

    name = catalogue.name_of(which)
    folder = (results.folder if isinstance(results.folder, Path) else Path()) / "figures"
    outputs = [output] if output else [folder / f"{name}{suffix}" for suffix in files.SUFFIXES]
    for path in outputs:
        files.require_suffix(path)
    if output is None:
        folder.mkdir(exist_ok=True)
    drawn = catalogue.draw(results, name)
    for path in outputs:
        files.save(drawn.figure, drawn.frame, path)
    return outputs


def _results(source: Path) -> "Place":
    """The results folder that a study file, the folder itself, or its URI names."""
    from analysis.location import is_uri, locate
    from analysis.records import read_plan
    from study.spec import load

    if is_uri(source) or source.is_dir():
        return locate(source)
    study = load(source)
    folder = locate(str(study.folder))
    if (folder / "plan.json").exists() and read_plan(folder).study_file != study.document.text:
        click.echo(f"note: {source} has changed since `study run`; the report shows the study as it was run", err=True)
    return folder
