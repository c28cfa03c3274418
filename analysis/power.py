"""Planning: how many pairs and cells an effect needs, and the smallest effect a design can find.

symbol   meaning
s        run-to-run standard deviation of log MMD within a cell and arm
rho      correlation of the two arms' log MMD over pairs
tau      between-cell standard deviation of the true effect
d        effect log(MMD_B / MMD_Q): log(1.2) is a relative improvement (Eq. 10) of 20 %

Variance of d in one cell: 2 s^2 (1 - rho) / pairs, or 2 s^2 / replicates without pairs; of the mean over K cells:
(tau^2 + that) / K. Powers are those of two-sided t tests. Needs numpy, and scipy when it computes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from math import inf, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

ALPHA = 0.05
POWER = 0.8
MOST = 100_000  # replicates or cells looked for
_NODES = 400  # power to 1e-6


@dataclass(frozen=True)
class Spread:
    """How much log MMD varies; ValueError outside s >= 0, -1 <= rho <= 1, tau >= 0."""

    s: float
    rho: float = 0.0
    tau: float = 0.0

    def __post_init__(self) -> None:
        if not (self.s >= 0 and -1 <= self.rho <= 1 and self.tau >= 0):
            raise ValueError(f"{self}: s and tau must be 0 or more, rho from -1 to 1")


@dataclass(frozen=True)
class Design:
    """Replicates per arm in each of some cells; ValueError for fewer than one of either."""

    replicates: int
    cells: int = 1
    paired: bool = True

    def __post_init__(self) -> None:
        if min(self.replicates, self.cells) < 1:
            raise ValueError(f"{self}: a design has at least one replicate and one cell")

    def error(self, spread: Spread) -> float:
        """Standard error of d: of the cell, or of the mean over cells."""
        within = 2 * spread.s**2 * (1 - spread.rho if self.paired else 1) / self.replicates
        # one cell tells nothing of others, so tau does not enter
        return sqrt(within) if self.cells == 1 else sqrt((spread.tau**2 + within) / self.cells)

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the t test; 0 where the design has no interval."""
        if self.cells > 1:
            return self.cells - 1
        return self.replicates - 1 if self.paired else 2 * (self.replicates - 1)

    def power(self, d: float, spread: Spread, alpha: float = ALPHA) -> float:
        """Chance that the t test finds an effect d with two-sided p < alpha; 0 where it has no degrees of freedom."""
        from scipy import stats

        if self.freedom < 1:
            return 0.0
        if (error := self.error(spread)) == 0:
            return 1.0 if d else alpha
        # over the spread the test may estimate; scipy's noncentral t is NaN in its tails
        nodes, weights = _quadrature()
        limits = stats.t.isf(alpha / 2, self.freedom) * np.sqrt(
            stats.chi2.ppf((nodes + 1) / 2, self.freedom) / self.freedom
        )
        shift = abs(d) / error
        return float(weights @ (stats.norm.sf(limits - shift) + stats.norm.cdf(-limits - shift))) / 2

    def detectable(self, spread: Spread, power: float = POWER, alpha: float = ALPHA) -> float:
        """The smallest d > 0 found with this power; infinite where the design has no degrees of freedom."""
        from scipy import optimize

        if self.freedom < 1:
            return inf
        if (error := self.error(spread)) == 0:
            return 0.0
        above = error
        while self.power(above, spread, alpha) < power:
            above *= 2
        return float(optimize.brentq(lambda d: self.power(d, spread, alpha) - power, 0.0, above))


def replicates_needed(
    d: float, spread: Spread, *, cells: int = 1, paired: bool = True, power: float = POWER, alpha: float = ALPHA
) -> int | None:
    """Fewest replicates per arm and cell that find d with this power; None where no number does (tau is too large)."""
    return _fewest(lambda count: Design(count, cells, paired).power(d, spread, alpha) >= power)


def cells_needed(
    d: float, spread: Spread, *, replicates: int, paired: bool = True, power: float = POWER, alpha: float = ALPHA
) -> int | None:
    """Fewest cells, two or more, that find d in their mean with this power; None above MOST."""
    return _fewest(lambda count: count > 1 and Design(replicates, count, paired).power(d, spread, alpha) >= power)


def smallest_p(count: int) -> float:
    """Smallest two-sided p of a sign or sign-flip test of so many pairs of a cell, or of cell means: 5 0.0625, 6 0.031.

    Over cells it does not matter how many pairs each has.
    """
    return min(1.0, 2.0 ** (1 - count))


def pilot(cells: Iterable[ArrayLike]) -> Spread:
    """s, rho and tau of a pilot: per cell the MMD of its pairs, (pairs, 2), baseline and arm.

    s and rho are pooled within cells; tau^2 is the variance of the cell means beyond what s and rho explain, 0 with
    fewer than two cells. Raises ValueError without a cell of two or more pairs, or for an MMD that cannot be logged.
    """
    logs = []
    for cell in cells:
        mmd = np.asarray(cell, dtype=float).reshape(-1, 2)
        if not (np.isfinite(mmd) & (mmd > 0)).all():
            raise ValueError(f"a pilot's MMD is {mmd[~(np.isfinite(mmd) & (mmd > 0))][0]}: it must be above 0")
        logs.append(np.log(mmd))
    freedom = sum(len(each) - 1 for each in logs if len(each) > 1)
    if not freedom:
        raise ValueError("a pilot needs a cell with two or more scored pairs")
    centred = np.concatenate([each - each.mean(axis=0) for each in logs if len(each) > 1])
    covariance = centred.T @ centred / freedom
    variance = float(np.trace(covariance)) / 2
    rho = float(covariance[0, 1]) / variance if variance > 0 else 0.0
    means = [float((each[:, 0] - each[:, 1]).mean()) for each in logs if len(each)]
    within = np.mean([2 * variance * (1 - rho) / len(each) for each in logs if len(each)])
    between = float(np.var(means, ddof=1) - within) if len(means) > 1 else 0.0
    return Spread(sqrt(variance), min(1.0, max(-1.0, rho)), sqrt(max(0.0, between)))


def _fewest(enough: Callable[[int], bool]) -> int | None:
    """The smallest count at which `enough`, which never turns back, holds: doubling, then halving."""
    above = 2
    while not enough(above):
        above *= 2
        if above > MOST:
            return None
    below = above // 2
    while above - below > 1:
        middle = (above + below) // 2
        above, below = (middle, below) if enough(middle) else (above, middle)
    return above


@cache
def _quadrature() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss-Legendre nodes on [-1, 1] and weights: finding them takes longer than all the rest."""
    return np.polynomial.legendre.leggauss(_NODES)
