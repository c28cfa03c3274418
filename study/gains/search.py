"""Which gains to try next: Optuna's ask and tell over a journal, as if no kill had ever happened."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any
from warnings import catch_warnings, simplefilter

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from qgan.errors import InputError
from qgan.prior_settings import Gains
from qgan.seeds import seed
from study.gains.journal import Journal
from study.sections import GainsSearch, Range

_NAME = "gains"
BEFORE_PRUNING = 5  # candidates that are evaluated to the end before one may be given up
_STATES = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}


@dataclass(frozen=True)
class Candidate:
    """Gains to be tried."""

    number: int  # 0: SPSA's own calibration, if it lies in the ranges
    gains: Gains
    iterations: int  # of its cycles


@dataclass(frozen=True)
class Tried:
    """A candidate with what came of it."""

    candidate: Candidate
    state: str  # done | pruned | failed | running
    objectives: tuple[float, ...]  # of its seeds, in their order
    circuits: int  # of one cycle; 0 while it is not known
    cause: str | None  # of a failure

    @property
    def mean(self) -> float:
        return fmean(self.objectives) if self.objectives else math.nan

    @property
    def error(self) -> float:
        """Standard error of the mean over seeds; NaN for fewer than two."""
        count = len(self.objectives)
        return stdev(self.objectives) / math.sqrt(count) if count > 1 else math.nan


class Search:
    """One search. A candidate's suggestion depends on the search's seed, its number and the candidates before it.

    `identity` is all that makes this search what it is, and is kept in the journal; see `require_same`.
    """

    def __init__(
        self, journal: Journal, settings: GainsSearch, identity: Mapping[str, Any], calibrated: Gains, iterations: int
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.settings = settings
        self.calibrated = calibrated
        self.iterations = iterations
        ranges = {each.name: getattr(settings.search, each.name) for each in dataclasses.fields(settings.search)}
        self.ranges: dict[str, Range] = {name: found for name, found in ranges.items() if found is not None}
        self._lengths = max(1, iterations // 10), iterations  # of cycles, where circuits are counted
        self._distributions: dict[str, BaseDistribution] = {
            name: FloatDistribution(found.low, found.high, log=found.log) for name, found in self.ranges.items()
        }
        if settings.count_circuits:
            self._distributions["iterations"] = IntDistribution(*self._lengths, log=True)
        self._study = optuna.create_study(
            storage=JournalStorage(journal),
            study_name=_NAME,
            directions=[StudyDirection.MINIMIZE] * (2 if settings.count_circuits else 1),
            load_if_exists=True,
            # `hopeless` reports once, so that the comparison is over the same seeds
            pruner=optuna.pruners.MedianPruner(n_startup_trials=BEFORE_PRUNING),
        )
        if "search" not in self._study.user_attrs:
            self._study.set_user_attr("search", dict(identity))

    @property
    def starts_calibrated(self) -> bool:
        """Whether SPSA's own calibration lies in the ranges, and so is candidate 0."""
        return all(found.low <= getattr(self.calibrated, name) <= found.high for name, found in self.ranges.items())

    def begun(self) -> list[Candidate]:
        """Candidates that an earlier process asked for and did not tell about."""
        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [self._candidate(each) for each in running]

    def ask(self) -> Candidate | None:
        """The next candidate; None where all have been asked for."""
        trials = self._study.get_trials(deepcopy=False)
        if not any(each.state == TrialState.WAITING for each in trials):
            if len(trials) >= self.settings.candidates:
                return None
            # one entry of the journal: a kill leaves all of a suggestion or nothing
            self._study.enqueue_trial(self._suggestion(trials))
        return self._candidate(self._frozen(self._study.ask().number))

    def hopeless(self, candidate: Candidate, objectives: Sequence[float]) -> bool:
        """Whether the mean over the first seeds is worse than the median of the other candidates' at the same seeds.

        Never with two objectives: few circuits may be worth a loss.
        """
        if self.settings.count_circuits or not all(map(math.isfinite, objectives)):
            return False
        trial = self._trial(candidate)
        if not self._frozen(candidate.number).intermediate_values:
            trial.report(fmean(objectives), step=len(objectives))
        return trial.should_prune()

    def tell(self, candidate: Candidate, objectives: Sequence[float], circuits: int, *, pruned: bool = False) -> None:
        """What the cycles of a candidate found, seed after seed; a number that is not finite is a failure."""
        bad = next((each for each in objectives if not math.isfinite(each)), None)
        if bad is not None:
            self.fail(candidate, f"its objective is {bad}")
            return
        trial = self._trial(candidate)
        trial.set_user_attr("objectives", list(objectives))
        trial.set_user_attr("circuits", circuits)
        if pruned:
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            mean = fmean(objectives)
            self._study.tell(trial, [mean, circuits] if self.settings.count_circuits else mean)

    def fail(self, candidate: Candidate, cause: str) -> None:
        """A candidate without a result: nothing is learnt from it, and it is never the best."""
        trial = self._trial(candidate)
        trial.set_user_attr("cause", cause)
        self._study.tell(trial, state=TrialState.FAIL)

    def tried(self) -> list[Tried]:
        """All candidates so far, by number."""
        return [
            Tried(
                Candidate(each.number, self._gains(each.params), each.params.get("iterations", self.iterations)),
                _STATES[each.state],
                tuple(each.user_attrs.get("objectives", ())),
                each.user_attrs.get("circuits", 0),
                each.user_attrs.get("cause"),
            )
            for each in self._study.get_trials(deepcopy=False)
            if each.state in _STATES and set(self.ranges) <= set(each.params)
        ]

    def best(self) -> Tried | None:
        """The candidate of the lowest mean over all seeds; None where none was evaluated to the end."""
        done = [each for each in self.tried() if each.state == "done"]
        return min(done, key=lambda each: (each.mean, each.candidate.number), default=None)

    def front(self) -> list[int]:
        """Numbers of the candidates to which no other is better in both objectives; the best alone with one."""
        return sorted(each.number for each in self._study.best_trials) if self.best() is not None else []

    def importance(self) -> dict[str, float]:
        """Share of each gain in what makes a candidate good (PED-ANOVA); empty for fewer than ten candidates."""
        done = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(done) < 2 * BEFORE_PRUNING:
            return {}
        # at least five good candidates, as the method's authors ask for
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=max(0.1, BEFORE_PRUNING / len(done)))
        target = (lambda each: each.values[0]) if self.settings.count_circuits else None
        with catch_warnings():
            simplefilter("ignore")  # that a low target is taken for good, as it is here
            return optuna.importance.get_param_importances(self._study, evaluator=evaluator, target=target)

    def _suggestion(self, trials: list[FrozenTrial]) -> dict[str, Any]:
        """What to try after these trials, from a stream of its own for every candidate.

        So a new process does not suggest again what the last one did, and goes on as that would have.
        """
        number = len(trials)
        if number == 0 and self.starts_calibrated:
            start = {name: getattr(self.calibrated, name) for name in self.ranges}
            return start | ({"iterations": self.iterations} if self.settings.count_circuits else {})
        sampler = optuna.samplers.TPESampler(seed=seed("gains", self.settings.seed, number) % 2**32)
        copy = optuna.create_study(directions=self._study.directions, sampler=sampler)
        copy.add_trials(trials)
        return copy.ask(self._distributions).params

    def _candidate(self, found: FrozenTrial) -> Candidate:
        """The candidate of a running trial; its parameters may not have been recorded when its process was killed."""
        trial = optuna.trial.Trial(self._study, found._trial_id)
        for name, each in self.ranges.items():
            trial.suggest_float(name, each.low, each.high, log=each.log)
        if self.settings.count_circuits:
            trial.suggest_int("iterations", *self._lengths, log=True)
        return Candidate(found.number, self._gains(trial.params), trial.params.get("iterations", self.iterations))

    def _gains(self, params: Mapping[str, Any]) -> Gains:
        return dataclasses.replace(self.calibrated, **{name: params[name] for name in self.ranges})

    def _frozen(self, number: int) -> FrozenTrial:
        return self._study.get_trials(deepcopy=False)[number]

    def _trial(self, candidate: Candidate) -> optuna.trial.Trial:
        return optuna.trial.Trial(self._study, self._frozen(candidate.number)._trial_id)


def require_same(journal: Journal, identity: Mapping[str, Any]) -> int:
    """How many candidates the journal knows; InputError where it is that of another search."""
    if not journal.logs:
        return 0
    study = optuna.load_study(study_name=_NAME, storage=JournalStorage(journal))
    before, now = study.user_attrs.get("search"), json.loads(json.dumps(identity))
    different = [name for name, value in now.items() if before is not None and before.get(name) != value]
    if different:
        raise InputError(
            f"{journal}: is the journal of another search (other: {', '.join(different)}); "
            "give this one another name (`study:`), or remove the journal to search anew"
        )
    return sum(each.state.is_finished() for each in study.get_trials(deepcopy=False))
