"""`study trial --downstream`: what a trial's generated images are worth to a classifier of microstructures."""

import io
from collections.abc import Sequence
from dataclasses import asdict, replace
from statistics import fmean, stdev
from typing import TYPE_CHECKING

import click
import pyarrow as pa
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from analysis import tables
from qgan.downstream.settings import DownstreamSettings
from qgan.errors import InputError
from study import debug
from study.storage import Storage, local
from study.trainable import Job

if TYPE_CHECKING:
    from torch import Tensor

    from qgan.downstream.augmentation import Accuracy


def run(job: Job, settings: DownstreamSettings, storage: Storage, pdb: bool = False) -> bool:
    """Train the job's trial once per microstructure, then classifiers with and without its images; True when done.

    The table goes to debug/<key>/downstream.parquet of the study's storage. A conditional trial makes all
    microstructures itself.
    """
    from qgan.batches import pools
    from qgan.downstream.augmentation import augmentation, pools_of, warning
    from qgan.ebsd.dataset import read_patches

    data = read_patches(job.patches)
    labels = list(data.footer.microstructures)
    if len(labels) < 2:
        raise InputError(
            f"{job.patches}: patches of {', '.join(labels) or 'no microstructure'} only, and a classifier needs two or "
            "more; put several files into one with `study data join FERRITE BAINITE -o BOTH.parquet`"
        )
    jobs = {label: _of(job, None if job.planned.trial.train.conditional else label) for label in labels}
    held_out = {
        label: int((data.index.microstructure[pools(each.planned.trial, data.index)[1]] == label).sum())
        for label, each in jobs.items()
    }
    pools_of(data, held_out, settings)  # what does not fit is said before anything is trained
    synthetic: dict[str, Tensor] = {}
    for label, each in jobs.items():
        if not local(each.folder).exists():  # one conditional model serves all labels
            click.echo(f"{label}: key {each.planned.key}")
            if not debug.run_here(each, pdb):
                return False
        synthetic[label] = _images(each, label, settings.synthetic)
    rows: list[Accuracy] = []
    for row in augmentation(data, synthetic, held_out, settings):
        rows.append(row)
        if row.classifier == "cnn":
            click.echo(f"seed {row.seed}, k = {row.k}, {row.arm}: balanced accuracy {row.balanced_accuracy:.3f}")
    columns = {name: [asdict(row)[name] for row in rows] for name in tables.DOWNSTREAM.names}
    written = io.BytesIO()
    tables.write_table(pa.table(columns, schema=tables.DOWNSTREAM), written)
    storage.write(f"debug/{job.planned.key}/downstream.parquet", written.getvalue())
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
    """One row per classifier and k, narrow enough for 80 columns."""
    table = Table(
        title=f"balanced accuracy on real patches of other maps ({', '.join(labels)})",
        caption="mean ± standard deviation over seeds of the classifiers, of one generator each; gain: of both over "
        "real alone, seed by seed; k = 0: synthetic alone",
        title_justify="left",
        caption_justify="left",
        box=SIMPLE,
        pad_edge=False,
    )
    for heading in ("classifier", "numbers", "k", "real", "real+synthetic", "gain"):
        table.add_column(heading, justify="right" if heading in ("numbers", "k") else "left", no_wrap=True)
    sizes = {row.classifier: str(row.parameters) for row in rows}
    found: dict[tuple[str, int], dict[str, list[float]]] = {}
    for row in rows:  # seeds ascend in every group
        found.setdefault((row.classifier, row.k), {}).setdefault(row.arm, []).append(row.balanced_accuracy)
    for (classifier, k), by_arm in sorted(found.items()):
        real, both = by_arm.get("real"), by_arm.get("real+synthetic")
        if real and both:
            gains = [more - less for more, less in zip(both, real, strict=True)]
            shown = [_shown(real, ".3f"), _shown(both, ".3f"), _shown(gains, "+.3f")]
        else:
            shown = ["", _shown(by_arm["synthetic"], ".3f"), ""]
        table.add_row(classifier, sizes[classifier], str(k), *shown)
    return table


def _shown(values: Sequence[float], form: str) -> str:
    spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{fmean(values):{form}}{spread}"
