"""The final trial of a study file: which trial, with which gains, on which rung, in which folder."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qgan.circuits.ansatz import Ansatz
from qgan.errors import InputError
from qgan.ionq.jobs import shots_of_a_job
from qgan.prior_settings import Gains, TrainedCircuitSettings
from qgan.trial import Trial
from study.plan import Planned, trials
from study.qpu.ladder import Rung
from study.sections import QpuRun
from study.spec import Study


@dataclass(frozen=True)
class Final:
    """The final trial, its gains perhaps not known yet."""

    study: Study
    settings: QpuRun
    rung: Rung
    planned: Planned

    @property
    def prior(self) -> TrainedCircuitSettings:
        prior = self.planned.trial.prior
        assert isinstance(prior, TrainedCircuitSettings)
        return prior

    @property
    def ansatz(self) -> Ansatz:
        prior = self.prior
        return Ansatz(self.planned.trial.latent_dim, prior.layers, prior.connectivity, prior.entangler)

    @property
    def folder(self) -> Path:
        """Of all final trials of the study."""
        return self.results / "qpu"

    @property
    def results(self) -> Path:
        """Of the study."""
        folder = self.study.folder.absolute()
        assert isinstance(folder, Path)  # `final` has refused what is not
        return folder

    @property
    def run_name(self) -> str:
        """Of the folder of this one: the rung, and what names its trial."""
        unknown = replace(self.prior, gains=None)  # so that the name is the same once they are known
        trial = replace(self.planned.trial, prior=unknown)  # type: ignore[arg-type]
        return f"{self.rung.word.replace(':', '-')}-{trial.key[:8]}"

    @property
    def gains_file(self) -> Path:
        """Where calibrated gains are kept, for every rung: named by the trial that calibrates them."""
        return self.folder / f"gains-{calibration_trial(self).key[:8]}.json"

    @property
    def update_epochs(self) -> list[int]:
        """After which epochs the prior is updated."""
        return [epoch for epoch in range(1, self.study.horizons[-1] + 1) if self.prior.due(epoch)]

    @property
    def circuits_per_cycle(self) -> int:
        return 2 * self.prior.iterations + 1

    @property
    def circuits(self) -> int:
        """All that are measured: every cycle's, and one for the first codes."""
        return 1 + len(self.update_epochs) * self.circuits_per_cycle

    def with_gains(self, gains: Gains) -> "Final":
        return self._with(replace(self.prior, gains=gains))

    def on_rung(self) -> "Final":
        """The trial with the rung's backend where that is a simulator; a machine comes in as the trial's sampler."""
        return self._with(replace(self.prior, backend=self.rung.word)) if self.rung.simulated else self  # type: ignore[arg-type]

    def saved_gains(self) -> Gains | None:
        """Those of the arm, or those that an earlier calibration has left."""
        if self.prior.gains is not None:
            return self.prior.gains
        try:
            return Gains(**json.loads(self.gains_file.read_text())["gains"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{self.gains_file}: is damaged; remove it, and the gains are calibrated anew") from None

    def described(self) -> dict[str, Any]:
        """For records."""
        return {
            "arm": self.planned.arm,
            "cell": self.planned.cell,
            "cell_name": self.planned.cell_name,
            "replicate": self.planned.replicate,
            "backend": self.rung.word,
            "machine": None if self.rung.simulated else self.rung.machine,
            "horizons": self.study.horizons,
            "window": self.study.window,
            "update_epochs": self.update_epochs,
            "circuits": self.circuits,
            "circuits_per_cycle": self.circuits_per_cycle,
            "key": self.planned.key,
        }

    def _with(self, prior: TrainedCircuitSettings) -> "Final":
        trial = replace(self.planned.trial, prior=prior)  # type: ignore[arg-type]
        return replace(self, planned=replace(self.planned, key=trial.key, trial=trial))


def final(study: Study, backend: str | None) -> Final:
    """The final trial that the study file's `qpu:` names, on the rung `backend`, or the file's own.

    Raises InputError where there is none, or its circuits cannot be measured one SPSA evaluation at a time.
    """
    if study.qpu is None:
        raise study.document.error(
            (), "has no section `qpu:`; add `qpu: {arm: ARM}`, or start from search_spaces/qpu_ferrite.yaml"
        )
    if not isinstance(study.results, Path):
        raise study.document.error(
            ("results",), f"is {study.results}; the journal of paid jobs needs a folder: a shared file system will do"
        )
    settings = study.qpu
    rung = Rung(backend or settings.backend)
    place = (settings.arm, settings.replicate)
    planned = next(each for each in trials(study) if (each.arm, each.replicate) == place)
    prior = planned.trial.prior
    assert isinstance(prior, TrainedCircuitSettings)
    where = ("arms", settings.arm)
    if prior.optimizer != "spsa":
        raise study.document.error(
            (*where, "optimizer"),
            f"is {prior.optimizer}; `study qpu` measures the circuits of optimizer: spsa, 2 iterations + 1 per event",
        )
    with study.document.locating(*where):
        replace(prior, backend=settings.calibration)  # type: ignore[arg-type]  # what is measured knows no probabilities
    allowed = shots_of_a_job(settings.debiasing)
    if not rung.simulated and prior.shots not in allowed:
        told = f"is {prior.shots}; {rung.word} takes {allowed[0]} to {allowed[-1]}"
        raise study.document.error((*where, "shots"), told)
    found = Final(study, settings, rung, planned)
    if not found.update_epochs:
        raise study.document.error((*where, "update_every"), "is such that no update event comes before the horizon")
    return found


def calibration_trial(final: Final) -> Trial:
    """The trial whose first update event calibrates the gains: the final one, on the simulator, up to there."""
    prior = replace(
        final.prior,
        backend=final.settings.calibration,  # type: ignore[arg-type]
        gains=None,
        iterations=1,
        train_epochs=final.prior.update_every,
    )
    score = replace(final.planned.trial.score, every=final.prior.update_every, full_every=0)
    return replace(final.planned.trial, prior=prior, score=score)  # type: ignore[arg-type]
