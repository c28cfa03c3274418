"""Does an arm train faster? Area under the log MMD curve, and epochs to a threshold declared beforehand.

Both are one positive value per trial and horizon, lower is better, so that they go through the same pairs, intervals
and tests as the final score (`compare_scores`), with d = log(value of the baseline / value of the arm):

area    exp of the mean of log mmd_v over the epochs up to the horizon (trapezoids): exp(d) - 1 is the relative
        improvement averaged over training instead of at its end
epochs  first scored epoch at which a training stopped there would have a final score of at most the threshold.
        A curve that never gets there counts as one epoch past the horizon, the earliest it can have been: its pair
        keeps its sign, and the arm looks better than it is; where neither trial gets there it is a tie
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import integrate

from analysis.effects import Comparison, compare_scores, known_arm
from analysis.errors import ResultsError
from analysis.final_scores import PLACE, by_horizon
from analysis.results import Results

SPEED = [*PLACE, "window", "state", "area", "epochs", "reached"]


def convergence(results: Results, threshold: float | None = None) -> pd.DataFrame:
    """One row per planned trial and horizon.

    key, arm, cell, replicate, horizon (epochs), window   as in final_scores
    state     as in final_scores; invalid where any MMD up to the horizon cannot be logged
    area      geometric mean of mmd_v over the epochs up to the horizon; NaN unless scored
    epochs    to the threshold (mmd_v); NaN unless scored, and without a threshold
    reached   whether the threshold was reached; False where that is not known
    """
    if threshold is not None and not (np.isfinite(threshold) and threshold > 0):
        raise ResultsError(f"threshold {threshold}: an MMD to be reached is a number above 0")
    rows = []
    for place, horizon, window, reached in by_horizon(results):
        area = epochs = np.nan
        if isinstance(reached, str):
            state = reached
        else:
            state, epoch, (mmd, *_) = reached.within(horizon, horizon)
            if state == "scored":
                area = area_under(epoch, mmd)
                epochs = np.nan if threshold is None else epochs_to(epoch, mmd, threshold, window, horizon)
        rows.append([*place, horizon, window, state, area, epochs, bool(epochs <= horizon)])
    return pd.DataFrame(rows, columns=SPEED)


def compare_area(results: Results, baseline: str | None = None) -> Comparison:
    """All arms against a baseline by the area under their log MMD curves; frames have `area` in place of `mmd_v`."""
    return compare_scores(convergence(results), known_arm(results, baseline), "area")


def compare_epochs(results: Results, threshold: float, baseline: str | None = None) -> Comparison:
    """All arms against a baseline by epochs to a threshold; frames have `epochs` in place of `mmd_v`.

    The threshold, an MMD, has to be declared before the curves are seen: one picked afterwards can show either arm
    as the faster. Raises ResultsError where it is not above 0.
    """
    return compare_scores(convergence(results, threshold), known_arm(results, baseline), "epochs")


def area_under(epoch: NDArray[np.int64], mmd: NDArray[np.float64]) -> float:
    """Geometric mean over epochs of a curve scored at some of them."""
    logs = np.log(mmd)
    mean = integrate.trapezoid(logs, epoch) / (epoch[-1] - epoch[0]) if len(epoch) > 1 else logs[0]
    return float(np.exp(mean))


def epochs_to(epoch: NDArray[np.int64], mmd: NDArray[np.float64], threshold: float, window: int, horizon: int) -> float:
    """First scored epoch whose trailing mean over `window` epochs is at most `threshold`; else horizon + 1."""
    sums = np.concatenate([[0.0], np.cumsum(mmd)])
    first = np.searchsorted(epoch, epoch - window, side="right")
    last = np.arange(1, len(epoch) + 1)
    means = (sums[last] - sums[first]) / (last - first)
    there = epoch[means <= threshold]
    return float(there[0]) if len(there) else float(horizon + 1)
