"""One trial in this process: progress, and the debugger where an error is raised."""

import sys
import time
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from study import trainable
from study.ledger import TrialFolder

if TYPE_CHECKING:
    from qgan.training import Epoch

_LINE_EVERY_S = 5.0


def run_here(job: trainable.Job, pdb: bool) -> bool:
    """Train the job's trial with a progress bar (plain lines when piped); True when it is done."""
    longest = job.horizons[-1]
    console = Console()
    columns = (
        TextColumn("epoch"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    task = bar.add_task("", total=longest)
    told = -_LINE_EVERY_S

    def watch(epoch: "Epoch") -> None:
        nonlocal told
        text = f"D {epoch.critic_loss:.4g}  G {epoch.generator_loss:.4g}"
        if epoch.mmd_v is not None:
            text += f"  MMD {epoch.mmd_v:.4g} (floor {epoch.floor_v:.4g})"
        bar.update(task, completed=epoch.epoch, description=text)
        now = time.monotonic()
        if not console.is_terminal and (now - told > _LINE_EVERY_S or epoch.epoch == longest):
            click.echo(f"epoch {epoch.epoch}/{longest}  {text}")
            told = now

    with bar:
        if pdb:
            return _in_debugger(job, watch, bar)
        done = trainable.run(job, watch)
    if not done:
        record = TrialFolder(job.folder).record()
        cause = record.cause if record else None
        click.echo(f"failed: {cause['error'] if cause else 'unknown'}; add --pdb to stop where it happens", err=True)
    return done


def _in_debugger(job: trainable.Job, watch: trainable.Watch, bar: Progress) -> bool:
    import pdb

    try:
        return trainable.run(job, watch, raise_errors=True)
    except Exception as error:  # whatever it is, the user asked to see it
        bar.stop()
        click.echo(f"{type(error).__name__}: {error}", err=True)
        pdb.post_mortem(sys.exc_info()[2])
        return False
