"""`study init`: a commented study file to start from."""

from pathlib import Path

import click

from study.commands.arguments import FILE


@click.command()
@click.argument("file", type=FILE)
@click.option("--data", "patches", type=FILE, help="Parquet file of `study data` to study; default: a synthetic set.")
def init(file: Path, patches: Path | None) -> None:
    """Write a commented study file to start from."""
    from study.template import write

    write(file, patches)
    click.echo(f"{file} written; next: study plan {file}")
