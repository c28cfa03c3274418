import subprocess
import sys
from math import exp, inf, log

import numpy as np
import pytest
from statsmodels.stats.power import TTestIndPower, TTestPower

from analysis.effects import compare
from analysis.inference import t_interval
from analysis.power import (
    Design,
    Spread,
    cells_needed,
    pilot,
    replicates_needed,
    smallest_p,
)
from analysis.results import load


@pytest.mark.parametrize("d", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("count", [2, 3, 5, 20])
def test_power_of_a_cell_is_that_of_statsmodels(d, count):
    spread = Spread(0.3, 0.4)
    paired = TTestPower().power(d / (0.3 * np.sqrt(2 * 0.6)), count, 0.05)
    assert Design(count).power(d, spread) == pytest.approx(paired, abs=2e-6)
    unpaired = TTestIndPower().power(d / 0.3, count, 0.05)
    assert Design(count, paired=False).power(d, spread) == pytest.approx(unpaired, abs=2e-6)


def test_power_over_cells_is_that_of_their_means():
    error = np.sqrt(0.1**2 + 2 * 0.3**2 * 0.6 / 5)
    expected = TTestPower().power(0.2 / error, 8, 0.05)
    assert Design(5, 8).power(0.2, Spread(0.3, 0.4, 0.1)) == pytest.approx(expected, abs=2e-6)


def test_power_by_simulation():
    rng, spread, design = np.random.default_rng(0), Spread(0.3, 0.5, 0.2), Design(4, 6)
    own = rng.normal(0, 0.3 * np.sqrt(0.5), (2, 1000, 6, 4))
    d = 0.3 + rng.normal(0, 0.2, (1000, 6)) + (own[0] - own[1]).mean(axis=-1)
    found = np.mean([t_interval(each).p < 0.05 for each in d])
    assert found == pytest.approx(design.power(0.3, spread), abs=0.05)


@pytest.mark.parametrize(
    ("s", "unpaired", "half", "tight", "detectable"),
    [(0.1, 6, 5, 4, 1.22), (0.2, 20, 12, 6, 1.50), (0.3, 44, 24, 11, 1.84), (0.5, 120, 61, 26, 2.75)],
)
def test_replicates_for_20_per_cent(s, unpaired, half, tight, detectable):
    d = log(1.2)
    assert replicates_needed(d, Spread(s), paired=False) == unpaired
    assert replicates_needed(d, Spread(s, 0.5)) == half and replicates_needed(d, Spread(s, 0.8)) == tight
    assert exp(Design(5, paired=False).detectable(Spread(s))) == pytest.approx(detectable, abs=0.01)


def test_needed_is_the_smallest_that_is_enough():
    spread = Spread(0.2, 0.3, 0.4)
    cells = cells_needed(0.2, spread, replicates=5)
    assert Design(5, cells).power(0.2, spread) >= 0.8 > Design(5, cells - 1).power(0.2, spread)
    design = Design(6, 5)
    assert design.power(design.detectable(spread), spread) == pytest.approx(0.8)


def test_no_number_of_replicates_makes_up_for_cells_that_differ():
    assert replicates_needed(log(1.2), Spread(0.2, 0, 0.4), cells=10) is None
    assert cells_needed(log(1.2), Spread(0.2, 0, 0.4), replicates=5) == 44


def test_designs_without_an_interval():
    assert Design(1).power(9, Spread(0.1)) == 0 and Design(1).detectable(Spread(0.1)) == inf
    assert Design(1, 4).power(0.5, Spread(0.1)) > 0.8  # one pair in each of four cells has one
    assert Design(3).power(0.1, Spread(0)) == 1 and Design(3).detectable(Spread(0)) == 0
    assert replicates_needed(0, Spread(0.1)) is None


@pytest.mark.parametrize("bad", [lambda: Spread(-1), lambda: Spread(1, 2), lambda: Spread(np.nan), lambda: Design(0)])
def test_impossible_designs_are_refused(bad):
    with pytest.raises(ValueError, match="="):
        bad()


def test_smallest_p():
    assert (smallest_p(1), smallest_p(5), smallest_p(6)) == (1, 0.0625, 0.03125)


def test_pilot_finds_the_planted_spread():
    rng = np.random.default_rng(0)
    cells = []
    for effect in rng.normal(0.2, 0.3, 400):
        shared, b, q = rng.normal(0, 0.2, (3, 6)) * np.sqrt([[0.7], [0.3], [0.3]])
        cells.append(np.exp(np.stack([shared + b, shared + q - effect], axis=1)))
    spread = pilot(cells)
    assert (spread.s, spread.rho, spread.tau) == pytest.approx((0.2, 0.7, 0.3), abs=0.03)
    shuffled = pilot([1000 * cell[::-1] for cell in reversed(cells)])
    assert (shuffled.s, shuffled.rho, shuffled.tau) == pytest.approx((spread.s, spread.rho, spread.tau))


def test_pilot_that_tells_nothing():
    with pytest.raises(ValueError, match="two or more"):
        pilot([[[0.1, 0.2]]])
    with pytest.raises(ValueError, match="above 0"):
        pilot([[[0.1, 0.2], [0.1, -0.2]]])
    assert pilot([[[0.1, 0.2], [0.2, 0.3]]]).tau == 0


def test_spread_of_a_study(written):
    spread = compare(load(written(noise=0.001, replicates={"bernoulli": range(9), "qcbm": range(9)}))).spread("qcbm")
    assert spread.s == pytest.approx(0.1, rel=0.6) and spread.rho > 0.99 and spread.tau < 0.01


def test_planning_imports_no_tables_or_figures():
    code = "import sys, analysis.power; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"pandas", "matplotlib", "scipy", "pyarrow"} & set(found.split())
