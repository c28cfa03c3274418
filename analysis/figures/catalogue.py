"""The figures of a study by name, and by their number in arXiv 2504.08728."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import export, figures
from analysis.effects import Comparison, compare
from analysis.errors import ResultsError
from analysis.micrographs import contact_sheet
from analysis.published import PUBLISHED, Published
from analysis.quality import full_scores, latest, summarise
from analysis.results import Images, Results

ROLLING, FINAL = 100, 500  # epochs, of Fig. 3: rolling mean, and final line
SHOWN = 3  # images of each kind in Fig. 6


@dataclass(frozen=True)
class Drawn:
    """A figure and the frame behind it."""

    figure: Figure
    frame: pd.DataFrame


@dataclass(frozen=True)
class Entry:
    """One figure that a study can have."""

    number: int | None  # in the paper
    title: str
    draw: Callable[[Results], Drawn]


def draw(results: Results, which: str) -> Drawn:
    """The figure `which`, a name of CATALOGUE or a number of the paper; another word is a ResultsError."""
    return CATALOGUE[name_of(which)].draw(results)


def name_of(which: str) -> str:
    """The name in CATALOGUE of a figure that is asked for by name or number."""
    for name, entry in CATALOGUE.items():
        if which in (name, str(entry.number)):
            return name
    near = difflib.get_close_matches(which, CATALOGUE, 1)
    guess = f" (did you mean {near[0]}?)" if near else ""
    choices = ", ".join(f"{each.number} or {name}" if each.number else name for name, each in CATALOGUE.items())
    raise ResultsError(f"--figure {which}: no such figure{guess}; there are: {choices}")


def windows(results: Results) -> tuple[int, int]:
    """Rolling mean and final line in epochs: those of Fig. 3, or the study's window where horizons are too short."""
    window = min(results.plan.window, max(results.plan.horizons))
    return (ROLLING, FINAL) if max(results.plan.horizons) >= 2 * FINAL else (window, window)


def improvements(results: Results, comparison: Comparison) -> pd.DataFrame:
    """The rows of `improvement_figure`: pairs and cells at the horizon of the answer, with their grid values."""
    grid = {trial.cell_name: trial.cell for trial in results.plan.trials}
    columns = ["arm", "cell", "latent_dim", "others", "horizon", "replicate", "d", "low", "high"]
    frames = []
    for frame in (comparison.pairs, comparison.cells):
        here = frame[(frame["horizon"] == comparison.horizon) & np.isfinite(frame["d"].astype(float))]
        cells = here["cell"].map(grid)
        frames.append(here.assign(
            latent_dim=[cell.get("latent_dim", name) for cell, name in zip(cells, here["cell"], strict=True)],
            others=[", ".join(f"{k}={v}" for k, v in cell.items() if k != "latent_dim") if "latent_dim" in cell else ""
                    for cell in cells],
        ).reindex(columns=columns))  # fmt: skip
    found: pd.DataFrame = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
    return found


def _mmd(results: Results) -> Drawn:
    rolling, window = windows(results)
    epochs, longest = results.scored_epochs(), max(results.plan.horizons)
    last = epochs[(epochs["epoch"] > longest - window) & (epochs["epoch"] <= longest)]
    reached = epochs.groupby(["arm", "cell", "replicate"])["epoch"].transform("max") == longest
    final = last[reached.loc[last.index]].groupby(["arm", "cell", "replicate"], sort=False)["mmd_v"]
    scores = final.mean().where(final.min() > 0).reset_index()
    # an empty cell has a panel too
    none = pd.DataFrame({"cell": [cell for cell in results.cells if cell not in set(scores["cell"])]})
    scores = pd.concat([scores, none], ignore_index=True) if len(none) else scores
    smoothed = figures.smooth(epochs, rolling)
    figure = figures.arms_figure(
        smoothed, scores, colours=_colours(results), rolling=rolling, window=window, horizons=results.plan.horizons
    )
    return Drawn(figure, smoothed.assign(rolling_window=rolling, final_window=window))


def _mmd_images(results: Results) -> Drawn:
    plan = results.plan
    for cell in results.cells:
        if (chosen := _images(results, cell)) is None:
            continue
        replicate, found = chosen
        first = next(iter(found.values()))[1]
        pictures = {arm: {epoch: images.generated(epoch)[0, 0] for epoch in images.epochs}
                    for arm, (_, images) in found.items()}  # fmt: skip
        pictures["real"] = {0: first.real[0, 0]}
        epochs = results.only(cell).scored_epochs()
        scores = compare(results.only(cell)).scores
        figure = figures.image_figure(
            epochs,
            scores[scores["horizon"] == max(plan.horizons)],
            pictures,
            first.channels[0],
            colours=_colours(results),
            window=min(plan.window, max(plan.horizons)),
            horizons=plan.horizons,
            title=f"{cell}; images of replicate {replicate}",
        )
        return Drawn(figure, figures.smooth(epochs, plan.window))
    return Drawn(figures.blank_figure("No trial has written images yet."), pd.DataFrame())


def _improvement(results: Results) -> Drawn:
    frame = improvements(results, compare(results))
    return Drawn(figures.improvement_figure(frame, colours=_colours(results), published=_published(results)), frame)


