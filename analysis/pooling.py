"""One effect over many cells: the t interval over cell means, and random effects beside it.

symbol   meaning
y_k      effect of cell k (mean d over its pairs), v_k its squared standard error
tau^2    variance of the true effects between cells
w_k      1 / (v_k + tau^2)

The t interval over the unweighted y_k is primary: it takes v_k and tau together as it finds them, and keeps its
coverage with 4 cells (see benchmarks/coverage.py). The random-effects mean trusts each v_k, known from a few pairs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from analysis.inference import NO_INTERVAL, Interval, of_error, prediction_interval, sign_flip_p, t_interval


@dataclass(frozen=True)
class Pooled:
    """The effect over cells and what stands beside it."""

    mean: Interval  # primary: t interval over cell means
    prediction: tuple[float, float]  # of one more cell with as many pairs
    flip_p: float  # exact two-sided p of flipping the signs of the cell means
    tau: float  # between-cell standard deviation of d (Paule-Mandel); NaN with fewer than two cells of known error
    random: Interval  # random-effects mean (Paule-Mandel, Hartung-Knapp), of the cells of known error


def pool(effects: ArrayLike, errors: ArrayLike) -> Pooled:
    """Pool cell effects (K,) with their standard errors (K,); an error that is NaN or 0 is unknown."""
    y, error = np.asarray(effects, dtype=float), np.asarray(errors, dtype=float)
    # a spread of zero would give its cell all the weight
    known = np.isfinite(error) & (error > 0)
    random, tau = random_effects(y[known], error[known] ** 2)
    return Pooled(t_interval(y), prediction_interval(y), sign_flip_p(y), tau, random)


def random_effects(effects: ArrayLike, variances: ArrayLike) -> tuple[Interval, float]:
    """Random-effects mean with Hartung and Knapp's interval, and Paule and Mandel's tau.

    Hartung and Knapp, Stat. Med. 20, 1771 (2001): error^2 = sum w_k (y_k - mu)^2 / ((K - 1) sum w_k), with K - 1
    degrees of freedom. NaN with fewer than two cells.
    """
    y, v = np.asarray(effects, dtype=float), np.asarray(variances, dtype=float)
    if y.size < 2:
        return NO_INTERVAL, np.nan
    tau2 = paule_mandel(y, v)
    w = 1 / (v + tau2)
    mu = float(w @ y / w.sum())
    error = float(np.sqrt(w @ (y - mu) ** 2 / ((y.size - 1) * w.sum())))
    return of_error(mu, error, y.size - 1, y.size), float(np.sqrt(tau2))


def paule_mandel(effects: NDArray[np.float64], variances: NDArray[np.float64]) -> float:
    """tau^2 at which sum w_k (y_k - mu)^2 = K - 1; 0 where the effects differ less than their errors allow.

    Paule and Mandel, J. Res. Natl. Bur. Stand. 87, 377 (1982).
    """

    def excess(tau2: float) -> float:
        w = 1 / (variances + tau2)
        return float(w @ (effects - w @ effects / w.sum()) ** 2) - (effects.size - 1)

    if excess(0.0) <= 0:
        return 0.0
    # with w <= 1/tau^2 the sum is below K - 1 there
    above = float(((effects - effects.mean()) ** 2).sum() / (effects.size - 1)) * (1 + 1e-9)
    return float(optimize.brentq(excess, 0.0, above, xtol=1e-14 * above, rtol=1e-12))
