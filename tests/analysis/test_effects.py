import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.effects import compare, compare_scores, improvement, signed_percent, win_rate
from analysis.errors import ResultsError
from analysis.final_scores import SCORE, broken_values
from analysis.pairs import cell_effects, pair_up
from analysis.results import load
from analysis.tables import CURVE


def scored(values: list[tuple[float, float]], cells: int = 1) -> pd.DataFrame:
    """Final scores of (baseline, arm) per replicate, in every cell alike."""
    rows = [
        [f"{arm}{cell}{replicate}", arm, f"cell={cell}", replicate, 40, 10, "scored", mmd, mmd, 0.004, 0.0]
        for cell in range(cells)
        for replicate, pair in enumerate(values)
        for arm, mmd in zip(("bernoulli", "qcbm"), pair, strict=True)
    ]
    return pd.DataFrame(rows, columns=SCORE)


def effect(scores: pd.DataFrame, baseline: str = "bernoulli") -> pd.Series:
    return cell_effects(scores, pair_up(scores, baseline), baseline).iloc[0]


def break_curve(study, arm: str, cell: int, replicate: int, values: dict[int, float | None]) -> None:
    """Overwrites mmd_v of some epochs of one trial."""
    plan = load(study).plan
    cells = [dict(items) for items in dict.fromkeys(tuple(trial.cell.items()) for trial in plan.trials)]
    (key,) = [t.key for t in plan.trials if (t.arm, t.cell, t.replicate) == (arm, cells[cell], replicate)]
    path = study / "trials" / key / "curve.parquet"
    table = pq.read_table(path)
    mmd = [values.get(e, v) for e, v in zip(table["epoch"].to_pylist(), table["mmd_v"].to_pylist(), strict=True)]
    index = CURVE.get_field_index("mmd_v")
    pq.write_table(table.set_column(index, "mmd_v", pa.array(mmd, pa.float64())), path)


def test_planted_improvement_is_found(written):
    comparison = compare(load(written(improvements={"bernoulli": 0, "qcbm": 30, "gaussian": -20})))
    for arm, planted in {"qcbm": 30, "gaussian": -20}.items():
        pooled = comparison.pooled[arm]
        assert improvement(pooled.estimate) == pytest.approx(planted, abs=2.5)
        assert pooled.count == 2
        assert comparison.pair_wins[arm].wins == (6 if planted > 0 else 0)
    assert comparison.horizon == 40
    # shared noise makes pairs alike
    assert (comparison.cells["correlation"] > 0.9).all()


def planted_scores(rng: np.random.Generator, d: float, cells: int = 6, pairs: int = 5) -> pd.DataFrame:
    """Final scores with pair noise, between-cell noise and a true effect d."""
    tables = []
    for cell in range(cells):
        effect, shared = d + rng.normal(0, 0.1), rng.normal(0, 0.2, pairs)
        base, arm = np.exp(shared + rng.normal(0, 0.15, (2, pairs)))
        table = scored(list(zip(base, arm * np.exp(-effect), strict=True)))
        tables.append(table.assign(cell=f"cell={cell}", key=table["key"] + f"-{cell}"))
    return pd.concat(tables, ignore_index=True)


def test_error_rates_of_planted_and_null_effects():
    rng, studies = np.random.default_rng(0), 60
    found = [compare_scores(planted_scores(rng, np.log(1.3)), "bernoulli").pooled["qcbm"].low > 0 for _ in range(20)]
    assert np.mean(found) > 0.8
    nulls = [compare_scores(planted_scores(rng, 0.0), "bernoulli").pooled["qcbm"].excludes_zero for _ in range(studies)]
    assert sum(nulls) <= stats.binom.isf(1e-4, studies, 0.05)


