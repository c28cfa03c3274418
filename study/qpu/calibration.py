"""SPSA's gains, calibrated on a simulator with the machine's noise and kept: no circuit of the machine is spent.

The networks are trained up to the first update event as in the final trial, with the simulator's codes; there
`qgan.spsa.calibrate` measures 50 circuits.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

from qgan.errors import InputError
from qgan.files import whole_file
from qgan.prior_settings import Gains
from study import provenance, trainable
from study.ledger import TrialFolder
from study.qpu.final import Final, calibration_trial
from study.trainable import Job


def calibration_job(final: Final, patches: Path | str) -> Job:
    """The job that ends with calibrated gains in its checkpoint."""
    trial = calibration_trial(final)
    planned = replace(final.planned, key=trial.key, trial=trial)
    job = trainable.job(final.study, planned, patches, final.folder / f"calibration-{trial.key[:8]}")
    return replace(job, horizons=[final.prior.update_every], features=None)


def calibrate(job: Job) -> Gains:
    """Train up to the first update event, which calibrates; raises what stops it. Goes on from its checkpoint."""
    from qgan import checkpoint

    trainable.run(job, lambda epoch: None, raise_errors=True)
    state = checkpoint.load(TrialFolder(job.folder).checkpoint, job.planned.trial)
    gains = state["prior"]["optimizer"]["gains"]
    if gains is None:
        raise InputError(f"{job.folder}: its checkpoint holds no gains; remove the folder to calibrate anew")
    return Gains(**gains)


def keep(final: Final, gains: Gains) -> None:
    """Write the small file that arms take by name: `gains: FILE`."""
    final.gains_file.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "gains": asdict(gains),
        "calibrated_on": final.settings.calibration,
        "latent_dim": final.planned.trial.latent_dim,
        "ansatz": {"layers": final.prior.layers, "connectivity": final.prior.connectivity,
                   "entangler": final.prior.entangler},
        "shots": final.prior.shots,
        "trial": calibration_trial(final).key,
        "epoch": final.prior.update_every,
        "provenance": provenance.collect(),
    }  # fmt: skip
    with whole_file(final.gains_file) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")
