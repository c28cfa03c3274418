"""`study run`: what is missing of a study, on a Ray cluster."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from qgan.errors import InputError
from study.commands.arguments import FILE
from study.exit_codes import FAILED_TRIALS, INTERRUPTED

if TYPE_CHECKING:
    from study.plan import Planned
    from study.spec import Study

_GO_ON = "the same command goes on from the last checkpoints"


@click.command()
@click.argument("file", type=FILE)
@click.option("--address", help="Ray cluster to join (`auto` on its head); default: Ray on this machine.")
@click.option("--retry", type=click.Choice(["failed"]), help="Run failed trials again.")
@click.option("--limit", type=click.IntRange(min=1), help="Run at most this many trials now.")
@click.option("--dry-run", is_flag=True, help="Say what would run, and stop.")
@click.pass_context
def run(
    ctx: click.Context, file: Path, address: str | None, retry: str | None, limit: int | None, dry_run: bool
) -> None:
    """Run what is missing of a study; running it again changes nothing that is done."""
    from study.ledger import Ledger
    from study.plan import states as look
    from study.plan import tally, trials
    from study.spec import load

    study = load(file)
    planned = trials(study)
    # once this process holds the study, a trial that says it is running has lost its launcher
    wanted = {"pending", "running", *([retry] if retry else [])}
    ledger, longest = Ledger(study.folder), study.horizons[-1]
    if dry_run:
        states = look(planned, ledger, longest)
        keys = [key for key, state in states.items() if state in wanted - {"running"}][:limit]
        for each in planned:
            if each.key in keys:
                click.echo(f"{each.key}  {each}")
        click.echo(f"{len(keys)} trials would run")
        return
    with (lease := ledger.lease()).hold() as mine:
        if not mine:
            raise InputError(
                f"another `study run` is at work on {study.folder} ({lease.holder}); `study status {file}` shows how "
                "far it is"
            )
        states = look(planned, ledger, longest)
        keys = [key for key, state in states.items() if state in wanted][:limit]
        _sweep(study, planned, states, keys, address)
        states = look(planned, ledger, longest)
    if keys:
        click.echo(f"{tally(states)}; results in {study.folder}")
    else:
        click.echo(f"nothing to do: {tally(states)}")
    unfinished = [key for key in keys if states[key] not in ("done", "failed")]
    if unfinished:
        click.echo(f"study: stopped with {len(unfinished)} trials unfinished; {_GO_ON}", err=True)
        ctx.exit(INTERRUPTED)
    failed = sum(state == "failed" for state in states.values())
    if failed:
        click.echo(f"{failed} failed: `study status {file}` names the causes, `--retry failed` runs them again")
        ctx.exit(FAILED_TRIALS)
    if keys:
        click.echo(f"next: study report {file}")


def _sweep(
    study: "Study", planned: "list[Planned]", states: dict[str, str], keys: list[str], address: str | None
) -> None:
    """Run the trials of `keys`; the plan on disk follows the study file even where nothing is left to run."""
    from study import patches
    from study.ledger import Ledger
    from study.plan import record
    from study.progress import Progress
    from study.sections import FileSource
    from study.trainable import job

    ledger = Ledger(study.folder)
    if keys:
        from study import cluster, launch  # Ray takes seconds to import

        launch.connect(address, study.resources)
        source = patches.file(study) if isinstance(study.source, FileSource) else None
        cluster.require_shared(ledger.folder, source if isinstance(source, Path) else None)
    path = patches.prepare(study, click.echo)
    ledger.write_plan(record(study, planned, path))
    if keys:
        first = {each.key: each for each in reversed(planned)}
        jobs = [job(study, first[key], path, ledger.folder / "trials" / key, states[key] == "failed") for key in keys]
        click.echo(f"{len(jobs)} trials to run, up to {study.horizons[-1]} epochs each")
        launch.sweep(jobs, ledger, Progress(planned, states), study.resources)
