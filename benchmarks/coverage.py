"""Do the 95 % intervals of `analysis` hold the truth 95 % of the time?

    python benchmarks/coverage.py [--simulations 4000]

log MMD of a pair: a shared normal part and one of each arm's own, together with standard deviation s = 0.2 and pair
correlation rho = 0.5; the true effect of a cell is normal about mu = log(1.2) with standard deviation tau. Rows
`skewed arm` and `skewed cells` draw the arm's own part, or the cells' effects, from a shifted exponential of the same
standard deviation instead. Printed: share of intervals that hold their target, in %.

one cell     t interval of the pairs (or Welch's), target the cell's true effect; prediction of one more run
cells        t interval over cell means and random effects (Paule-Mandel, Hartung-Knapp), target mu; prediction, target
             the mean of one more cell with as many pairs
"""

import argparse
from collections.abc import Callable
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from analysis.inference import prediction_interval, t_interval, welch_interval
from analysis.pooling import pool

Array = NDArray[np.float64]
MU, S, RHO = log(1.2), 0.2, 0.5
SHAPES = ("normal", "skewed arm", "skewed cells")


def effects(rng: np.random.Generator, cells: int, pairs: int, tau: float, shape: str) -> Array:
    """d of every pair: (cells, pairs)."""
    own = S * sqrt(1 - RHO)  # the shared part of a pair cancels
    baseline = rng.normal(0, own, (cells, pairs))
    arm = own * _noise(rng, (cells, pairs), shape == "skewed arm")
    return MU + tau * _noise(rng, (cells, 1), shape == "skewed cells") + baseline - arm


def _noise(rng: np.random.Generator, size: tuple[int, ...], skewed: bool) -> Array:
    return rng.exponential(1, size) - 1 if skewed else rng.normal(0, 1, size)


def cell_coverage(rng: np.random.Generator, simulations: int, pairs: int, shape: str) -> dict[str, float]:
    """Coverage of the interval of one cell, with pairs and without."""
    held = np.zeros((simulations, 3))
    for each in held:
        paired = t_interval(effects(rng, 1, pairs, 0, shape)[0])
        arm = S * _noise(rng, (pairs,), shape == "skewed arm") - MU
        unpaired = welch_interval(rng.normal(0, S, pairs), arm)
        low, high = prediction_interval(rng.normal(0, S, pairs))
        each[:] = (
            paired.low <= MU <= paired.high,
            unpaired.low <= MU <= unpaired.high,
            low <= rng.normal(0, S) <= high,
        )
    return dict(zip(("pairs", "Welch", "prediction"), held.mean(axis=0), strict=True))


def pooled_coverage(
    rng: np.random.Generator, simulations: int, cells: int, pairs: int, tau: float, shape: str
) -> dict[str, float]:
    """Coverage of the primary pooled interval and of those beside it."""
    held = np.zeros((simulations, 3))
    for each in held:
        d = effects(rng, cells + 1, pairs, tau, shape)
        means, errors = d.mean(axis=1), d.std(axis=1, ddof=1) / sqrt(pairs)
        pooled = pool(means[1:], errors[1:])
        each[:] = (
            pooled.mean.low <= MU <= pooled.mean.high,
            pooled.prediction[0] <= means[0] <= pooled.prediction[1],
            pooled.random.low <= MU <= pooled.random.high,
        )
    return dict(zip(("t over cells", "prediction", "random effects"), held.mean(axis=0), strict=True))


def _table(title: str, rows: list[tuple[str, Callable[[], dict[str, float]]]]) -> None:
    for index, (name, run) in enumerate(rows):
        found = run()
        if index == 0:
            print(f"\n| {title} | {' | '.join(found)} |\n|{'---|' * (len(found) + 1)}")
        print(f"| {name} | {' | '.join(f'{100 * share:.1f}' for share in found.values())} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=4000)
    simulations = parser.parse_args().simulations
    rng = np.random.default_rng(0)
    error = 100 * sqrt(0.95 * 0.05 / simulations)
    print(f"{simulations} simulations a row, standard error {error:.2f} % at 95 %")
    _table(
        "one cell",
        [
            (f"{shape}, {pairs} replicates", lambda p=pairs, s=shape: cell_coverage(rng, simulations, p, s))
            for shape in SHAPES[:2]
            for pairs in (3, 5, 6, 10)
        ],
    )
    designs = [(shape, cells, tau) for shape in SHAPES for cells in (4, 6, 10) for tau in (0.0, 0.1, 0.2, 0.4)]
    _table(
        "cells of 5 pairs",
        [
            (
                f"{shape}, {cells} cells, tau {tau}",
                lambda s=shape, k=cells, t=tau: pooled_coverage(rng, simulations, k, 5, t, s),
            )
            for shape, cells, tau in designs
            if shape != "skewed cells" or tau > 0
        ],
    )


if __name__ == "__main__":
    main()