def test_holm_keeps_the_error_rate_over_cells():
    rng, studies = np.random.default_rng(1), 60
    false = 0
    for _ in range(studies):
        d = rng.normal(0, 0.3, (8, 5))
        tables = [scored([(float(np.exp(x)), 1.0) for x in row]).assign(cell=f"cell={k}") for k, row in enumerate(d)]
        scores = pd.concat(tables, ignore_index=True)
        cells = cell_effects(scores, pair_up(scores, "bernoulli"), "bernoulli")
        false += (cells["p_holm"] < 0.05).any()
    assert false <= stats.binom.isf(1e-4, studies, 0.05)


def test_arms_frame_holds_what_stands_beside_the_pooled_effect(written):
    study = written(improvements={"bernoulli": 0, "qcbm": 30, "gaussian": -20}, cells=[{"n": n} for n in range(4)])
    comparison = compare(load(study))
    arms, cells = comparison.arms.set_index("arm"), comparison.cells
    assert list(arms.index) == ["qcbm", "gaussian"] and (arms["reason"] == "").all()
    for arm, row in arms.iterrows():
        d = cells.loc[(cells["arm"] == arm) & (cells["horizon"] == 40), "d"].astype(float)
        assert (row["d"], row["cells"], row["pairs"]) == (pytest.approx(d.mean()), 4, 12)
        assert row["prediction_low"] < row["low"] < row["d"] < row["high"] < row["prediction_high"]
        assert row["flip_p"] == 0.125 and row["p"] <= row["p_holm"] <= 2 * row["p"]
        assert row["random_d"] == pytest.approx(row["d"], abs=0.05) and row["random_cells"] == 4
    wins = comparison.wins.set_index(["arm", "over"])
    assert wins.loc[("qcbm", "pairs"), "wins"] == 12 and wins.loc[("gaussian", "cells"), "rate"] == 0


def test_any_arm_may_be_the_baseline(written):
    results = load(written(improvements={"bernoulli": 0, "qcbm": 30, "gaussian": -20}))
    there, back = compare(results).pooled["qcbm"], compare(results, "qcbm").pooled["bernoulli"]
    assert (there.estimate, there.low) == pytest.approx((-back.estimate, -back.high))
    assert set(compare(results, "qcbm").arms["arm"]) == {"bernoulli", "gaussian"}
    with pytest.raises(ResultsError, match="did you mean gaussian"):
        compare(results, "gausian")


def test_failures_count_as_losses_beside_the_win_rate(written):
    comparison = compare(load(written(statuses={("qcbm", 0, 0): ("failed", 25)})))
    wins = comparison.wins.set_index("over")
    assert list(wins.loc["pairs", ["wins", "losses"]]) == [5, 0]
    assert list(wins.loc["pairs with failures as losses", ["wins", "losses"]]) == [5, 1]
    assert "pairs with failures as losses" not in set(compare(load(written("whole"))).wins["over"])


def test_cell_that_lost_every_pair_does_not_hold_back_the_horizon(written):
    statuses = {("qcbm", 0, r): ("failed", 30) for r in range(3)}
    comparison = compare(load(written(statuses=statuses)))
    assert comparison.horizon == 40 and comparison.arms["cells"].tolist() == [1]
    reasons = comparison.cells.set_index(["cell", "horizon"])["reason"].to_list()
    assert reasons == ["", "no pair is scored: 3 failed, 0 unfinished", "", ""]
    assert comparison.arms["reason"].tolist() == ["an effect in one cell is not pooled"]


def test_values_that_cannot_be_logged_are_named(study):
    break_curve(study, "qcbm", 0, 1, {38: -0.5, 3: float("nan")})
    found = broken_values(load(study))
    assert found[["arm", "replicate", "epoch"]].to_numpy().tolist() == [["qcbm", 1, 3], ["qcbm", 1, 38]]
    assert broken_values(load(study))["mmd_v"].tolist()[1] == -0.5


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"replicates": {"bernoulli": []}}, "no cell in common with bernoulli"),
        ({"statuses": {("qcbm", c, r): ("pending", 0) for c in (0, 1) for r in range(3)}}, "no pair of trials"),
        ({"replicates": {"bernoulli": [0], "qcbm": [0]}, "cells": [{"n": 1}]}, "one cell is not pooled"),
    ],
)
def test_frames_say_why_they_are_empty(written, settings, reason):
    comparison = compare(load(written(**settings)))
    assert reason in comparison.arms["reason"].iloc[0] and comparison.arms["d"].isna().all()
    assert (comparison.cells.loc[comparison.cells["low"].isna(), "reason"] != "").all()


