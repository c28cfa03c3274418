"""The smallest improvement that a design can detect, by the power of the t test on log(MMD_B / MMD_Q)."""

from dataclasses import dataclass
from math import exp, inf, sqrt

SIGNIFICANCE = 0.05  # two-sided
POWER = 0.8


@dataclass(frozen=True)
class Spread:
    """How much log MMD varies."""

    run_sd: float = 0.2  # s, between runs of one arm in one cell
    pair_correlation: float = 0.0  # rho, between the arms of a pair
    cell_sd: float = 0.1  # tau, of the effect between cells


def detectable_improvement(cells: int, pairs: int, spread: Spread) -> float:
    """The smallest relative improvement (Eq. 10, 0.25 is +25 %) that is found with probability POWER.

    `pairs` per cell, over all `cells`: t test of the cell means, variance tau^2 + 2 (1 - rho) s^2 / pairs; of a
    single cell the paired t test of its pairs, which says nothing of other cells. Infinite where one value is left.
    """
    pair_variance = 2 * (1 - spread.pair_correlation) * spread.run_sd**2
    if cells == 1:
        count, error = pairs, sqrt(pair_variance / pairs)
    else:
        count, error = cells, sqrt((spread.cell_sd**2 + pair_variance / pairs) / cells)
    return exp(error * _noncentrality(count - 1)) - 1 if count > 1 else inf


def smallest_p(differences: int) -> float:
    """The smallest two-sided p of any distribution-free (sign, rank or sign-flip) test: 2 / 2^differences."""
    return min(1.0, 2.0 ** (1 - differences))


def _noncentrality(freedom: int) -> float:
    """Of the t distribution that passes the two-sided threshold on one side with probability POWER."""
    from scipy.special import nctdtrinc, stdtrit

    threshold = stdtrit(freedom, 1 - SIGNIFICANCE / 2)
    return float(nctdtrinc(freedom, 1 - POWER, threshold))
