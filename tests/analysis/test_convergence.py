import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.answer import convergence_answers
from analysis.convergence import area_under, compare_area, compare_epochs, convergence, epochs_to
from analysis.effects import improvement
from analysis.errors import ResultsError
from analysis.final_scores import ScoredCurve
from analysis.results import load


def test_area_of_an_exponential_is_its_geometric_mean():
    epoch = np.arange(1, 101)
    assert area_under(epoch, np.exp(-0.01 * epoch)) == pytest.approx(np.exp(-0.01 * 50.5))
    assert area_under(epoch[::3], np.exp(-0.01 * epoch[::3])) == pytest.approx(np.exp(-0.01 * 50.5))
    assert area_under(epoch[:1], np.array([0.3])) == pytest.approx(0.3)


@given(st.integers(1, 12), st.integers(1, 3), st.floats(0.05, 1))
def test_epochs_to_a_threshold_is_the_first_horizon_whose_final_score_meets_it(window, every, threshold):
    epoch = np.arange(every, 41, every)
    mmd = np.random.default_rng(window).uniform(0.05, 1, len(epoch))
    table = dict.fromkeys(["mmd_v", "mmd_u", "floor_v", "floor_u"], mmd)
    curve = pa.table({"epoch": epoch} | table)
    scores = [ScoredCurve(curve).score(int(e), window)[1][0] for e in epoch]
    expected = next((e for e, score in zip(epoch, scores, strict=True) if score <= threshold), 41)
    assert epochs_to(epoch, mmd, threshold, window, 40) == expected


def test_planted_effect_is_found_in_the_area(study):
    comparison = compare_area(load(study))
    assert improvement(comparison.pooled["qcbm"].estimate) == pytest.approx(30, abs=2.5)
    assert {"area", "area_baseline", "p_holm"} <= set(comparison.cells) and "mmd_v" not in comparison.cells


def test_the_better_arm_reaches_a_threshold_first(study):
    comparison = compare_epochs(load(study), 0.12)
    assert comparison.pair_wins["qcbm"].wins == 6 and comparison.pooled["qcbm"].low > 0
    assert comparison.scores["reached"].any()


def test_threshold_that_no_curve_reaches_is_a_tie_and_said(study):
    results = load(study)
    comparison = compare_epochs(results, 1e-6)
    assert (comparison.scores["epochs"] == comparison.scores["horizon"] + 1).all()
    assert comparison.pair_wins["qcbm"].ties == 6 and comparison.pooled["qcbm"].estimate == 0
    assert (
        "12 of 12 trials never reached an MMD of 1e-06 (bernoulli 6, qcbm 6)"
        in convergence_answers(results, threshold=1e-6)[-1]
    )


def test_speed_in_sentences(study):
    area, epochs = convergence_answers(load(study), threshold=0.12)[:2]
    assert area.startswith("qcbm trains faster than bernoulli averaged over all epochs: relative improvement +")
    assert epochs.startswith("qcbm trains faster than bernoulli in epochs to an MMD of 0.12")
    assert convergence_answers(load(study), baseline="qcbm")[0].startswith("qcbm trains faster than bernoulli")


def test_curve_that_cannot_be_logged_is_invalid(study):
    results = load(study)
    key = results.plan.trials[0].key
    path = study / "trials" / key / "curve.parquet"
    table = pq.read_table(path).to_pandas()
    table.loc[table["epoch"] == 30, "mmd_v"] = -1.0
    pq.write_table(pq.read_table(path).from_pandas(table, preserve_index=False), path)
    speeds = convergence(load(study), 0.1)
    mine = speeds[speeds["key"] == key].set_index("horizon")
    assert mine["state"].to_dict() == {20: "scored", 40: "invalid"} and np.isnan(mine.loc[40, "area"])


def test_study_that_has_just_begun_has_no_speed(written):
    statuses = {(arm, c, r): ("pending", 0) for arm in ("bernoulli", "qcbm") for c in (0, 1) for r in range(3)}
    results = load(written(statuses=statuses))
    assert set(convergence(results)["state"]) == {"pending"} and compare_area(results).horizon is None
    assert convergence_answers(results, threshold=0.1)[0].startswith("No answer yet")


@pytest.mark.parametrize("threshold", [0, -1, float("nan")])
def test_impossible_threshold_is_refused(study, threshold):
    with pytest.raises(ResultsError, match="above 0"):
        compare_epochs(load(study), threshold)