def test_final_score_is_the_mean_of_the_window(study):
    results = load(study)
    scores = compare(results).scores
    for _, score in scores.head(4).iterrows():
        curve = results.curves[score["key"]].to_pandas().set_index("epoch")
        window = curve.loc[score["horizon"] - 9 : score["horizon"]]
        assert score["mmd_v"] == pytest.approx(window["mmd_v"].mean())
        assert score["mmd_u"] == pytest.approx(window["mmd_u"].mean())


def test_epochs_that_were_not_scored_are_skipped(written):
    scores = compare(load(written(every=4))).scores
    assert (scores["state"] == "scored").all() and scores["mmd_v"].notna().all()


def test_window_without_a_score_is_named(written):
    assert set(compare(load(written(every=15, window=5))).scores["state"]) == {"unscored"}


def test_window_longer_than_the_horizon_is_shortened(written):
    scores = compare(load(written(window=30))).scores
    assert scores.set_index("horizon")["window"].to_dict() == {20: 20, 40: 30}


@pytest.mark.parametrize("value", [float("nan"), 0.0, -0.1, float("inf")])
def test_impossible_mmd_loses_the_pair_and_says_so(study, value):
    break_curve(study, "qcbm", 0, 1, {38: value})
    comparison = compare(load(study))
    assert (comparison.scores["state"] == "invalid").sum() == 1
    row = comparison.cells[comparison.cells["horizon"] == 40].iloc[0]
    assert (row["planned"], row["pairs"], row["failed"]) == (3, 2, 1)


def test_half_finished_study(written):
    statuses = {("qcbm", 0, 0): ("failed", 25), ("qcbm", 0, 1): ("running", 30), ("bernoulli", 1, 2): ("pending", 0)}
    comparison = compare(load(written(statuses=statuses)))
    rows = comparison.cells.set_index(["cell", "horizon"])[["pairs", "failed", "unfinished"]]
    assert rows.to_numpy().tolist() == [[3, 0, 0], [1, 1, 1], [2, 0, 1], [2, 0, 1]]
    assert comparison.horizon == 40


def test_effect_without_the_longest_horizon_is_taken_at_a_shorter_one(written):
    statuses = {("qcbm", cell, r): ("running", 30) for cell in (0, 1) for r in range(3)}
    assert compare(load(written(statuses=statuses))).horizon == 20


def test_one_cell_is_not_pooled(written):
    comparison = compare(load(written(cells=[{"latent_dim": 8}])))
    assert comparison.pooled == {} and comparison.pair_wins["qcbm"].wins == 3


