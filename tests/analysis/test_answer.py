import json
import re

import pytest

from analysis.answer import answers, caveats, sensitivity, summary
from analysis.effects import compare
from analysis.errors import ResultsError
from analysis.results import load

ARMS, CELLS = ("bernoulli", "qcbm"), (0, 1)
PENDING = {(arm, cell, replicate): ("pending", 0) for arm in ARMS for cell in CELLS for replicate in range(3)}


def said(folder):
    results = load(folder)
    comparison = compare(results)
    return " ".join(answers(results, comparison)), " ".join(caveats(results, comparison))


def test_clear_winner(study):
    answer, caveat = said(study)
    assert answer.startswith("qcbm beats bernoulli: relative improvement +") and "95 % interval" in answer
    assert "2 cells and 6 pairs at 40 epochs" in answer
    assert "at most 3 pairs in a cell" in caveat and "p 0.25" in caveat and "pixels" in caveat


def test_clear_loser(written):
    assert said(written(improvements={"bernoulli": 0, "qcbm": -40}))[0].startswith("bernoulli beats qcbm")


def test_no_difference(written):
    settings = {"improvements": {"bernoulli": 0, "qcbm": 0}, "noise": 0.3, "window": 1}
    assert "cannot be told apart" in said(written(**settings))[0]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"improvements": {"bernoulli": 0}}, "No comparison: the study has one arm"),
        ({"replicates": {"bernoulli": []}}, "no cell in common"),
        ({"statuses": PENDING}, "No answer yet: no pair of trials is scored at 20 epochs (0 of 12 trials done"),
        ({"cells": [{"latent_dim": 8}], "replicates": {"qcbm": [0]}}, "One run of qcbm ranks 1 of 4"),
        ({"cells": [{"latent_dim": 8}]}, "over 3 pairs of one cell (latent_dim=8)"),
        ({"replicates": {"qcbm": [7, 8]}}, "unpaired"),
    ],
)
def test_what_cannot_be_said_is_said(written, settings, sentence):
    assert sentence in said(written(**settings))[0]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"cells": [{"latent_dim": 8}]}, "One cell says nothing about other"),
        ({"window": 100}, "The final window is 40 epochs instead of 100"),
        ({"statuses": {("qcbm", 0, 0): ("failed", 30)}}, "1 pair lost to failures"),
        ({"statuses": {("qcbm", 0, 0): ("running", 30)}}, "1 of 6 planned pairs are unfinished"),
        ({"statuses": dict.fromkeys(PENDING, ("running", 30))}, "No pair has reached the longest horizon, 40"),
        ({"improvements": {"bernoulli": 0, "qcbm": 5, "gaussian": 5}}, "not corrected for the number"),
    ],
)
def test_caveats(written, settings, sentence):
    assert sentence in said(written(**settings))[1]


def test_cells_that_share_a_baseline_trial_are_not_independent(study):
    plan = json.loads((study / "plan.json").read_text())
    for key, places in list(plan["trials"].items()):
        if places[0]["arm"] == "bernoulli" and places[0]["cell"]["latent_dim"] == 10:
            del plan["trials"][key]
        elif places[0]["arm"] == "bernoulli":
            places.append(places[0] | {"cell": {"latent_dim": 10, "images": 256}})
    (study / "plan.json").write_text(json.dumps(plan))
    answer, caveat = said(study)
    assert "6 pairs" in answer and "Cells share trials" in caveat


@pytest.mark.parametrize("cells", [1, 2, 9])
def test_summary_is_three_to_ten_plain_lines(written, cells):
    text = summary(load(written(cells=[{"latent_dim": 2 + n} for n in range(cells)], images=False)))
    assert 3 <= len(text.splitlines()) <= 10
    assert "win rate: qcbm wins" in text and "–" not in text


def test_summary_of_a_study_that_has_just_begun(written):
    assert 3 <= len(summary(load(written(statuses=PENDING))).splitlines()) <= 10


def test_other_methods_stand_beside_the_answer(written):
    comparison = compare(load(written(cells=[{"latent_dim": n} for n in range(6)])))
    (sentence,) = sensitivity(comparison)
    for part in (
        "one more cell falls between +",
        "sign-flip test on cell means p = 0.031",
        "random effects +",
        "6 of 6",
    ):
        assert part in sentence
    assert sensitivity(compare(load(written("begun", statuses=PENDING)))) == []


def test_effect_that_one_cell_may_not_share_is_said(written):
    cells = [{"latent_dim": n} for n in range(4)]
    study = written(cells=cells, improvements={"bernoulli": 0, "qcbm": 40}, noise=0.3, window=1, seed=3)
    row = compare(load(study)).arms.iloc[0]
    assert row["low"] > 0 > row["prediction_low"]
    assert "A further cell may go either way for qcbm" in said(study)[1]


def test_claims_that_do_not_survive_holm_are_named(written):
    study = written(cells=[{"latent_dim": n} for n in range(8)], noise=0.15, window=1)
    cells = compare(load(study)).effects("qcbm")
    alone, together = (cells["p"] < 0.05).sum(), (cells["p_holm"] < 0.05).sum()
    assert alone > together
    assert f"in {alone} cells taken one by one, and in {together} after Holm's correction" in said(study)[1]


def test_summary_against_another_baseline(study):
    assert "qcbm beats bernoulli" in summary(load(study), baseline="qcbm")
    with pytest.raises(ResultsError, match="no such arm"):
        summary(load(study), baseline="nobody")


def test_pairs_that_went_further_are_not_denied(written):
    running = {("qcbm", 0, replicate): ("running", 25) for replicate in (1, 2, 3)}
    study = written(
        cells=[{"latent_dim": 8}], replicates={a: range(4) for a in ("bernoulli", "qcbm")}, statuses=running
    )
    assert "Not shown by this: Only 1 of 4 pairs have reached the longest horizon, 40 epochs, yet." in summary(
        load(study)
    )


def test_rank_of_a_run_that_is_half_way_is_a_whole_number(written):
    replicates, half = {"bernoulli": range(5), "qcbm": [0]}, {("qcbm", 0, 0): ("running", 25)}
    study = load(written(cells=[{"latent_dim": 8}], replicates=replicates, statuses=half))
    assert re.search(r"One run of qcbm ranks \d of 6 with", answers(study, compare(study))[0])


def test_one_trial_each_does_not_replace_unpaired_arms_of_several(written):
    half = {("bernoulli", 0, 1): ("running", 25), ("bernoulli", 0, 2): ("running", 25)}
    half |= {("qcbm", 0, 11): ("running", 25), ("qcbm", 0, 12): ("running", 25)}
    replicates = {"bernoulli": range(3), "qcbm": range(10, 13)}
    study = load(written(cells=[{"latent_dim": 8}], replicates=replicates, statuses=half))
    comparison = compare(study)
    assert comparison.horizon == 20 and not comparison.cells["paired"].any()
    assert list(comparison.wins["over"]) == ["cells"]
