import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects

from analysis.inference import prediction_interval, t_interval
from analysis.pooling import paule_mandel, pool, random_effects

CELLS = st.lists(st.tuples(st.floats(-2, 2), st.floats(0.01, 1)), min_size=2, max_size=12)


@settings(max_examples=60, deadline=None)
@given(CELLS)
def test_random_effects_are_those_of_statsmodels(cells):
    y, v = np.array(cells).T
    interval, tau = random_effects(y, v)
    oracle = combine_effects(y, v, method_re="iterated", use_t=True, atol=1e-8, maxiter=500)
    # its iteration falls back to 0 where rounding carries it past the root; the next test holds there
    assume(oracle.tau2 > 0 or tau == 0)
    assert tau**2 == pytest.approx(oracle.tau2, rel=1e-5, abs=1e-7)
    low, high = oracle.conf_int(use_t=True)[3]  # Hartung, Knapp, Sidik and Jonkman
    assert (interval.estimate, interval.low, interval.high) == pytest.approx(
        (oracle.mean_effect_re, low, high), rel=1e-4, abs=1e-6
    )


@settings(max_examples=60, deadline=None)
@given(CELLS)
def test_tau_solves_its_equation(cells):
    y, v = np.array(cells).T
    tau2 = paule_mandel(y, v)
    w = 1 / (v + tau2)
    left = w @ (y - w @ y / w.sum()) ** 2
    assert left == pytest.approx(len(y) - 1) if tau2 > 0 else left <= len(y) - 1


def test_equal_errors_make_random_effects_the_t_interval():
    y = np.array([0.1, 0.5, 0.9, 0.2])
    interval, tau = random_effects(y, np.full(4, 0.01))
    expected = t_interval(y)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert tau**2 == pytest.approx(y.var(ddof=1) - 0.01)


def test_pool_is_the_t_interval_over_cells():
    y = [0.1, 0.5, 0.9, 0.2]
    pooled = pool(y, [0.1, 0.2, np.nan, 0.0])
    assert pooled.mean == t_interval(y) and pooled.prediction == prediction_interval(y)
    assert pooled.random.count == 2  # a cell without a spread has no known error
    assert pooled.flip_p == 2 / 16


def test_one_known_cell_has_no_random_effects():
    pooled = pool([0.1, 0.2], [0.1, np.nan])
    assert np.isnan([pooled.tau, pooled.random.estimate, pooled.random.low]).all()


@settings(max_examples=40, deadline=None)
@given(CELLS, st.randoms())
def test_swapping_arms_and_the_order_of_cells(cells, random):
    y, v = np.array(cells).T
    order = random.sample(range(len(y)), len(y))
    there, back = pool(y, np.sqrt(v)), pool(-y[order], np.sqrt(v[order]))
    assert (there.random.estimate, there.random.low) == pytest.approx(
        (-back.random.estimate, -back.random.high), rel=1e-6, abs=1e-9
    )
    assert (there.flip_p, there.tau) == pytest.approx((back.flip_p, back.tau), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("cells", "tau"), [(4, 0.1), (10, 0.2)])
def test_coverage_of_the_primary_interval(cells, tau):
    # benchmarks/coverage.py is the long version; 99.9 % binomial limits of this one
    rng, simulations = np.random.default_rng(cells), 1000
    d = rng.normal(0.18, tau, (simulations, cells)) + rng.normal(0, 0.2 / np.sqrt(5), (simulations, cells))
    held = sum(each.low <= 0.18 <= each.high for each in map(t_interval, d))
    assert abs(held - 0.95 * simulations) <= stats.binom.std(simulations, 0.95) * 3.3
