"""`study run`: what is missing of a study, on a Ray cluster."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from qgan.errors import InputError
from study.commands.arguments import FILE
from study.exit_codes import FAILED_TRIALS

if TYPE_CHECKING:
    from study.gate import Gate
    from study.plan import Look


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
    from study.gate import Gate
    from study.plan import look, tally

    here = look(file)
    study = here.study
    # once this process holds the study, a trial that says it is running has lost its launcher
    wanted = {"pending", "running", *([retry] if retry else [])}
    if dry_run:
        keys = [key for key, state in here.states.items() if state in wanted - {"running"}][:limit]
        places: dict[str, list[str]] = {key: [] for key in keys}
        for each in here.planned:
            if each.key in places:
                places[each.key].append(str(each))
        for key, names in places.items():
            click.echo(f"{key}  {'; and '.join(names)}")
        click.echo(f"{len(keys)} trials would run")
        return
    lease = here.ledger.lease()
    with lease.hold() as mine:
        if not mine:
            raise InputError(
                f"another `study run` is at work on {study.folder} ({lease.holder}); `study status {file}` shows how "
                "far it is"
            )
        here = here.again()
        for told in here.now.damaged.values():
            click.echo(f"note: {told}")
        gate = Gate(study.budget, study.resources.gpu, here.now.records, lease)
        keys = [key for key, state in here.states.items() if state in wanted][:limit]
        _sweep(here, keys, address, gate)
        here = here.again()
    click.echo(f"{tally(here.states)}; results in {study.folder}" if keys else f"nothing to do: {tally(here.states)}")
    failed = sum(state == "failed" for state in here.states.values())
    if failed:
        click.echo(f"{failed} failed: `study status {file}` names the causes, `--retry failed` runs them again")
    unfinished = sum(here.states[key] not in ("done", "failed") for key in keys)
    if gate.closed is not None:
        go_on = f"; {unfinished} trials are left, and the same command goes on with them" if unfinished else ""
        click.echo(f"study: {gate.closed.reason}{go_on}", err=True)
        ctx.exit(gate.closed.exit_code)
    if failed:
        ctx.exit(FAILED_TRIALS)
    if keys:
        left = sum(state == "pending" for state in here.states.values())
        click.echo(
            f"next: study run {file}, for the {left} trials that are left" if left else f"next: study report {file}"
        )


def _sweep(here: "Look", keys: list[str], address: str | None, gate: "Gate") -> None:
    """Run the trials of `keys`; the plan on disk follows the study file even where nothing is left to run."""
    from study import patches
    from study.plan import record
    from study.trainable import job

    study, ledger = here.study, here.ledger
    go = bool(keys) and gate.check()
    if go:
        from study import cluster, connection, launch  # Ray takes seconds to import

        connection.connect(address, study.resources)
        cluster.require_shared(study)
    path = patches.prepare(study, click.echo)
    ledger.write_plan(record(study, here.planned, path))
    if go:
        first = {each.key: each for each in reversed(here.planned)}
        trials = study.folder / "trials"
        jobs = [job(study, first[key], path, trials / key, here.states[key] == "failed") for key in keys]
        click.echo(f"{len(jobs)} trials to run, up to {study.horizons[-1]} epochs each")
        launch.sweep(jobs, here, gate)
