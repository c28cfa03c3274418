"""A planted search of gains: its figures draw its numbers, its section says them, damaged files are one sentence."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import analysis
from analysis.errors import ResultsError
from analysis.figures.catalogue import draw
from analysis.gains import GAINS, read_gains
from analysis.tables import CANDIDATES, CYCLES, OBJECTIVE_KEY

COUNT = 12
NUMBERS = np.arange(COUNT)
OBJECTIVE = -1.0 - 0.1 * ((7 * NUMBERS) % COUNT)  # the best is candidate 5
PRUNED = {3, 4}
GAIN = {"a": 0.5, "c": 0.2, "A": 10.0, "alpha": 0.602, "gamma": 0.101}


def plant(folder: Path, *, finished: bool = True, low: float | None = 0.1, front: bool = False,
          objective: str | None = "loss") -> Path:  # fmt: skip
    """A search of a, c and A in a study's folder; `low` is the lower end of the improvement's interval.

    An `objective` of None is a search of older results, whose candidates do not say it.
    """
    home = folder / "gains"
    home.mkdir(exist_ok=True)
    rows = [
        {
            "number": number,
            "calibrated": number == 0,
            "state": "failed" if number == 7 else "pruned" if number in PRUNED else "done",
            **GAIN,
            "a": 0.01 * 2.0**number,
            "c": 0.05 + 0.05 * number,
            "A": float(number),
            "iterations": 50,
            "seeds": 4,
            "objective": None if number == 7 else OBJECTIVE[number],
            "error": 0.05,
            "circuits": 101 - number if front else 101,
            "on_front": number == 5,
            "cause": "the losses ran away" if number == 7 else None,
        }
        for number in range(COUNT)
    ]
    schema = CANDIDATES if objective is None else CANDIDATES.with_metadata({OBJECTIVE_KEY: objective})
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), home / "candidates.parquet")
    if not finished:
        return folder
    cycles = [
        {"gains": name, "seed": seed, "evaluation": each, "loss": level + 0.01 * seed - 0.02 * each}
        for name, level in (("best", -1.0), ("calibrated", -0.5))
        for seed in range(3)
        for each in range(1, 8)
    ]
    pq.write_table(pa.Table.from_pylist(cycles, schema=CYCLES), home / "cycles.parquet")
    improvement = {"estimate": 0.5, "low": low, "high": 0.9, "p": 0.01, "confidence": 0.95, "seeds": 3, "failed": 0,
                   "best": -1.13, "best_error": 0.01, "calibrated": -0.63, "calibrated_error": 0.01,
                   "start_loss": 0.1}  # fmt: skip
    found = {"schema": 1, "gains": GAIN, "iterations": 50, "latent_dim": 6, "backend": "exact:aria-2", "shots": 256,
             "objective": objective or "loss", "improvement": improvement, "count_circuits": front,
             "chosen_by": {"candidate": 5, "objective": -2.1, "error": 0.1, "seeds": 4},
             "calibrated": {"gains": {**GAIN, "a": 0.01}, "iterations": 50},
             "importance": {"a": 0.7, "c": 0.2, "A": 0.1}, "checkpoint": {"trial": "k", "epoch": 20}}  # fmt: skip
    (home / "gains.json").write_text(json.dumps(found))
    return folder


def test_slices_show_the_best_and_the_calibration_of_every_searched_gain(written):
    figure = draw(analysis.load(plant(written())), "gains").figure
    panels = [axes for axes in figure.axes if axes.get_xlabel()]
    assert [axes.get_xlabel() for axes in panels[:3]] == ["$a$", "$c$ (radians)", "$A$ (iterations)"]
    assert [axes.get_xscale() for axes in panels[:3]] == ["log", "log", "linear"]
    marks = {line.get_label(): line.get_xydata() for line in panels[2].get_lines()}
    assert marks["best"].tolist() == [[5.0, OBJECTIVE[5]]]
    assert marks["SPSA's own calibration"].tolist() == [[0.0, OBJECTIVE[0]]]
    assert {x for x, _ in marks["given up"]} == PRUNED
    assert [bar.get_width() for bar in panels[3].patches] == pytest.approx([0.7, 0.2, 0.1])


def test_progress_is_the_running_minimum_and_the_losses_are_means_of_pairs(written):
    folder = written()
    figure = draw(analysis.load(plant(folder)), "gains-progress").figure
    progress, losses = figure.axes
    (best,) = [line for line in progress.get_lines() if line.get_label() == "best so far"]
    done = np.where(np.isin(NUMBERS, [*PRUNED, 7]), np.inf, OBJECTIVE)
    assert best.get_ydata() == pytest.approx(np.minimum.accumulate(done))
    curve = losses.get_lines()[0].get_xydata()
    assert curve[:, 0].tolist() == [2, 4, 6]
    assert curve[:, 1] == pytest.approx([-1.0 + 0.01 - 0.02 * each for each in (1.5, 3.5, 5.5)])
    assert "loss (Eq. 6)" in losses.get_ylabel()
    front = draw(analysis.load(plant(folder, front=True)), "gains-progress").figure
    assert [axes.get_title(loc="left") for axes in front.axes if axes.axison][-1] == "Loss against circuits"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "its gains lower the final loss by 0.5000</strong> (95 % interval 0.1000 to 0.9000"),
        ({"low": -0.1, "front": True}, "no difference is shown"),
        ({"finished": False}, "the search has not come to its end"),
    ],
    ids=str,
)
def test_the_report_says_what_the_search_found(written, tmp_path, settings, said):
    folder = plant(written(images=False), **settings)
    text = " ".join(analysis.write_report(analysis.load(folder), tmp_path / "r.html").read_text().split())
    assert "Search of SPSA&#39;s gains" in text
    assert said in text
    assert "12 candidates: 9 done, 2 pruned, 1 failed" in text
    assert "Candidate 7 failed: the losses ran away" in text


@pytest.mark.parametrize(
    ("objective", "finished", "words"),
    [
        ("log_mmd", False, "log MMD"),
        ("log_mmd", True, "log MMD"),
        ("loss", False, "final loss"),
        (None, True, "final loss"),
        (None, False, "objective"),
    ],
)
def test_a_search_says_what_it_minimises_while_it_runs(written, objective, finished, words):
    found = read_gains(plant(written(images=False), objective=objective, finished=finished))
    assert found is not None
    assert found.objective == words


def test_no_search_and_a_damaged_one(written):
    folder = written(images=False)
    assert read_gains(folder) is None
    plant(folder)
    found = read_gains(folder)
    assert found is not None
    assert set(GAINS) <= set(found.candidates.columns)
    for name in ("candidates.parquet", "cycles.parquet", "gains.json"):
        whole = (folder / "gains" / name).read_bytes()
        (folder / "gains" / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ResultsError, match=r"is damaged .* writes it anew"):
            read_gains(folder)
        (folder / "gains" / name).write_bytes(whole)
