import numpy as np
import pandas as pd
import pytest

from analysis.confirm import CONFIRMED, confirm, confirmed, select
from analysis.effects import compare
from analysis.final_scores import final_scores
from analysis.results import load

CELLS = [{"latent_dim": n} for n in range(6)]
SIX = {"bernoulli": range(6), "qcbm": range(6)}


@pytest.fixture
def scores(written):
    return final_scores(load(written(cells=CELLS, replicates=SIX, noise=0.3, window=1, images=False)))


def halves(scores: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return scores[scores["replicate"] < 3], scores[scores["replicate"] >= 3]


def test_only_fresh_replicates_are_quoted(scores):
    seen, fresh = halves(scores)
    selection = select(seen, "bernoulli", arm="qcbm", count=2)
    assert selection["chosen"].sum() == 2 and selection["d"].is_monotonic_decreasing
    alone = confirm(selection, seen, fresh, "bernoulli")
    pd.testing.assert_frame_equal(alone, confirm(selection, seen, scores, "bernoulli"))
    assert list(alone["cell"]) == list(selection["cell"][:2]) and (alone["pairs"] == 3).all()
    assert (alone["p_holm"] >= alone["p"]).all() and list(alone) == CONFIRMED


def test_fresh_values_alone_decide(scores):
    seen, fresh = halves(scores)
    selection = select(seen, "bernoulli", arm="qcbm", count=1)
    worse = fresh.assign(mmd_v=fresh["mmd_v"].where(fresh["arm"] != "qcbm", 10 * fresh["mmd_v"]))
    before, after = (confirm(selection, seen, each, "bernoulli").iloc[0] for each in (fresh, worse))
    assert before["d"] - after["d"] == pytest.approx(np.log(10)) and before["d_selection"] == after["d_selection"]


def test_nothing_fresh_says_so(scores):
    seen, _ = halves(scores)
    found = confirm(select(seen, "bernoulli", arm="qcbm", count=2), seen, seen, "bernoulli")
    assert (found["reason"] == "no fresh replicate of this cell").all() and found["d"].isna().all()
    assert (found["pairs"] == 0).all()


def test_a_baseline_trial_seen_in_another_cell_is_not_fresh(scores):
    seen, fresh = halves(scores)
    selection = select(seen, "bernoulli", arm="qcbm", count=1)
    old = seen.loc[seen["arm"] == "bernoulli", "key"].iloc[0]
    shared = fresh.assign(key=fresh["key"].where(fresh["arm"] != "bernoulli", old))
    assert confirm(selection, seen, shared, "bernoulli")["d"].isna().all()


def test_winner_is_quoted_without_its_luck(written):
    gaps = []
    for seed in range(4):
        study = written(
            str(seed), cells=CELLS, replicates=SIX, noise=0.5, window=1, images=False, seed=seed, horizons=[3]
        )
        seen, fresh = halves(final_scores(load(study)))
        row = confirm(select(seen, "bernoulli", arm="qcbm"), seen, fresh, "bernoulli").iloc[0]
        gaps.append((row["d_selection"], row["d"]))
    chosen_by, quoted = np.mean(gaps, axis=0)
    assert chosen_by - np.log(1.3) > 0.15 > abs(quoted - np.log(1.3)) - 0.15


def test_declared_choice_is_made_for_every_arm(written):
    settings = {"cells": CELLS, "replicates": SIX, "noise": 0.3, "window": 1, "images": False}
    study = load(written(confirm={"fresh_from": 3, "cells": 2}, **settings))
    seen, fresh = halves(final_scores(study))
    by_hand = confirm(select(seen, "bernoulli", arm="qcbm", count=2), seen, fresh, "bernoulli")
    pd.testing.assert_frame_equal(confirmed(study), by_hand)
    assert confirmed(load(written("undeclared", **settings))) is None


def test_nothing_to_choose_from(written):
    statuses = {(arm, c, r): ("pending", 0) for arm in ("bernoulli", "qcbm") for c in (0, 1) for r in range(3)}
    scores = final_scores(load(written(statuses=statuses)))
    selection = select(scores, "bernoulli", arm="qcbm")
    assert selection.empty and confirm(selection, scores, scores, "bernoulli").empty
    assert compare(load(written("whole"))).horizon == 40
