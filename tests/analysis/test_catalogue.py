"""Every figure of a study, by name and number: complete where there is data, and in words where there is none."""

import re

import numpy as np
import pandas as pd
import pytest

from analysis.effects import compare
from analysis.errors import ResultsError
from analysis.figures import gradients_figure, mmd_figure, qpu_figure, save, smooth, svg
from analysis.figures.catalogue import CATALOGUE, draw, image_sheet, improvements, name_of
from analysis.inference import t_interval
from analysis.results import load


def words(figure):
    return {text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))}


def pending(arms, cells=(0, 1)):
    return {(arm, cell, replicate): ("pending", 0) for arm in arms for cell in cells for replicate in range(3)}


@pytest.fixture(scope="module")
def results(scored_study):
    return load(scored_study)


def test_paper_numbers_name_the_paper_figures():
    assert {entry.number: name for name, entry in CATALOGUE.items() if entry.number} == {
        2: "mmd-images", 3: "mmd", 4: "improvement", 5: "qpu", 6: "images",
    }  # fmt: skip
    assert [name_of(which) for which in ("3", "mmd", "forest")] == ["mmd", "mmd", "forest"]
    with pytest.raises(ResultsError, match="did you mean forest"):
        name_of("forrest")


def test_panels_of_several_cells_have_the_numbers_of_single_figures(results):
    """Fig. 3 of a study: one panel per cell, whose lines are those of `mmd_figure`."""
    figure, frame = draw(results, "3").figure, draw(results, "3").frame
    assert [axes.get_title("left") for axes in figure.axes] == results.cells
    epochs = results.scored_epochs()
    for axes, cell in zip(figure.axes, results.cells, strict=True):
        here = epochs[epochs["cell"] == cell]
        settings = {"colours": {"bernoulli": "#111111", "qcbm": "#222222"}, "window": 10, "horizons": [20, 40]}
        (single,) = mmd_figure(here, compare(results).scores.iloc[:0], **settings).axes
        heavy = [line for line in axes.lines if line.get_linewidth() == 1.8]
        for line, other in zip(heavy, [each for each in single.lines if each.get_linewidth() == 1.8], strict=True):
            np.testing.assert_array_equal(line.get_ydata(), other.get_ydata())
    assert set(frame["rolling_window"]) == set(frame["final_window"]) == {10}


def test_smoothed_band_is_the_t_interval_of_log_rolling_means(results):
    epochs = results.scored_epochs()
    smoothed = smooth(epochs, 10)
    last = smoothed[(smoothed["epoch"] == 40) & (smoothed["arm"] == "qcbm") & (smoothed["cell"] == results.cells[0])]
    runs = epochs[(epochs["arm"] == "qcbm") & (epochs["cell"] == results.cells[0]) & (epochs["epoch"] > 30)]
    means = runs.groupby("replicate")["mmd_v"].mean()
    np.testing.assert_allclose(last.set_index("replicate")["rolling"], means)
    expected = t_interval(np.log(means))
    for name, value in (("mean", expected.estimate), ("low", expected.low), ("high", expected.high)):
        np.testing.assert_allclose(last[name], np.exp(value))


def test_smoothing_scales_with_mmd_and_ignores_the_order_of_rows(results):
    epochs = results.scored_epochs()
    plain = smooth(epochs, 5)
    scaled = smooth(epochs.assign(mmd_v=3 * epochs["mmd_v"]), 5)
    np.testing.assert_allclose(
        scaled[["rolling", "mean", "low", "high"]], 3 * plain[["rolling", "mean", "low", "high"]]
    )
    place = ["arm", "cell", "replicate", "epoch"]
    shuffled = smooth(epochs.sample(frac=1, random_state=0), 5)
    pd.testing.assert_frame_equal(*(each.sort_values(place, ignore_index=True) for each in (plain, shuffled)))


def test_improvement_has_pairs_cells_and_the_published_range(results):
    comparison = compare(results)
    frame = improvements(results, comparison)
    assert set(frame["latent_dim"]) == {8, 10} and set(frame["others"]) == {"images=256"}
    cells, pairs = frame[frame["replicate"].isna()], frame[frame["replicate"].notna()]
    assert (len(cells), len(pairs)) == (2, 6)
    np.testing.assert_allclose(cells["d"].to_numpy(), pairs.groupby("cell", sort=False)["d"].mean().to_numpy())
    figure = draw(results, "4").figure
    assert "published, ferrite: +22 % to +99 %" in words(figure)
    (axes,) = figure.axes
    assert axes.get_ylim()[1] >= np.log(1.99), "the published range is in view"
    assert any(list(line.get_ydata()) == [0, 0] for line in axes.lines)


def test_published_wins_are_drawn_where_their_number_is_known(written):
    results = load(written())
    results.plan.data["microstructure"] = "bainite"
    assert "7 of 10, p = 0.34" in words(draw(results, "wins").figure)
    results.plan.data["microstructure"] = "unknown"
    assert not [word for word in words(draw(results, "wins").figure) if "published" in word]


