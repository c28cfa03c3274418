"""`study status`: how far a study is, and why trials failed."""

from pathlib import Path

import click

from study.commands.arguments import FILE


@click.command()
@click.argument("file", type=FILE)
def status(file: Path) -> None:
    """Show done, running, failed and pending trials per cell and arm, and why trials failed."""
    from analysis.revisions import mixed_revisions
    from study.plan import look, tally
    from study.progress import console, state_table

    here = look(file)
    console().print(state_table(here))
    click.echo(tally(here.states))
    records = [here.now.records[key] for key in here.states if key in here.now.records]
    if told := mixed_revisions(records):
        click.echo(f"\nwarning: {told}")
    for told in here.now.damaged.values():
        click.echo(f"\nwarning: {told}")
    for each in {each.key: each for each in here.planned}.values():  # cells may share one
        record = here.now.records.get(each.key)
        if record is None:
            continue
        if here.states[each.key] == "failed" and record.cause is not None:
            log = "\n".join(f"    {line}" for line in record.cause["log"].splitlines())
            click.echo(f"\n{each}: {record.cause['error']}\n{log}\n  {record.command}")
        for told in record.warnings:
            click.echo(f"\n{each}: warning at {told}")
