"""`study trial --downstream`: what a trial's generated images are worth to a classifier of microstructures."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from statistics import fmean, stdev
from typing import TYPE_CHECKING

import click
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from analysis import tables
from qgan.downstream.settings import DownstreamSettings
from qgan.errors import InputError
from qgan.files import whole_file
from study import debug
from study.storage import local
from study.trainable import Job

if TYPE_CHECKING:
    from torch import Tensor

    from qgan.downstream.augmentation import Accuracy


def run(job: Job, settings: DownstreamSettings) -> bool:
    """Train the job's trial once per microstructure, then classifiers with and without its images; True when done.

    Writes downstream.parquet beside the trials' folders. A conditional trial makes all microstructures itself.
    """
    from qgan.downstream.augmentation import augmentation, warning
    from qgan.ebsd.dataset import read_patches

    data = read_patches(job.patches)
    labels = list(data.footer.microstructures)
    if len(labels) < 2:
        raise InputError(
            f"{job.patches}: patches of {', '.join(labels) or 'no microstructure'} only, and a classifier needs two or "
            "more; put several files into one with `study data join FERRITE BAINITE -o BOTH.parquet`"
        )
    synthetic: dict[str, Tensor] = {}
    for label in labels:
        each = _of(job, None if job.planned.trial.train.conditional else label)
        if not local(each.folder).exists():  # one conditional model serves all labels
            click.echo(f"{label}: key {each.planned.key}")
            if not debug.run_here(each, pdb=False):
                return False
        synthetic[label] = _images(each, label, settings.synthetic)
    held_out = job.planned.trial.data.evaluation // len(labels)  # so many at least did no generator see
    settings = replace(settings, evaluation=min(settings.evaluation, held_out))
    rows: list[Accuracy] = []
    for row in augmentation(data, synthetic, settings):
        rows.append(row)
        if row.classifier == "cnn":
            click.echo(f"seed {row.seed}, k = {row.k}, {row.arm}: balanced accuracy {row.balanced_accuracy:.3f}")
    columns = {name: [asdict(row)[name] for row in rows] for name in tables.DOWNSTREAM.names}
    with whole_file(local(job.folder) / "downstream.parquet") as temporary:
        pq.write_table(pa.table(columns, schema=tables.DOWNSTREAM), temporary)
    Console().print(_table(rows, labels))
    told = warning(rows)
    if told:
        click.echo(told)
    return True


def _of(job: Job, label: str | None) -> Job:
    """The job for one microstructure; for all of them where None."""
    trial = job.planned.trial
    if label is not None:
        trial = replace(trial, data=replace(trial.data, microstructure=label))
    return replace(job, planned=replace(job.planned, trial=trial, key=trial.key), folder=job.folder / (label or "all"))


def _images(job: Job, label: str, count: int) -> "Tensor":
    from qgan.ebsd.dataset import read_patches
    from qgan.training import generate

    return generate(job.planned.trial, read_patches(job.patches), local(job.folder) / "checkpoint.pt", count, label)


def _table(rows: Sequence["Accuracy"], labels: Sequence[str]) -> Table:
    table = Table(
        title=f"balanced accuracy on real patches of other maps ({', '.join(labels)}); mean and standard deviation",
        title_justify="left",
    )
    for heading in ("classifier", "real patches each", "trained on", "balanced accuracy"):
        table.add_column(heading, justify="right" if heading == "real patches each" else "left")
    groups: dict[tuple[str, int, str], list[float]] = {}
    for row in rows:
        groups.setdefault((row.classifier, row.k, row.arm), []).append(row.balanced_accuracy)
    for (classifier, k, arm), values in sorted(groups.items()):
        spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
        table.add_row(classifier, str(k), arm, f"{fmean(values):.3f}{spread}")
    return table
