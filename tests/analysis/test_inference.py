import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from analysis.inference import (
    binomial_p,
    clopper_pearson,
    holm,
    prediction_interval,
    sign_flip_p,
    t_band,
    t_interval,
    welch_interval,
)
from analysis.power import smallest_p

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


@given(SAMPLE)
def test_p_and_interval_of_the_t_test_agree_with_scipy(values):
    interval, expected = t_interval(values), stats.ttest_1samp(values, 0)
    assert interval.p == pytest.approx(expected.pvalue, abs=1e-12)
    assert interval.error == pytest.approx(stats.sem(values))
    assert interval.excludes_zero == (interval.p < 0.05)


@given(SAMPLE, SAMPLE)
def test_p_of_welch_is_that_of_scipy(first, second):
    expected = stats.ttest_ind(first, second, equal_var=False).pvalue
    assert welch_interval(first, second).p == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("values", [[0.2, 0.2, 0.2], [0.0, 0.0], [0.1 + 0.2, 0.3]])
def test_values_without_a_spread_have_no_interval(values):
    """Counts of epochs are often the same: a spread of zero is no certainty."""
    found = t_interval(values)
    assert found.estimate == pytest.approx(values[0]) and found.count == len(values)
    assert np.isnan([found.low, found.high, found.p]).all()
    assert np.isnan(welch_interval(values, [1.0, 1.0]).low)


@pytest.mark.parametrize(("count", "factor"), [(5, 3.041), (20, 2.145)])
def test_prediction_interval_closed_form(count, factor):
    sample = np.random.default_rng(1).normal(2, 3, count)
    low, high = prediction_interval(sample)
    assert [low, high] == pytest.approx(sample.mean() + factor * sample.std(ddof=1) * np.array([-1, 1]), rel=1e-3)
    assert np.isnan(prediction_interval([1.0])).all()


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=9))
def test_sign_flip_is_the_exact_permutation_test(values):
    sample = np.array(values)
    flips = np.array(list(itertools.product([-1, 1], repeat=len(values)))) @ sample
    expected = (np.abs(flips) >= abs(sample.sum()) - 1e-12 * np.abs(sample).sum()).mean()
    assert sign_flip_p(sample) == pytest.approx(expected)


def test_sign_flip_of_ten_cells_is_that_of_scipy():
    sample = np.random.default_rng(3).normal(0.3, 0.5, 10)
    test = stats.permutation_test((sample,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_p(sample) == pytest.approx(test.pvalue)


@pytest.mark.parametrize(("values", "p"), [([], np.nan), ([0.0, 0.0], 1), ([1.0] * 6, 2 / 64), ([1.0, -1.0], 1)])
def test_sign_flip_closed_form(values, p):
    assert sign_flip_p(values) == pytest.approx(p, nan_ok=True)


def test_sign_flip_of_many_values_meets_the_t_test():
    few, many = np.random.default_rng(4).normal(0.3, 1, (2, 41))
    assert sign_flip_p(few[:40]) == pytest.approx(t_interval(few[:40]).p, abs=0.01)
    assert sign_flip_p(many) == pytest.approx(t_interval(many).p, abs=0.02)
    assert sign_flip_p(np.ones(60)) == 2**-14


@settings(max_examples=20, deadline=None)  # statsmodels takes 50 ms a call
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_that_of_statsmodels(p):
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_holm_leaves_out_what_is_not_known():
    assert holm([0.01, np.nan, 0.04]) == pytest.approx([0.02, np.nan, 0.04], nan_ok=True)
    assert len(holm([])) == 0
