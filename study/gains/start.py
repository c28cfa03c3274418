"""Where cycles begin: a trial of the ledger, trained to `start_epoch` with the arm's first theta, then frozen."""

import dataclasses
from pathlib import Path
from typing import cast

from qgan.errors import InputError, nearest
from qgan.prior_settings import PriorSettings, TrainedSettings
from qgan.trial import Trial
from study import plan, provenance, trainable
from study.ledger import Ledger
from study.plan import Planned
from study.sections import GainsSearch
from study.spec import Study


def required(study: Study) -> GainsSearch:
    """The section `gains:`; InputError where the study file has none."""
    if study.gains is None:
        near = nearest("gains", study.document.values)
        raise study.document.error(
            (), f"has no section `gains:`{near}; search_spaces/spsa_gains.yaml shows a whole example"
        )
    return study.gains


def searched_prior(study: Study) -> TrainedSettings:
    """The arm's prior, its gains left open."""
    prior = study.cells[0].priors[required(study).arm]
    assert isinstance(prior, TrainedSettings)
    return dataclasses.replace(prior, gains=None)


def arm_trial(study: Study) -> Planned:
    """The trial of the searched arm: its first replicate."""
    name = required(study).arm
    return plan.choose(study, name, None, study.arms[name].replicates.first)


def start_job(study: Study, patches_file: Path | str, ledger: Ledger) -> trainable.Job:
    """The trial whose checkpoint all cycles begin at; SPSA's settings do not matter to it, and are not in its key."""
    epoch, arm = required(study).start_epoch, arm_trial(study)
    # update_every makes another trial, and so a checkpoint of its own, of every start_epoch
    still = dataclasses.replace(
        searched_prior(study), optimizer="gd", gains_restart=True, iterations=1, update_every=epoch, train_epochs=0
    )
    trial: Trial = dataclasses.replace(arm.trial, prior=cast(PriorSettings, still))
    planned = Planned(trial.key, arm.arm, arm.cell, arm.replicate, trial)
    job = trainable.job(study, planned, patches_file, ledger.folder / "trials" / trial.key)
    return dataclasses.replace(job, horizons=[epoch], command=provenance.command())


def look(study: Study, job: trainable.Job, ledger: Ledger) -> plan.Look:
    """The trial of the checkpoint as a study of its own, and what its results say."""
    alone = dataclasses.replace(study, horizons=job.horizons)
    return plan.Look(alone, [job.planned], ledger, ledger.look([job.planned.key], job.horizons[-1]))


def state(study: Study, job: trainable.Job, ledger: Ledger) -> str:
    """done, or what is to be done about the checkpoint; InputError where a finished trial has lost it.

    Raises CheckpointError where the checkpoint is not a whole one of this trial.
    """
    found, folder = look(study, job, ledger).states[job.planned.key], ledger.trial(job.planned.key)
    if found != "done":
        return found
    if not folder.storage.exists("checkpoint.pt"):
        raise InputError(f"{folder.storage}: holds no checkpoint.pt; remove the folder to train its networks anew")
    from qgan.checkpoint import load

    epochs = len(load(folder.checkpoint, job.planned.trial)["epochs"])
    if epochs != job.horizons[-1]:
        raise InputError(
            f"{folder.storage}: its checkpoint is at epoch {epochs}, and the search begins at {job.horizons[-1]}; "
            "remove the folder to train its networks anew"
        )
    return found