def test_one_run_has_no_band_of_its_own(written):
    """Fig. 5: the baseline's runs show the spread; the one run is its rolling mean and nothing else."""
    study = written(replicates={"qcbm": [0], "bernoulli": range(5)}, cells=[{"latent_dim": 12}], scores=True)
    drawn = draw(load(study), "5")
    (axes,) = drawn.figure.axes
    assert len(axes.collections) == 1, "the range of the baseline's runs"
    (mean,) = [line for line in axes.lines if line.get_label() == "qcbm: one run"]
    ours = drawn.frame[drawn.frame["arm"] == "qcbm"]
    np.testing.assert_array_equal(mean.get_ydata(), ours["rolling"])
    assert any("mean of 5 runs" in word for word in words(drawn.figure))
    settings = {"arm": "qcbm", "baseline": "bernoulli", "colours": {"qcbm": "#111111", "bernoulli": "#222222"}}
    assert "no scored epoch yet" in words(qpu_figure(load(study).scored_epochs().iloc[:0], **settings))


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_figure_is_a_picture_with_its_numbers(results, name, tmp_path):
    drawn = draw(results, name)
    for suffix in (".svg", ".png", ".csv"):
        save(drawn.figure, drawn.frame, tmp_path / f"figure{suffix}")
    text = (tmp_path / "figure.svg").read_text()
    assert text.startswith("<svg") and "prefers-color-scheme" in text
    fills = [re.search(r"(?:^|; )fill: ([^;]+)", style) for style in re.findall(r'<text style="([^"]*)"', text)]
    assert fills and all(fill and fill[1] != "#000000" for fill in fills), "black text is lost in the dark"
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    if name not in ("qpu", "gains", "gains-progress"):  # only where a study has such a run or search
        back = pd.read_csv(tmp_path / "figure.csv")
        assert list(back.columns) == list(drawn.frame.columns) and len(back) == len(drawn.frame) > 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["figure.csv", "figure.png", "figure.svg"]


@pytest.mark.parametrize(
    "settings",
    [
        {"statuses": pending(("bernoulli", "qcbm"))},
        {"statuses": pending(("qcbm",)), "scores": True},
        {"improvements": {"bernoulli": 0}, "scores": True},
        {"replicates": {"bernoulli": [0], "qcbm": [0]}, "scores": True},
        {"every": 100},
        {"cells": []},
        {"cells": [{"images": 64}], "images": False, "replicates": {"bernoulli": []}},
        {"noise": np.nan, "scores": True},
        {"noise": 3.0, "window": 1},
    ],
    ids=["just begun", "baseline only", "one arm", "one replicate", "unscored", "empty", "no baseline", "NaN", "wild"],
)
def test_what_cannot_be_drawn_is_said(written, settings):
    results = load(written(**settings))
    for name in CATALOGUE:
        figure = draw(results, name).figure
        assert "</svg>" in svg(figure)
        assert words(figure) - {""}, name


def test_gradient_laboratory_draws_its_theory():
    columns = ["estimator", "epsilon", "directions", "shots", "bias", "noise", "slope", "cosine", "codes"]
    rows = [
        [name, epsilon, directions, shots, -1.0, 0.1, 0.05, 0.5, codes]
        for shots, codes in ((64.0, 640), (np.nan, 0))
        for name, epsilon, directions in (
            ("finite difference", 0.1, None),
            ("finite difference", 1.0, None),
            ("parameter shift", None, None),
            ("SPSA", None, 8),
            ("exact", None, None),
        )
    ]
    left, right = gradients_figure(pd.DataFrame(rows, columns=columns)).axes
    (theory,) = [line for line in left.lines if len(line.get_xdata()) == 200]
    steps = theory.get_xdata()
    np.testing.assert_allclose(theory.get_ydata(), 1 - np.sin(steps) / steps)
    (noise,) = [line for line in left.lines if "noise of Eq. 8" in str(line.get_label())]
    np.testing.assert_allclose(noise.get_ydata(), 2.0)
    assert "SPSA, 8 directions" in {str(line.get_label()) for line in right.lines}


def test_other_suffixes_and_folders_are_refused(results, tmp_path):
    drawn = draw(results, "cost")
    with pytest.raises(ResultsError, match=r"\.svg or \.png"):
        save(drawn.figure, drawn.frame, tmp_path / "cost.jpg")
    with pytest.raises(ResultsError, match="folder that exists"):
        save(drawn.figure, drawn.frame, tmp_path / "nowhere/cost.svg")
    assert list(tmp_path.iterdir()) == []


def test_only_some_cells(results):
    assert results.only("latent_dim=8").cells == ["latent_dim=8, images=256"]
    assert results.only("images=256").cells == results.cells
    with pytest.raises(ResultsError, match=r"no cell fits latent_dim=9; .* latent_dim=8, images=256; "):
        results.only("latent_dim=9")


@pytest.mark.parametrize("typed", ["1e-4", "0.0001", ".0001", "1.0E-4"])
def test_a_grid_value_may_be_typed_in_any_way_that_is_that_number(written, typed):
    grid = [{"connectivity": word, "train.learning_rate": rate} for word in ("full", "8") for rate in (1e-4, 1e-5)]
    results = load(written(cells=grid, images=False))
    assert results.only(f"train.learning_rate={typed}").cells == [results.cells[0], results.cells[2]]
    assert results.only(f"train.learning_rate = {typed}, connectivity=full").cells == results.cells[:1]
    assert [results.only(cell).cells for cell in results.cells] == [[cell] for cell in results.cells]


def test_images_are_of_a_replicate_that_all_arms_have_finished(written):
    unfinished = {("qcbm", 0, 0): ("failed", 25), ("bernoulli", 0, 1): ("running", 30)}
    shown = image_sheet(load(written(statuses=unfinished)), "latent_dim=8, images=256").frame
    assert set(shown["replicate"]) == {2} and set(shown["epoch"]) == {40} and set(shown["arm"]) == {"bernoulli", "qcbm"}
    halfway = {(arm, 0, replicate): ("running", 25) for arm in ("bernoulli", "qcbm") for replicate in range(3)}
    shown = image_sheet(load(written("half", statuses=halfway)), "latent_dim=8, images=256").frame
    assert set(shown["replicate"]) == {0} and set(shown["epoch"]) == {20}
