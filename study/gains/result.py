"""What a search found: the best gains against SPSA's own calibration, on seeds that chose neither."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from analysis.inference import CONFIDENCE, Interval, t_interval
from qgan.prior_settings import CircuitSettings, Gains, TrainedSettings
from study import provenance
from study.gains.evaluation import Outcome
from study.gains.search import Search, Tried
from study.ledger import Ledger
from study.trainable import Job

SCHEMA = 1


@dataclass(frozen=True)
class Result:
    """The best candidate and the calibration, both at the fresh seeds."""

    best: Tried
    calibrated: Gains
    iterations: int  # of the calibrated cycles
    start_loss: float  # of the codes before a cycle
    of_best: list[Outcome]
    of_calibrated: list[Outcome]
    window: int

    @property
    def improvement(self) -> Interval:
        """By how much the best lowers the mean objective, with the t interval of the seeds' differences."""
        return t_interval(
            [
                old.objective(self.window) - new.objective(self.window)
                for old, new in zip(self.of_calibrated, self.of_best, strict=True)
                if old.cause is None and new.cause is None
            ]
        )

    def mean(self, outcomes: Sequence[Outcome]) -> Interval:
        """The mean objective of these outcomes, failed ones left out."""
        return t_interval([each.objective(self.window) for each in outcomes if each.cause is None])

    @property
    def failed(self) -> int:
        """Fresh cycles that failed."""
        return sum(each.cause is not None for each in [*self.of_best, *self.of_calibrated])


def write_candidates(ledger: Ledger, search: Search) -> None:
    """All candidates so far, as a table."""
    front = search.front()
    ledger.write_candidates(
        [
            {
                "number": each.candidate.number,
                "calibrated": each.candidate.gains == search.calibrated,
                "state": each.state,
                **dataclasses.asdict(each.candidate.gains),
                "iterations": each.candidate.iterations,
                "seeds": len(each.objectives),
                "objective": _number(each.mean),
                "error": _number(each.error),
                "circuits": each.circuits or 2 * each.candidate.iterations + 1,
                "on_front": each.candidate.number in front,
                "cause": each.cause,
            }
            for each in search.tried()
        ],
        search.settings.objective,
    )


def write_result(ledger: Ledger, search: Search, start: Job, prior: TrainedSettings, found: Result) -> None:
    """gains.json, which arms take by name, and the cycles behind it."""
    cycles = [
        {"gains": name, "seed": seed, "evaluation": number, "loss": loss}
        for name, outcomes in (("best", found.of_best), ("calibrated", found.of_calibrated))
        for seed, each in enumerate(outcomes)
        for number, loss in enumerate(each.losses, 1)
    ]
    ledger.write_gains(_summary(search, start, prior, found), cycles)


def _summary(search: Search, start: Job, prior: TrainedSettings, found: Result) -> dict[str, Any]:
    improvement = found.improvement
    best, calibrated = found.mean(found.of_best), found.mean(found.of_calibrated)
    return {
        "schema": SCHEMA,
        "gains": dataclasses.asdict(found.best.candidate.gains),
        "iterations": found.best.candidate.iterations,
        "latent_dim": start.planned.trial.latent_dim,
        "backend": getattr(prior, "backend", None),  # names the noise model
        "ansatz": _ansatz(prior),
        "shots": prior.shots,
        "objective": search.settings.objective,
        "improvement": {
            "estimate": improvement.estimate,
            "low": _number(improvement.low),
            "high": _number(improvement.high),
            "p": _number(improvement.p),
            "confidence": CONFIDENCE,
            "seeds": improvement.count,
            "failed": found.failed,
            "best": best.estimate,
            "best_error": _number(best.error),
            "calibrated": calibrated.estimate,
            "calibrated_error": _number(calibrated.error),
            "start_loss": found.start_loss,
        },
        "chosen_by": {
            "candidate": found.best.candidate.number,
            "objective": found.best.mean,
            "error": _number(found.best.error),
            "seeds": len(found.best.objectives),
        },
        "loss_curve": _curve(found.of_best),
        "calibrated": {
            "gains": dataclasses.asdict(found.calibrated),
            "iterations": found.iterations,
            "loss_curve": _curve(found.of_calibrated),
        },
        "importance": search.importance(),
        "searched": {name: dataclasses.asdict(each) for name, each in search.ranges.items()},
        "count_circuits": search.settings.count_circuits,
        "checkpoint": {"trial": start.planned.key, "epoch": start.horizons[-1]},
        "command": provenance.command(),
        "provenance": provenance.collect(),
    }


def _ansatz(prior: TrainedSettings) -> dict[str, Any] | None:
    if not isinstance(prior, CircuitSettings):
        return None
    return {"layers": prior.layers, "connectivity": prior.connectivity, "entangler": prior.entangler}


def _curve(outcomes: Sequence[Outcome]) -> list[float]:
    """Mean loss of every evaluation over the seeds."""
    whole = [each.losses for each in outcomes if each.cause is None]
    return [fmean(each) for each in zip(*whole, strict=True)]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
