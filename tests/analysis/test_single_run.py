import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.answer import answers
from analysis.effects import compare
from analysis.results import load
from analysis.single_run import single_arms, single_run, single_runs

MMD = st.floats(0.01, 1)


def test_best_of_21_cannot_go_below_one_in_21():
    run = single_run(0.01, np.linspace(0.1, 0.2, 20))
    assert (run.rank, run.count) == (1, 20) and run.outside
    assert (run.p_better, run.p) == pytest.approx((1 / 21, 2 / 21))


@given(MMD, st.lists(MMD, min_size=1, max_size=12, unique=True))
def test_exact_p_is_that_of_mann_and_whitney(value, others):
    if value in others:
        return
    run = single_run(value, others)
    exact = [
        stats.mannwhitneyu([value], others, alternative=side, method="exact").pvalue for side in ("less", "two-sided")
    ]
    assert [run.p_better, run.p] == pytest.approx(exact)


@given(MMD, st.lists(MMD, min_size=2, max_size=12), st.floats(0.01, 100))
def test_scale_and_order_change_nothing(value, others, factor):
    run, other = single_run(value, others), single_run(factor * value, [factor * each for each in others[::-1]])
    assert other.d == pytest.approx(run.d, abs=1e-9) and other.low == pytest.approx(factor * run.low)


def test_ties_help_neither_side():
    run = single_run(0.1, [0.1] * 9)
    assert run.rank == 10 and run.p == 1


def test_prediction_interval_is_on_the_log_scale():
    run = single_run(0.1, np.exp([0.0, 1.0, 2.0, 3.0, 4.0]))
    assert np.log(run.high / run.low) == pytest.approx(2 * 3.041 * np.sqrt(2.5), rel=1e-3)


@pytest.mark.parametrize(("value", "others"), [(0.1, []), (-0.1, [0.1]), (0.1, [np.nan, 0.1])])
def test_values_that_cannot_be_placed_are_refused(value, others):
    with pytest.raises(ValueError, match="finite MMD above 0"):
        single_run(value, others)


def test_one_run_among_many_in_a_study(written):
    results = load(written(cells=[{"n": 12}], replicates={"bernoulli": range(20), "qcbm": [0]}))
    row = single_runs(results).set_index("horizon").loc[40]
    assert (row["count"], row["reason"]) == (20, "") and 1 <= row["rank"] <= 21
    comparison = compare(results)
    assert single_arms(comparison.scores, "bernoulli") == ["qcbm"]
    (answer,) = answers(results, comparison)
    assert answer.startswith("One run of qcbm ranks") and "prediction interval" in answer and "(95 %" not in answer


def test_one_run_without_a_score_says_so(written):
    results = load(written(replicates={"qcbm": [0]}, statuses={("qcbm", 0, 0): ("failed", 30)}))
    runs = single_runs(results).set_index(["cell", "horizon"])
    assert runs["reason"].to_list() == ["", "the run is failed", "", ""]
    assert not runs["outside"].iloc[1] and np.isnan(runs["d"].iloc[1])


def test_arms_with_replicates_are_no_single_runs(study):
    assert single_runs(load(study)).empty
