"""The final trial in the process that trains it."""

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qgan.errors import InputError, Stopped
from qgan.ionq.client import TOKEN_VARIABLES
from qgan.ionq.sampler import IonqSampler
from study import ledger, trainable
from study.qpu.proxy import Proxy
from study.qpu.run import Run
from study.storage import sentence
from study.trainable import Job, Watch

if TYPE_CHECKING:
    from qgan.training import Epoch


@dataclass(frozen=True)
class Ended:
    """How the trial ended."""

    ended: str  # done | refused | stopped | failed | detached | lost
    told: str = ""  # why, in a sentence


def train(job: Job, run: Run | None, watch: Watch) -> Ended:
    """Train to the end or to what stops it; gives the machine back as soon as no circuit is left to measure.

    `run` None: the prior's own backend simulates the circuits.
    """
    for name in TOKEN_VARIABLES:  # the actor's alone, even where it was handed down to this process
        os.environ.pop(name, None)
    if run is None:
        return _ended(job, watch)
    proxy = Proxy(run)
    prior, horizon = job.planned.trial.prior, job.horizons[-1]
    last = max(epoch for epoch in range(1, horizon + 1) if prior.due(epoch))  # type: ignore[union-attr]

    def seen(epoch: "Epoch") -> None:
        if epoch.epoch == last:
            proxy.leave()
        watch(epoch)

    try:
        return _ended(replace(job, sampler=IonqSampler(run.ansatz, proxy)), seen)
    finally:
        proxy.leave()


def _ended(job: Job, watch: Watch) -> Ended:
    try:
        if trainable.run(job, watch, raise_errors=True):
            return Ended("done")
        return Ended("stopped", "another process has taken the trial over: this one ends")
    except Stopped as stopped:
        return Ended("stopped", str(stopped))
    except InputError as refused:
        return Ended("refused", str(refused))
    except OSError as trouble:
        return Ended("refused", sentence(trouble))
    except Exception as error:
        folder = ledger.TrialFolder(job.folder)
        cause = trainable.cause(error)
        record = folder.record()
        if record is not None and ledger.is_of_this_process(record):  # else a later attempt has the word
            folder.write_record(ledger.failed(record, cause, record.epoch, trainable.log(error)))
        return Ended("failed", cause)
