"""One trial in this process: progress, and the debugger where an error is raised."""

import sys
import time
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from qgan.files import whole_file
from study import trainable
from study.ledger import TrialFolder
from study.storage import local

if TYPE_CHECKING:
    from qgan.training import Epoch

_LINE_EVERY_S = 5.0


def run_here(job: trainable.Job, pdb: bool, profile: bool = False) -> bool:
    """Train the job's trial with a progress bar (plain lines when piped); True when it is done.

    With `profile` the second epoch, or the only one, is written to profile.json beside the results.
    """
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

    profiler = _Profiler(job) if profile else None

    def watch(epoch: "Epoch") -> None:
        nonlocal told
        if profiler is not None:
            profiler.ended(epoch.epoch)
        text = f"D {epoch.critic_loss:.4g}  G {epoch.generator_loss:.4g}"
        if epoch.mmd_v is not None:
            text += f"  MMD {epoch.mmd_v:.4g} (floor {epoch.floor_v:.4g})"
        bar.update(task, completed=epoch.epoch, description=text)
        now = time.monotonic()
        if not console.is_terminal and (now - told > _LINE_EVERY_S or epoch.epoch == longest):
            click.echo(f"epoch {epoch.epoch}/{longest}  {text}")
            told = now

    with bar:
        if profiler is not None:
            profiler.begin()
        done = _in_debugger(job, watch, bar) if pdb else trainable.run(job, watch)
    if profiler is not None and done:
        click.echo(profiler.told)
    if not done and not pdb:  # the debugger has shown it
        record = TrialFolder(job.folder).record()
        cause = record.cause if record else None
        click.echo(f"failed: {cause['error'] if cause else 'unknown'}", err=True)
    return done


class _Profiler:
    """Watches one epoch: the second, since the first one also warms up, or the only one."""

    def __init__(self, job: trainable.Job) -> None:
        from torch.profiler import ProfilerActivity, profile, supported_activities

        kinds = {ProfilerActivity.CPU, ProfilerActivity.CUDA} & set(supported_activities())
        self.profile = profile(activities=sorted(kinds, key=str), record_shapes=True)
        self.file = local(job.folder) / "profile.json"
        self.last = min(2, job.horizons[-1])
        self.told = ""

    def begin(self) -> None:
        if self.last == 1:
            self.profile.start()

    def ended(self, epoch: int) -> None:
        if epoch == self.last:
            self.profile.stop()
            with whole_file(self.file) as temporary:
                self.profile.export_chrome_trace(str(temporary))
            costs = self.profile.key_averages()
            device = any(each.self_device_time_total for each in costs)
            by = "self_cuda_time_total" if device else "self_cpu_time_total"
            table = costs.table(sort_by=by, row_limit=12, max_name_column_width=40)
            self.told = f"{table}\nprofile of epoch {epoch}: {self.file}, for chrome://tracing or ui.perfetto.dev"
        elif epoch == self.last - 1:
            self.profile.start()


def _in_debugger(job: trainable.Job, watch: trainable.Watch, bar: Progress) -> bool:
    import pdb

    try:
        return trainable.run(job, watch, raise_errors=True)
    except Exception as error:  # whatever it is, the user asked to see it
        bar.stop()
        click.echo(f"{type(error).__name__}: {error}", err=True)
        pdb.post_mortem(sys.exc_info()[2])
        return False
