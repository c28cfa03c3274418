"""One trial from start to end, with its ledger entries: the function that Ray runs, and `study trial` too."""

import dataclasses
import shlex
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgan.errors import InputError
from qgan.trial import canonical
from study import ledger, provenance
from study.plan import Planned
from study.spec import Study
from study.spending import usd_per_hour
from study.storage import Place, is_storage_trouble, local

if TYPE_CHECKING:
    from analysis.records import TrialRecord
    from qgan.circuits import Sampler
    from qgan.ebsd.dataset import Patches
    from qgan.training import Epoch

Watch = Callable[["Epoch"], None]

WRITE_EVERY_S = 5.0  # curve and status on disk are at most so old while a trial runs, or one epoch
_LOG_LINES = 12


@dataclass(frozen=True)
class Job:
    """All that a process anywhere needs to run one trial."""

    planned: Planned
    horizons: list[int]
    patches: Path | str  # Parquet file, or its URI
    folder: Place  # of the trial
    features: Path | None  # folder of the feature networks, shared by all trials; None: no full scores
    command: str  # reproduces the trial in one process
    cpus: float
    gpus: float
    launched: str = ""  # the command that launched it, with others
    usd_per_gpu_hour: float | None = None  # the study's own price
    retry: bool = False  # of a failed trial: a checkpoint that cannot be continued is removed
    sampler: "Sampler | None" = None  # runs the circuits instead of the prior's own backend


def job(study: Study, planned: Planned, patches: Path | str, folder: Place, retry: bool = False) -> Job:
    """The job of one planned trial of a study, with the files that it reads and writes."""
    words = ["study", "trial", str(study.document.path), "--arm", planned.arm, "--cell", ",".join(planned.cell_words)]
    return Job(
        planned=planned,
        horizons=study.horizons,
        patches=patches,
        folder=folder.absolute(),
        features=local(study.results / "data").absolute(),
        command=shlex.join([*words, "--replicate", str(planned.replicate), "--pdb"]),
        cpus=study.resources.cpu,
        gpus=study.resources.gpu,
        launched=provenance.command(),
        usd_per_gpu_hour=study.budget.usd_per_gpu_hour,
        retry=retry,
    )


def run(job: Job, watch: Watch, *, raise_errors: bool = False, gpu_needed: bool = False) -> bool:
    """Train the trial of `job`, keep its ledger entry, show every new epoch to `watch`; True when it is done.

    What goes wrong inside becomes a failure row with its cause, unless `raise_errors` (for a debugger). An OSError of
    results that cannot be kept is raised, and the trial stays as its last checkpoint has it. With `gpu_needed` a trial
    that asks for a GPU does not train without one.
    """
    import torch

    torch.set_num_threads(max(1, int(job.cpus)))
    device = "cuda" if job.gpus and torch.cuda.is_available() else "cpu"
    found = provenance.collect()
    folder = ledger.TrialFolder(job.folder)
    record = folder.begin(
        job.planned.key,
        trial=canonical(job.planned.trial),
        command=job.command,
        provenance={**found, "launched": job.launched},  # the data's hash is added below; the values are shared
        gpus=job.gpus,
        usd_per_hour=usd_per_hour(found["gpu"], job.gpus, job.usd_per_gpu_hour),
    )
    epochs: list[Epoch] = []
    written = time.monotonic()
    try:
        if gpu_needed and job.gpus and device == "cpu":
            raise InputError(
                f"{socket.gethostname()}: torch {torch.__version__} sees no GPU there, and the trial asks for gpu "
                f"{job.gpus:g}; install torch for CUDA on that node, or set resources.gpu to 0"
            )
        data = checked_patches(job)
        record.provenance["data_hash"] = data.footer.content_hash
        patches_footer = {
            "height": data.footer.height,
            "width": data.footer.width,
            "step_um": data.footer.step_um,
            "channels": [dataclasses.asdict(channel) for channel in data.footer.channels],
        }
        for epoch in _epochs(job, data, folder, device):
            epochs.append(epoch)
            if epoch.warning:
                record.warnings.append(f"epoch {epoch.epoch}: {epoch.warning}")
            last = epoch.epoch == job.horizons[-1]
            if epoch.resumed and not last:
                continue  # the results have it already, and may be further
            if last or epoch.checkpointed or time.monotonic() - written > WRITE_EVERY_S:
                folder.require_current(record)
                if epoch.checkpointed:
                    folder.keep_checkpoint()
                    record.attempts[-1]["checkpoint"] = epoch.epoch
                folder.write_curve(epochs)
                folder.write_images(epochs, patches_footer)
                folder.write_scores(epochs)
                record = _reached(record, epochs, job.horizons)
                folder.write_record(record)
                written = time.monotonic()
            watch(epoch)
    except ledger.Superseded:
        return False
    except Exception as error:  # a user's or a program's error ends this trial, not the study
        if raise_errors or is_storage_trouble(error):
            raise
        with suppress(ledger.Superseded):  # a later attempt has the word
            folder.require_current(record)
            if epochs:
                folder.write_curve(epochs)
            folder.write_record(ledger.failed(record, cause(error), max(len(epochs), record.epoch), log(error)))
        return False
    return True


