"""`study trial`: one trial in this process."""

import shutil
from pathlib import Path

import click

from study.commands.arguments import FILE
from study.exit_codes import FAILED_TRIALS


@click.command()
@click.argument("file", type=FILE)
@click.option("--arm", required=True, help="Arm of the study file.")
@click.option("--cell", help="Grid keys that leave one cell: latent_dim=8,images=256.")
@click.option("--replicate", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--epochs", type=click.IntRange(min=1), help="Train so long instead of to the longest horizon.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change the study file's values.")
@click.option("--pdb", is_flag=True, help="Stop in the debugger where an error is raised.")
@click.option("--profile", is_flag=True, help="Write a torch profile of the second epoch, and print what costs most.")
@click.option(
    "--downstream",
    is_flag=True,
    help="Train one generator per microstructure, then classifiers with and without its images.",
)
@click.pass_context
def trial(
    ctx: click.Context,
    file: Path,
    arm: str,
    cell: str | None,
    replicate: int,
    epochs: int | None,
    assignments: tuple[str, ...],
    pdb: bool,
    profile: bool,
    downstream: bool,
) -> None:
    """Train one trial in this process, without Ray and without touching the study's ledger."""
    from dataclasses import replace

    if profile and downstream:
        raise click.UsageError("--profile is of one training, and --downstream has several: use one of them")
    from study import patches, provenance
    from study.debug import run_here
    from study.plan import choose
    from study.spec import load
    from study.storage import local, storage_of
    from study.trainable import job as job_of

    study = load(file, [*assignments, *([f"grid.epochs=[{epochs}]"] if epochs else [])])
    chosen = choose(study, arm, cell, replicate)
    folder = local(study.folder) / "debug" / chosen.key
    if folder.exists():
        shutil.rmtree(folder)
    job = replace(job_of(study, chosen, patches.prepare(study, click.echo), folder), command=provenance.command())
    click.echo(f"{chosen}, key {chosen.key}")
    if downstream:
        from study.downstream import run

        done = run(job, study.downstream, storage_of(study.folder), pdb)
    else:
        done = run_here(job, pdb, profile)
    if not done:
        if not pdb:
            click.echo("add --pdb to stop where it happens", err=True)
        ctx.exit(FAILED_TRIALS)
    click.echo(f"files in {folder}")