def test_arms_without_common_replicates_get_welch(written):
    comparison = compare(load(written(replicates={"qcbm": [6, 7, 8, 9]}, cells=[{"latent_dim": 8}])))
    row = comparison.cells[comparison.cells["horizon"] == 40].iloc[0]
    scores = comparison.scores[comparison.scores["horizon"] == 40]
    logs = {arm: np.log(rows["mmd_v"].astype(float)) for arm, rows in scores.groupby("arm")}
    expected = stats.ttest_ind(logs["bernoulli"], logs["qcbm"], equal_var=False).confidence_interval()
    assert not row["paired"] and (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    assert comparison.pair_wins == {}


def test_one_arm_or_no_common_cell_has_no_effects(written):
    assert compare(load(written(improvements={"bernoulli": 0}))).cells.empty
    assert compare(load(written("apart", replicates={"bernoulli": []}))).cells.empty


def test_study_without_a_finished_epoch(written):
    statuses = {(arm, c, r): ("pending", 0) for arm in ("bernoulli", "qcbm") for c in (0, 1) for r in range(3)}
    comparison = compare(load(written(statuses=statuses)))
    assert comparison.horizon is None and comparison.cells["unfinished"].sum() == 12


PAIRS = st.lists(st.tuples(st.floats(0.01, 10), st.floats(0.01, 10)), min_size=2, max_size=8)


@settings(max_examples=25, deadline=None)
@given(PAIRS)
def test_swapping_the_arms_flips_the_signs(values):
    there, back = effect(scored(values)), effect(scored(values), "qcbm")
    assert (there["d"], there["low"]) == pytest.approx((-back["d"], -back["high"]), abs=1e-12, nan_ok=True)
    first, second = (win_rate(pair_up(scored(values), arm)["d"]) for arm in ("bernoulli", "qcbm"))
    assert (first.wins, first.losses, first.p) == (second.losses, second.wins, pytest.approx(second.p))


@settings(max_examples=25, deadline=None)
@given(PAIRS, st.floats(0.001, 1000))
def test_scaling_every_mmd_changes_nothing(values, factor):
    scaled = scored([(b * factor, q * factor) for b, q in values])
    names = ["d", "low", "high", "pairs", "correlation"]
    assert effect(scaled)[names].to_list() == pytest.approx(
        effect(scored(values))[names].to_list(), abs=1e-6, nan_ok=True
    )


@settings(max_examples=25, deadline=None)
@given(PAIRS, st.randoms())
def test_row_order_changes_nothing(values, random):
    scores = scored(values, cells=2)
    order = list(range(len(scores)))
    random.shuffle(order)
    shuffled = scores.iloc[order]
    found = cell_effects(shuffled, pair_up(shuffled, "bernoulli"), "bernoulli").sort_values("cell")
    expected = cell_effects(scores, pair_up(scores, "bernoulli"), "bernoulli")
    pd.testing.assert_frame_equal(found.reset_index(drop=True), expected, rtol=1e-9, atol=1e-12)


def test_eq_10_of_the_two_means_is_the_improvement():
    row = effect(scored([(0.2, 0.1), (0.3, 0.2), (0.1, 0.1)]))
    eq_10 = 100 * (row["mmd_v_baseline"] - row["mmd_v"]) / row["mmd_v"]
    assert improvement(row["d"]) == pytest.approx(eq_10)
    assert row["d"] == pytest.approx(np.log([2, 1.5, 1]).mean())


def test_ties_are_counted_and_left_out():
    rate = win_rate(pd.Series([0.1, 0.2, -0.1, 0.0, np.nan]))
    assert (rate.wins, rate.losses, rate.ties, rate.count) == (2, 1, 1, 3)


@pytest.mark.parametrize(
    ("d", "text"),
    [(np.log(1.3), "+30 %"), (np.log(0.955), "−4.5 %"), (0.0, "0 %"), (np.nan, "–"), (np.log(25), "+2,400 %")],
)
def test_signed_percent(d, text):
    assert signed_percent(d) == text


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.001, 1000))
def test_pooled_effect_knows_neither_scale_nor_order_nor_side(seed, factor):
    scores = planted_scores(np.random.default_rng(seed), 0.1, cells=4, pairs=3)
    shuffled = scores.sample(frac=1, random_state=seed).assign(mmd_v=lambda table: factor * table["mmd_v"])
    names = ["d", "low", "high", "p", "prediction_low", "prediction_high", "flip_p", "tau", "random_d", "random_low"]
    first, second = (compare_scores(each, "bernoulli").arms.iloc[0] for each in (scores, shuffled))
    assert second[names].to_list() == pytest.approx(first[names].to_list(), rel=1e-6, abs=1e-6)
    back = compare_scores(scores, "qcbm").arms.iloc[0]
    flipped = [-back["d"], -back["high"], -back["low"], back["p"], -back["random_d"]]
    assert first[["d", "low", "high", "p", "random_d"]].to_list() == pytest.approx(flipped, rel=1e-6, abs=1e-6)