def _reached(record: "TrialRecord", epochs: "list[Epoch]", horizons: list[int]) -> "TrialRecord":
    """The record at the end of the last of the epochs that are in the results; done at the longest horizon."""
    epoch = epochs[-1]
    scored = {each.epoch for each in epochs if each.full_scores is not None}.intersection(horizons)
    if epoch.epoch == horizons[-1]:
        record.attempts[-1]["ended"] = "done"
    return dataclasses.replace(
        record,
        status="done" if epoch.epoch == horizons[-1] else "running",
        epoch=epoch.epoch,
        horizon=max([record.horizon, *(horizon for horizon in horizons if horizon <= epoch.epoch)]),
        seconds=epoch.seconds,
        mmd_v=record.mmd_v if epoch.mmd_v is None else epoch.mmd_v,
        floor_v=epoch.floor_v,
        horizons=sorted(scored.union(record.horizons or ())),
    )


def _epochs(job: Job, data: "Patches", folder: ledger.TrialFolder, device: str) -> "Iterator[Epoch]":
    """The trial's epochs; a retry starts anew where the checkpoint cannot be continued."""
    from qgan.training import CheckpointError, train

    settings: dict[str, Any] = {
        "horizons": job.horizons,
        "checkpoint": folder.checkpoint,
        "features": job.features,
        "device": device,
        "sampler": job.sampler,
    }
    try:
        yield from train(job.planned.trial, data, **settings)
    except CheckpointError:  # raised before the first epoch
        if not job.retry:
            raise
        folder.remove_checkpoint()
        yield from train(job.planned.trial, data, **settings)


def checked_patches(job: Job) -> "Patches":
    """The trial's patches; InputError where the file holds others than those that its key names."""
    data = _patches(job.patches, job.patches.stat().st_mtime_ns if isinstance(job.patches, Path) else 0)
    named = job.planned.trial.data.patches
    if named not in (data.footer.content_hash, data.footer.recipe):
        raise InputError(
            f"{job.patches}: holds other patches ({data.footer.recipe or data.footer.content_hash}) than this trial "
            f"names ({named}); the file has changed since the study was planned: run the study again"
        )
    return data


@lru_cache(maxsize=1)  # a worker runs many trials on one set of patches
def _patches(path: Path | str, modified_ns: int) -> "Patches":
    from qgan.ebsd.unpacked import node_patches

    return node_patches(path)


def cause(error: Exception) -> str:
    """What went wrong in one line, as a failure's record has it."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return first if isinstance(error, InputError | RuntimeError) else f"{type(error).__name__}: {first}"


def log(error: Exception) -> str:
    """The last lines of the traceback."""
    return "\n".join("".join(traceback.format_exception(error)).splitlines()[-_LOG_LINES:])
