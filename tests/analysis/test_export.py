import math

import numpy as np
import pandas as pd
import pytest

from analysis.errors import ResultsError
from analysis.export import MEANINGS, channels, curves, export_tables, frames, trials, updates
from analysis.results import load


def test_both_formats_hold_the_same_numbers(written, tmp_path):
    results = load(written(scores=True, statuses={("qcbm", 0, 1): ("failed", 25)}))
    paths = export_tables(results, tmp_path / "tables")
    names = frames(results)
    assert {path.name for path in paths} == {f"{n}{s}" for n in [*names, "columns"] for s in (".csv", ".parquet")}
    for name in names:
        text = pd.read_csv(tmp_path / f"tables/{name}.csv")
        binary = pd.read_parquet(tmp_path / f"tables/{name}.parquet")
        assert len(binary) and list(text.columns) == list(binary.columns)
        for column in binary.select_dtypes(np.number):
            np.testing.assert_array_equal(text[column].to_numpy(float), binary[column].to_numpy(float), column)


def test_every_column_is_explained(written, tmp_path):
    results = load(written(scores=True))
    export_tables(results, tmp_path)
    explained = pd.read_csv(tmp_path / "columns.csv")
    assert {name: list(rows["column"]) for name, rows in explained.groupby("frame")} == {
        name: list(frame.columns) for name, frame in frames(results).items()
    }
    for name in set(explained["frame"]):
        assert explained.loc[explained["frame"] == name, "meaning"].notna().all(), name
    used = set(explained["column"])
    assert set(MEANINGS) <= used, "a meaning without a column"


def test_trials_say_what_they_cost_and_died_of(written):
    study = written(scores=True, statuses={("qcbm", 0, 1): ("failed", 25), ("qcbm", 1, 2): ("pending", 0)})
    damaged = next(each.key for each in load(study).plan.trials if each.arm == "bernoulli")
    (study / "trials" / damaged / "trial.json").write_text("{")
    frame = trials(load(study)).set_index("status")
    assert frame.index.value_counts().to_dict() == {"done": 9, "failed": 1, "pending": 1, "damaged": 1}
    assert frame.loc["failed", "hours"] == pytest.approx(25 * 2.5 / 3600)
    assert frame.loc["failed", "circuits"] == 2 * 101
    assert "out of memory" in frame.loc["failed", "cause"] and "trial.json: damaged" in frame.loc["damaged", "cause"]
    assert math.isnan(frame.loc["pending", "hours"])


def test_curves_and_channels_keep_their_place(written):
    results = load(written(scores=True))
    whole, single = curves(results), channels(results)
    assert len(whole) == 12 * 40 and "channel_mmd_v" not in whole
    assert len(single) == 12 * 40 * 5 and set(single["channel"]) == set(range(5))
    trial = next(each for each in results.plan.trials if each.arm == "qcbm")
    row = single.query("arm == @trial.arm and cell == @trial.cell_name and replicate == @trial.replicate")
    row = row.query("epoch == 7 and channel == 3")
    assert row["mmd_v"].item() == results.columns(["channel_mmd_v"])[trial.key]["channel_mmd_v"][6].as_py()[3]


def test_entropy_is_in_bits_of_the_code(written):
    frame = updates(load(written(scores=True)))
    assert set(frame["arm"]) == {"qcbm"} and set(frame["epoch"]) == {10, 20, 30, 40}
    assert (frame["entropy_bits"] < frame["latent_dim"]).all()
    np.testing.assert_allclose(frame["entropy_bits"] * np.log(2), frame["prior_entropy"])


def test_a_study_just_begun_has_tables(written, tmp_path):
    statuses = {(arm, cell, i): ("pending", 0) for arm in ("bernoulli", "qcbm") for cell in (0, 1) for i in range(3)}
    export_tables(load(written(statuses=statuses)), tmp_path)
    assert len(pd.read_csv(tmp_path / "trials.csv")) == 12 and pd.read_csv(tmp_path / "curves.csv").empty


def test_a_folder_that_is_a_file_is_refused(written, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot be made a folder"):
        export_tables(load(written()), tmp_path / "file")
