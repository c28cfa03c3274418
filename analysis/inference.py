"""Intervals and exact tests for few replicates, on scipy.

The t interval keeps its coverage at 3 to 5 replicates (0.95); a percentile bootstrap does not (0.75 to 0.84).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate with its two-sided interval; low and high are NaN where one value leaves no spread."""

    estimate: float
    low: float
    high: float
    count: int  # values behind it

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def t_band(values: ArrayLike, confidence: float = CONFIDENCE) -> NDArray[np.float64]:
    """Mean and t interval of every row of `values` (rows, replicates): (3, rows), mean, low, high.

    NaN marks a missing replicate; low and high are NaN where a row has fewer than two.
    """
    table = np.atleast_2d(np.asarray(values, dtype=float))
    present = np.isfinite(table)
    count = present.sum(axis=1)
    filled = np.where(present, table, 0.0)
    mean = filled.sum(axis=1) / np.where(count > 0, count, np.nan)
    squares = (np.where(present, table - mean[:, None], 0.0) ** 2).sum(axis=1)
    freedom = np.where(count > 1, count - 1, np.nan)
    half = stats.t.ppf((1 + confidence) / 2, freedom) * np.sqrt(squares / freedom / np.maximum(count, 1))
    return np.stack([mean, mean - half, mean + half])


def t_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Student's t interval of the mean of `values`; of paired differences it is the paired one."""
    sample = np.asarray(values, dtype=float).ravel()
    mean, low, high = t_band(sample, confidence)[:, 0]
    return Interval(float(mean), float(low), float(high), sample.size)


def welch_interval(first: ArrayLike, second: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Welch's t interval of mean(first) - mean(second), for arms that share no replicate."""
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    difference = float(a.mean() - b.mean())
    if min(a.size, b.size) < 2:
        return Interval(difference, np.nan, np.nan, a.size + b.size)
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(confidence)
    return Interval(difference, float(interval.low), float(interval.high), a.size + b.size)


def clopper_pearson(wins: int, count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact interval of a win rate, from 0 to 1, after `wins` of `count`."""
    if count == 0:
        return 0.0, 1.0
    interval = stats.binomtest(wins, count).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


def binomial_p(wins: int, count: int) -> float:
    """Exact two-sided p of `wins` of `count` if either arm were as likely to win."""
    return float(stats.binomtest(wins, count, 0.5).pvalue) if count else 1.0


def smallest_p(count: int) -> float:
    """The smallest two-sided p that a sign or sign-flip test can reach with `count` differences."""
    return min(1.0, 2.0 ** (1 - count))
