"""`study status`: how far a study is, and why trials failed."""

from pathlib import Path

import click

from analysis.errors import ResultsError
from study.commands.arguments import FILE


@click.command()
@click.argument("file", type=FILE)
def status(file: Path) -> None:
    """Show done, running, failed and pending trials per cell and arm, and why trials failed."""
    from rich.console import Console

    from study.ledger import Ledger
    from study.plan import look, tally
    from study.progress import state_table

    study, planned, states = look(file)
    Console().print(state_table(planned, states))
    click.echo(tally(states))
    for each in planned:
        try:
            record = Ledger(study.folder).trial(each.key).record()
        except ResultsError:
            continue  # damaged: it counts as pending and will be written anew
        if record is not None and record.cause is not None and states[each.key] == "failed":
            click.echo(f"\n{each}: {record.cause['error']}\n  {record.command}")
        for warning in record.warnings if record is not None else []:
            click.echo(f"\n{each}: warning at {warning}")
