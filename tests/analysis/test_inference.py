import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from analysis.inference import binomial_p, clopper_pearson, smallest_p, t_band, t_interval, welch_interval

SAMPLE = st.lists(st.floats(-5, 5), min_size=2, max_size=12).filter(lambda values: np.std(values) > 1e-6)


@given(SAMPLE)
def test_t_interval_is_that_of_statsmodels(values):
    interval = t_interval(values)
    assert (interval.low, interval.high) == pytest.approx(DescrStatsW(values).tconfint_mean())
    assert (interval.estimate, interval.count) == (pytest.approx(np.mean(values)), len(values))


def test_t_interval_closed_form():
    # mean 2, s = 1, n = 3, t(0.975, 2) = 4.302653
    interval = t_interval([1.0, 2.0, 3.0])
    assert interval.high == pytest.approx(2 + 4.302653 / np.sqrt(3), rel=1e-6)
    assert not interval.excludes_zero and t_interval([1.0, 1.1, 0.9]).excludes_zero


def test_one_value_has_no_interval():
    interval = t_interval([0.3])
    assert interval.estimate == 0.3 and np.isnan([interval.low, interval.high]).all()
    assert not interval.excludes_zero


def test_band_skips_missing_replicates():
    mean, low, high = t_band([[1.0, 2.0, np.nan], [1.0, np.nan, np.nan], [np.nan] * 3])
    assert (low[0], high[0]) == pytest.approx(stats.t.interval(0.95, 1, 1.5, 0.5))
    assert mean[:2] == pytest.approx([1.5, 1.0]) and np.isnan([low[1], high[1], mean[2]]).all()


@given(SAMPLE, SAMPLE)
def test_welch_is_that_of_statsmodels(first, second):
    interval = welch_interval(first, second)
    expected = CompareMeans(DescrStatsW(first), DescrStatsW(second)).tconfint_diff(usevar="unequal")
    assert (interval.low, interval.high) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_welch_with_one_trial_has_no_interval():
    assert np.isnan(welch_interval([1.0], [2.0, 3.0]).low)


def test_seven_of_ten():
    assert binomial_p(7, 10) == pytest.approx(0.34375)
    assert clopper_pearson(7, 10) == pytest.approx((0.348, 0.933), abs=5e-4)


@given(st.integers(0, 60), st.integers(1, 60))
def test_clopper_pearson_is_that_of_statsmodels(wins, count):
    wins = min(wins, count)
    low, high = proportion_confint(wins, count, method="beta")
    assert clopper_pearson(wins, count) == pytest.approx((0.0 if wins == 0 else low, 1.0 if wins == count else high))


def test_nothing_counted_says_nothing():
    assert clopper_pearson(0, 0) == (0, 1) and binomial_p(0, 0) == 1


@pytest.mark.parametrize(("count", "p"), [(0, 1), (1, 1), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_smallest_p_is_that_of_all_wins(count, p):
    assert smallest_p(count) == p == binomial_p(count, count)