def _forest(results: Results) -> Drawn:
    found = compare(results)
    pairs, cells = (frame[frame["horizon"] == found.horizon] for frame in (found.pairs, found.cells))
    figure = figures.forest_figure(
        pairs[pairs["state"] == "scored"],
        cells,
        found.pooled,
        colours=_colours(results),
        published=_published(results),
    )
    pooled = [
        {"arm": arm, "cell": "pooled", "horizon": found.horizon, "d": each.estimate, "low": each.low, "high": each.high}
        for arm, each in found.pooled.items()
    ]
    return Drawn(figure, pd.concat([cells, pd.DataFrame(pooled)], ignore_index=True) if pooled else cells)


def _wins(results: Results) -> Drawn:
    frame = export.wins(compare(results))
    return Drawn(figures.wins_figure(frame, colours=_colours(results), published=_published(results)), frame)


def _qpu(results: Results) -> Drawn:
    """The first cell where an arm has one run and the baseline several."""
    plan = results.plan
    for cell in results.cells:
        here = results.only(cell)
        runs = {arm: [each for each in here.plan.trials if each.arm == arm] for arm in plan.arms}
        for arm, planned in runs.items():
            if arm == plan.baseline or len(planned) != 1 or len(runs[plan.baseline]) < 2:
                continue
            epochs = here.scored_epochs()
            window = min(figures.QPU_WINDOW, max(plan.horizons) // 4 or 1)
            updates = export.updates(here)
            figure = figures.qpu_figure(
                epochs,
                arm=arm,
                baseline=plan.baseline,
                colours=_colours(results),
                updates=updates.loc[updates["arm"] == arm, "epoch"].tolist(),
                title=cell,
                window=window,
            )
            both = epochs[epochs["arm"].isin([arm, plan.baseline])]
            return Drawn(figure, figures.smooth(both, window).assign(rolling_window=window))
    why = "No cell has one run of an arm and several of the baseline, as a run on a quantum computer has."
    return Drawn(figures.blank_figure(why), pd.DataFrame())


def _images_sheet(results: Results) -> Drawn:
    for cell in results.cells:
        if (chosen := _images(results, cell)) is None:
            continue
        replicate, found = chosen
        epoch = min(images.last_epoch for _, images in found.values())
        first = next(iter(found.values()))[1]
        rows = [("real", first.real[:SHOWN])]
        rows += [(arm, images.generated(epoch)[:SHOWN]) for arm, (_, images) in found.items()]
        listed = []
        for arm, (key, images) in found.items():
            shown = images.table.select(["epoch", "kind", "index", "code"]).to_pandas()
            shown = shown[(shown["index"] < SHOWN) & (shown["kind"] == "generated") & (shown["epoch"] == epoch)]
            listed.append(shown.assign(arm=arm, cell=cell, replicate=replicate, key=key))
        return Drawn(contact_sheet(rows, first.channels, first.step_um), pd.concat(listed, ignore_index=True))
    return Drawn(figures.blank_figure("No trial has written images yet."), pd.DataFrame())


def _profile(results: Results) -> Drawn:
    frame = summarise(latest(full_scores(results)))
    return Drawn(figures.profile_figure(frame, colours=_colours(results)), frame)


def _entropy(results: Results) -> Drawn:
    frame = export.updates(results)
    return Drawn(figures.entropy_figure(frame, colours=_colours(results), last=max(results.plan.horizons)), frame)


def _cost(results: Results) -> Drawn:
    frame = export.trials(results)
    return Drawn(figures.cost_figure(frame, colours=_colours(results)), frame)


CATALOGUE = {
    "mmd-images": Entry(2, "MMD against epoch with images", _mmd_images),
    "mmd": Entry(3, "MMD against epoch per cell", _mmd),
    "improvement": Entry(4, "relative improvement against the latent dimension", _improvement),
    "qpu": Entry(5, "one run against the runs of the baseline", _qpu),
    "images": Entry(6, "real and generated images by channel", _images_sheet),
    "forest": Entry(None, "relative improvement per cell and pooled", _forest),
    "wins": Entry(None, "win rate with its interval", _wins),
    "profile": Entry(None, "full scores against their floors", _profile),
    "entropy": Entry(None, "entropy of the codes over time", _entropy),
    "cost": Entry(None, "training time and failures", _cost),
}


def _colours(results: Results) -> dict[str, str]:
    return figures.arm_colours(results.plan.arms)


def _published(results: Results) -> tuple[str, Published] | None:
    microstructure = str(results.plan.data.get("microstructure"))
    return (microstructure, PUBLISHED[microstructure]) if microstructure in PUBLISHED else None


def _images(results: Results, cell: str) -> tuple[int, dict[str, tuple[str, Images]]] | None:
    """The first replicate of a cell with generated images, never picked by eye, and each arm's key and images."""
    planned = [trial for trial in results.plan.trials if trial.cell_name == cell]
    for replicate in sorted({trial.replicate for trial in planned}):
        found = {
            trial.arm: (trial.key, images)
            for trial in planned
            if trial.replicate == replicate and (images := results.images(trial.key)) is not None and images.last_epoch
        }
        if found:
            return replicate, {arm: found[arm] for arm in results.plan.arms if arm in found}
    return None
