"""A study as trials: cells x arms x replicates, what is done and what is missing."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.records import Plan, PlannedTrial, cell_words
from qgan.errors import InputError, nearest
from qgan.settings import DataSettings
from qgan.trial import Trial
from study import patches
from study.document import parse_value
from study.ledger import Ledger, Snapshot
from study.spec import Study, load

STATES = ("done", "running", "failed", "pending")


@dataclass(frozen=True)
class Planned(PlannedTrial):
    """One trial at its place in the study."""

    trial: Trial

    def __str__(self) -> str:
        return f"{self.arm}, {self.cell_name}, replicate {self.replicate}"


def trials(study: Study) -> list[Planned]:
    """Every trial of the study, replicate by replicate, so that an unfinished study holds whole pairs.

    Raises InputError where the data cannot serve the largest cell.
    """
    identity = patches.identity(study)
    patches.require_enough(study)
    data = DataSettings(identity, study.source.evaluation, study.source.microstructure)
    planned = []
    for replicate in sorted({each for arm in study.arms.values() for each in arm.replicates}):
        for cell in study.cells:
            for name, arm in study.arms.items():
                if replicate in arm.replicates:
                    with study.document.locating("arms", name):  # it may not fit its cell or `train`
                        prior = cell.priors[name]
                        trial = Trial(data, cell.latent_dim, cell.images, replicate, prior, cell.train, study.score)
                    planned.append(Planned(trial.key, name, cell.values, replicate, trial))
    return planned


def choose(study: Study, arm: str, cell: str | None, replicate: int) -> Planned:
    """The one trial that the command line names; `cell` is `latent_dim=8,images=256`, any subset that leaves one."""
    if arm not in study.arms:
        raise InputError(f"--arm {arm}: no such arm{nearest(arm, study.arms)}; the arms are: {', '.join(study.arms)}")
    wanted = _cell_values(study, cell or "")
    cells = [each.values for each in study.cells if wanted.items() <= each.values.items()]
    if len(cells) != 1:
        number = "no cell fits" if not cells else f"{len(cells)} cells fit"
        choices = "; ".join(dict.fromkeys(each.cell_name for each in trials(study)))
        raise InputError(f"--cell {cell or '(not given)'}: {number}; {study.document.path} has: {choices}")
    for planned in trials(study):
        if (planned.arm, planned.cell, planned.replicate) == (arm, cells[0], replicate):
            return planned
    raise InputError(
        f"--replicate {replicate}: arm {arm} has the replicates {', '.join(map(str, study.arms[arm].replicates))}"
    )


def _cell_values(study: Study, text: str) -> dict[str, Any]:
    values = {}
    for word in cell_words(text):
        name, equals, value = (each.strip() for each in word.partition("="))
        names = list(study.cells[0].values)
        if not equals or name not in names:
            raise InputError(f"--cell {text}: write it as {names[0]}=VALUE; the grid keys are: {', '.join(names)}")
        values[name] = parse_value(value)
    return values


@dataclass(frozen=True)
class Look:
    """A study, its trials, and what its results say of them now."""

    study: Study
    planned: list[Planned]
    ledger: Ledger
    now: Snapshot

    @property
    def states(self) -> dict[str, str]:
        """Key -> done | running | failed | pending, in the plan's order."""
        return self.now.states

    def again(self) -> "Look":
        """The same study a moment later."""
        return replace(self, now=self.ledger.look(self.states, self.study.horizons[-1]))


def look(file: Path) -> Look:
    """What a study file plans and what of it is done."""
    study = load(file)
    planned, ledger = trials(study), Ledger(study.folder)
    keys = dict.fromkeys(each.key for each in planned)
    return Look(study, planned, ledger, ledger.look(keys, study.horizons[-1]))


def tally(states: dict[str, str]) -> str:
    """How many trials are in each state, in words."""
    numbers = Counter(states.values())
    return f"{len(states)} trials: " + ", ".join(f"{numbers[state]} {state}" for state in STATES if numbers[state])


def counts(planned: Iterable[Planned], states: dict[str, str]) -> dict[tuple[str, str], Counter[str]]:
    """(cell, arm) -> how many replicates are in each state."""
    table: dict[tuple[str, str], Counter[str]] = {}
    for each in planned:
        table.setdefault((each.cell_name, each.arm), Counter())[states[each.key]] += 1
    return table


def ensure_record(study: Study, ledger: Ledger, patches_file: Path | str) -> None:
    """Write plan.json where there is none yet: `study report` asks for it."""
    if not ledger.storage.exists("plan.json"):
        ledger.write_plan(record(study, trials(study), patches_file))


def record(study: Study, planned: Sequence[Planned], patches_file: Path | str) -> Plan:
    """The plan as analysis reads it, with what is known of the patches."""
    from qgan.ebsd.dataset import read_footer

    footer = read_footer(patches_file)
    return Plan(
        study=study.name,
        baseline=study.baseline,
        arms=list(study.arms),
        horizons=study.horizons,
        window=study.window,
        threshold=study.threshold,
        confirm=None if study.confirm is None else vars(study.confirm),
        trials=list(planned),
        study_file=study.document.text,
        data={
            "source": study.source.source,
            "microstructure": study.source.microstructure,
            "content_hash": footer.content_hash,
            "recipe": footer.recipe,
            "count": footer.count,
            "height": footer.height,
            "width": footer.width,
            "step_um": footer.step_um,
            "evaluation": study.source.evaluation,
        },
    )
