import numpy as np
import pytest

from analysis.effects import compare
from analysis.figures import POINTS, arm_colours, forest_figure, mmd_figure, png, svg
from analysis.results import load


def drawn(folder, cell=0):
    results = load(folder)
    comparison, epochs = compare(results), results.scored_epochs()
    cell = results.cells[cell]
    scores = comparison.scores[(comparison.scores["cell"] == cell) & (comparison.scores["horizon"] == 40)]
    return mmd_figure(
        epochs[epochs["cell"] == cell],
        scores,
        colours=arm_colours(results.plan.arms),
        window=results.plan.window,
        horizons=results.plan.horizons,
        title=cell,
    )


def forest(folder):
    results = load(folder)
    found = compare(results)
    pairs, cells = (frame[frame["horizon"] == found.horizon] for frame in (found.pairs, found.cells))
    return forest_figure(pairs, cells, found.pooled, colours=arm_colours(results.plan.arms))


def test_mean_line_ends_at_the_final_score(study):
    """The rolling mean at the horizon is the final score, and the thick line its geometric mean."""
    (axes,) = drawn(study).axes
    scores = compare(load(study)).scores
    for arm in ("bernoulli", "qcbm"):
        here = scores[(scores["arm"] == arm) & (scores["horizon"] == 40) & (scores["cell"].str.contains("dim=8,"))]
        (line,) = [each for each in axes.lines if str(each.get_label()).startswith(arm)]
        assert line.get_ydata()[-1] == pytest.approx(np.exp(np.log(here["mmd_v"].astype(float)).mean()))


def test_axes_say_what_they_show(study):
    (axes,) = drawn(study).axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("epoch", "MMD (Eq. 9)", "log")
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["bernoulli (3 replicates)", "qcbm (3 replicates)", "floor"]


def test_curves_are_thinned_and_keep_their_end(written):
    (axes,) = drawn(written(horizons=[40, 3000], images=False)).axes
    longest = max(axes.lines, key=lambda line: len(line.get_xdata()))
    assert len(longest.get_xdata()) == POINTS and longest.get_xdata()[-1] == 3000


def test_nothing_scored_yet_is_said(written):
    (axes,) = drawn(written(every=100)).axes
    assert [text.get_text() for text in axes.texts] == ["no scored epoch yet"]


def test_improvement_has_a_row_per_cell_and_a_zero_line(study):
    (axes,) = forest(study).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["latent_dim=8,\nimages=256", "latent_dim=10,\nimages=256", "pooled\nover cells"]
    assert any(list(line.get_xdata()) == [0, 0] for line in axes.lines)
    ticks = {label.get_text() for label in axes.get_xticklabels()}
    assert {"0 %", "+20 %"} <= ticks


def test_wide_intervals_end_in_arrows(written):
    (axes,) = forest(written(noise=1.0, window=1, replicates={"qcbm": [0, 1], "bernoulli": [0, 1]})).axes
    assert {line.get_marker() for line in axes.lines} & {"<", ">"}
    assert max(np.abs(axes.get_xlim())) < 15


def test_embedded_figures_stand_alone(study):
    first, second = svg(forest(study)), svg(forest(study))
    assert first == second and first.startswith("<svg") and "currentColor" in first
    assert "<metadata" not in first and "#1c1e21" not in first
    assert png(forest(study)).startswith("data:image/png;base64,iVBOR")


def test_every_arm_has_its_own_colour():
    assert len(set(arm_colours([f"arm{index}" for index in range(14)]).values())) == 14
