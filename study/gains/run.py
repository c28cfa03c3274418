"""A whole search: checkpoint, calibration, candidates, and the best against the calibration on fresh seeds."""

import dataclasses
from collections.abc import Callable
from typing import Any

from qgan.prior_settings import Gains
from qgan.trial import canonical
from study import trainable
from study.gains.drive import Pool, drive, evaluate_all
from study.gains.evaluation import Evaluation, Outcome
from study.gains.journal import Journal
from study.gains.result import Result, write_candidates, write_result
from study.gains.search import Search, Tried
from study.gains.start import required, searched_prior
from study.ledger import Ledger
from study.spec import Study


def identity(study: Study, start: trainable.Job) -> dict[str, Any]:
    """Everything that makes a search another one; how many candidates and fresh seeds it has does not."""
    search = dataclasses.asdict(required(study))
    for each in ("candidates", "fresh_seeds", "arm"):
        del search[each]
    return {**search, "arm": canonical(searched_prior(study)), "networks and data": start.planned.key}


def evaluator(study: Study, start: trainable.Job, ledger: Ledger) -> Callable[[Gains | None, int, str], Evaluation]:
    """Gains, iterations and the name of a seed to an evaluation of this search."""
    search, prior = required(study), searched_prior(study)

    def evaluate(gains: Gains | None, iterations: int, seed: str) -> Evaluation:
        tried = dataclasses.replace(prior, gains=gains, iterations=iterations)
        return Evaluation(start, tried, seed, search.continuation, (ledger.folder / "trials").absolute())

    return evaluate


def calibrate(study: Study, start: trainable.Job, ledger: Ledger, pool: Pool) -> Outcome:
    """A cycle whose first 50 circuits calibrate its gains, as an arm without gains begins."""
    (found,) = evaluate_all([evaluator(study, start, ledger)(None, searched_prior(study).iterations, "search 0")], pool)
    return found


def search_gains(
    study: Study,
    start: trainable.Job,
    ledger: Ledger,
    pool: Pool,
    journal: Journal,
    calibration: Outcome,
    concurrency: int,
    ended: Callable[[Tried], None],
) -> tuple[Search, Result | None]:
    """Run what is left of the search; the ledger's folder `gains` is kept up to date.

    No result where no candidate came to its end.
    """
    settings, iterations, window = required(study), searched_prior(study).iterations, study.window
    assert calibration.gains is not None
    evaluate = evaluator(study, start, ledger)
    search = Search(journal, settings, identity(study, start), calibration.gains, iterations)

    def one_more(tried: Tried) -> None:
        write_candidates(ledger, search)
        ended(tried)

    drive(search, pool, evaluate, window, concurrency, one_more)
    best = search.best()
    if best is None:
        return search, None
    both = [(best.candidate.gains, best.candidate.iterations), (calibration.gains, iterations)]
    seeds = range(settings.fresh_seeds)
    wanted = list(dict.fromkeys((gains, seed) for gains in both for seed in seeds))  # the best may be the calibration
    fresh = dict(
        zip(wanted, evaluate_all([evaluate(*gains, f"fresh {seed}") for gains, seed in wanted], pool), strict=True)
    )
    of_best, of_calibrated = ([fresh[gains, seed] for seed in seeds] for gains in both)
    result = Result(best, calibration.gains, iterations, calibration.start_loss, of_best, of_calibrated, window)
    write_candidates(ledger, search)
    write_result(ledger, search, start, searched_prior(study), result)
    return search, result
