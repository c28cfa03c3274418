from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from analysis.quality import FRAME, ORDER, QUALITY, SUMMARY, fault, full_scores, latest, summarise
from analysis.results import load


def scores(*rows):
    """full_scores of replicates 0, 1, ...: (score, value, floor)."""
    place = {"key": "k", "arm": "qcbm", "cell": "c", "prior": "own", "epoch": 20}
    return pd.DataFrame(
        [place | {"replicate": i, "score": s, "value": v, "floor": f} for i, (s, v, f) in enumerate(rows)]
    )[FRAME]


def test_fault_is_the_distance_on_the_wrong_side_of_the_ideal():
    cases = [("mmd_u", -0.1, 0), ("mmd_u", 0.1, 0.1), ("recall", 0.8, 0.2), ("recall", 1.0, 0), ("density", 0.7, 0.3),
             ("density", 1.3, 0.3), ("copying_z", -4.0, 4.0), ("near_share", 0.02, 0.03)]  # fmt: skip
    names, values, expected = zip(*cases, strict=True)
    np.testing.assert_allclose(fault(pd.Series(names), pd.Series(values)), expected)


@pytest.mark.parametrize(
    ("name", "value", "floor", "within"),
    [
        ("kid", 0.99 * ORDER * 0.01, 0.01, True),
        ("kid", 1.01 * ORDER * 0.01, 0.01, False),
        ("precision", 0.8, 0.9, True),
        ("precision", 0.6, 0.9, False),
        ("distance_ratio", 0.5, 1.02, False),
        ("distance_ratio", 0.97, 1.02, True),
        ("kam_gap", 0.0, 0.0, True),
        ("kam_gap", 1e-9, 0.0, False),
        ("code_fidelity", 0.9, np.nan, None),
        ("phase_fcc", np.nan, 0.01, None),
    ],
)
def test_within_the_order_of_the_floor(name, value, floor, within):
    (row,) = summarise(scores((name, value, floor))).itertuples()
    assert row.within is within or row.within == within


def test_summary_is_the_mean_over_replicates_and_knows_no_order():
    frame = scores(("kid", 0.1, 0.01), ("kid", 0.3, 0.03), ("kid", np.nan, 0.02))
    (row,) = summarise(frame).itertuples()
    assert (row.replicates, row.value, row.floor) == (2, pytest.approx(0.2), pytest.approx(0.02))
    pd.testing.assert_frame_equal(summarise(frame), summarise(frame.iloc[::-1]))


def test_every_score_of_a_study_is_read(written):
    results = load(written(scores=True, improvements={"bernoulli": 0, "qcbm": 300}))
    found = full_scores(results)
    assert list(found.columns) == FRAME and set(found["score"]) == set(QUALITY) and set(found["epoch"]) == {20, 40}
    summary = summarise(latest(found))
    assert list(summary.columns) == SUMMARY and set(summary["epoch"]) == {40}
    own = summary[(summary["prior"] == "own") & summary["fault"].notna()]
    faults = own.pivot(index=["cell", "score"], columns="arm", values="fault")
    assert len(faults) == 2 * (len(QUALITY) - 1) and (faults["qcbm"] < faults["bernoulli"]).all()


def test_latest_waits_for_all_arms(written):
    statuses = {("qcbm", 0, replicate): ("running", 30) for replicate in range(3)}
    results = load(written(scores=True, statuses=statuses))
    epochs = latest(full_scores(results)).groupby("cell")["epoch"].unique()
    assert [list(epochs[cell]) for cell in results.cells] == [[20], [40]]


def test_missing_scores_are_fine_and_damaged_ones_are_named(written):
    study = written(scores=True)
    first, second, third = (trial.key for trial in load(study).plan.trials[:3])
    (study / "trials" / first / "scores.parquet").unlink()
    (study / "trials" / second / "scores.parquet").write_bytes(b"PAR1")
    path = study / "trials" / third / "scores.parquet"
    pq.write_table(pq.read_table(path).drop_columns("floor"), path)
    results = load(study)
    found = results.full_scores()
    assert set(results.unread) == {second, third} and not results.damaged
    assert not {first, second, third} & set(found) and {first, second, third} < set(results.curves)
    assert set(full_scores(results)["key"]) == set(found)
    assert "scores.parquet" in results.unread[second] and "floor" in results.unread[third]
    assert full_scores(load(written("none"))).empty and summarise(full_scores(load(written("other")))).empty


def test_the_report_shows_full_scores_swaps_and_channels(scored_study: Path) -> None:
    from analysis.report import render

    html = render(load(scored_study))
    assert "Full scores" in html
    for word in ("KID", "broken grains", "code fidelity", "Prior swap", "Shuffled codes"):
        assert word in html, word
