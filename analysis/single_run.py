"""One run, such as the one on a quantum computer, against N runs of the baseline in the same cell.

One run has no spread, so no error bar and no t test. What can be said: its rank among all N + 1 runs, with an exact p
if the arms do not differ (any rank is then as likely), and whether it lies where one more run of the baseline would.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.effects import known_arm
from analysis.final_scores import final_scores
from analysis.inference import CONFIDENCE, prediction_interval
from analysis.results import Results

RUN = ["arm", "baseline", "cell", "horizon", "mmd_v", "count", "rank", "p_better", "p", "low", "high", "outside", "d"]
RUN += ["reason"]


@dataclass(frozen=True)
class SingleRun:
    """One run against `count` runs of the baseline."""

    value: float  # its final score, MMD
    count: int
    below: int  # runs of the baseline with at most its MMD
    above: int  # with at least its MMD: a tie is in both, so that it helps neither side
    low: float  # 95 % prediction interval of one more run of the baseline, MMD; NaN with fewer than two
    high: float
    d: float  # log(geometric mean MMD of the baseline / MMD of the run)

    @property
    def rank(self) -> int:
        """Place among all count + 1 runs; 1 = lowest MMD, a tie counts against the run."""
        return self.below + 1

    @property
    def p_better(self) -> float:
        """Exact one-sided p of a rank this low: rank / (count + 1), so never below 1 / (count + 1)."""
        return self.rank / (self.count + 1)

    @property
    def p(self) -> float:
        """Exact two-sided p: twice the smaller tail."""
        return min(1.0, 2 * (1 + min(self.below, self.above)) / (self.count + 1))

    @property
    def outside(self) -> bool:
        """Whether the run lies outside the prediction interval; False where there is none."""
        return self.value < self.low or self.value > self.high


def single_run(value: float, others: ArrayLike, confidence: float = CONFIDENCE) -> SingleRun:
    """Place one final score among those of the baseline; ValueError for an MMD that cannot be logged."""
    rivals = np.asarray(others, dtype=float).ravel()
    everything = np.append(rivals, value)
    if not rivals.size or not (np.isfinite(everything) & (everything > 0)).all():
        raise ValueError("a single run is placed among one or more runs, all with a finite MMD above 0")
    logs = np.log(rivals)
    low, high = np.exp(prediction_interval(logs, confidence))
    below, above = int((rivals <= value).sum()), int((rivals >= value).sum())
    return SingleRun(value, rivals.size, below, above, float(low), float(high), float(logs.mean() - np.log(value)))


def single_runs(results: Results, baseline: str | None = None) -> pd.DataFrame:
    """One row per arm, cell and horizon where the plan has one run of the arm and two or more of the baseline.

    arm, baseline, cell, horizon (epochs)
    mmd_v      final score of the run; NaN where it has none
    count      scored runs of the baseline
    rank, p_better, p      1 = best of count + 1; exact one-sided and two-sided p
    low, high, outside     95 % prediction interval of one more run of the baseline (MMD); whether the run is outside
    d          log(geometric mean of the baseline / the run)
    reason     why nothing can be said, or why there is no interval; else empty
    """
    return place_single_runs(final_scores(results), known_arm(results, baseline))


def single_arms(scores: pd.DataFrame, baseline: str) -> list[str]:
    """Arms with one planned run in every cell they have, against a baseline with more: no t interval is theirs."""
    arms = dict.fromkeys(str(arm) for arm in scores["arm"])
    return [arm for arm in arms if arm != baseline and (places := _places(scores, arm, baseline)) and all(places)]


def place_single_runs(scores: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """The same of a frame of final scores."""
    rows = []
    for place, ours in scores[scores["arm"] != baseline].groupby(["arm", "cell", "horizon"], sort=False):
        arm, cell, horizon = place
        here = (scores["cell"] == cell) & (scores["horizon"] == horizon) & (scores["arm"] == baseline)
        if len(ours) != 1 or here.sum() < 2:
            continue
        row = {"arm": arm, "baseline": baseline, "cell": cell, "horizon": horizon}
        rows.append(row | _placed(ours, scores[here & (scores["state"] == "scored")]))
    return pd.DataFrame(rows, columns=RUN)


def _places(scores: pd.DataFrame, arm: str, baseline: str) -> list[bool]:
    counts = scores.groupby(["arm", "cell"])["replicate"].nunique()
    cells: Iterable[str] = scores.loc[scores["arm"] == arm, "cell"].unique()
    return [counts[arm, cell] == 1 and counts.get((baseline, cell), 0) > 1 for cell in cells]


def _placed(ours: pd.DataFrame, rivals: pd.DataFrame) -> dict[str, object]:
    state, value = ours["state"].iloc[0], float(ours["mmd_v"].iloc[0])
    if state != "scored" or not len(rivals):
        reason = "no run of the baseline is scored" if state == "scored" else f"the run is {state}"
        return {"mmd_v": value, "count": len(rivals), "outside": False, "reason": reason}
    run = single_run(value, rivals["mmd_v"])
    names = ("count", "rank", "p_better", "p", "low", "high", "outside", "d")
    reason = "" if run.count > 1 else "one run of the baseline has no prediction interval"
    return {"mmd_v": value} | {name: getattr(run, name) for name in names} | {"reason": reason}
