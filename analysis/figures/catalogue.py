"""The figures of a study by name, and by their number in arXiv 2504.08728."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import export, figures
from analysis.effects import Comparison
from analysis.errors import ResultsError, nearest
from analysis.findings import Findings
from analysis.inference import Interval
from analysis.micrographs import contact_sheet
from analysis.qpu_runs import QpuRun
from analysis.results import Images, Results

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
    draw: Callable[[Findings], Drawn]


def draw(results: Results, which: str) -> Drawn:
    """The figure `which`, a name of CATALOGUE or a number of the paper; another word is a ResultsError."""
    return CATALOGUE[name_of(which)].draw(Findings(results))


def name_of(which: str) -> str:
    """The name in CATALOGUE of a figure that is asked for by name or number."""
    for name, entry in CATALOGUE.items():
        if which in (name, str(entry.number)):
            return name
    choices = ", ".join(f"{each.number} or {name}" if each.number else name for name, each in CATALOGUE.items())
    raise ResultsError(f"--figure {which}: no such figure{nearest(which, CATALOGUE)}; there are: {choices}")


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


def _mmd(findings: Findings) -> Drawn:
    rolling, window = findings.windows
    figure = figures.arms_figure(
        findings.smoothed,
        final_lines(findings),
        colours=findings.colours,
        rolling=rolling,
        window=window,
        horizons=findings.plan.horizons,
    )
    return Drawn(figure, findings.smoothed.assign(rolling_window=rolling, final_window=window))


def final_lines(findings: Findings) -> pd.DataFrame:
    """Mean mmd_v of every trial that reached the longest horizon over the final line of Fig. 3: arm, cell, mmd_v.

    A cell without any has one row all the same, so that it has a panel too.
    """
    epochs, place = findings.epochs, ["arm", "cell", "replicate"]
    late = epochs[(epochs["epoch"] > findings.horizon - findings.windows[1]) & (epochs["epoch"] <= findings.horizon)]
    trials = late.groupby(place, sort=False, observed=True).agg(
        mmd_v=("mmd_v", "mean"), least=("mmd_v", "min"), last=("epoch", "max")
    )
    known = trials.loc[(trials["last"] == findings.horizon) & (trials["least"] > 0), "mmd_v"].reset_index()
    missing = [cell for cell in findings.results.cells if cell not in set(known["cell"])]
    found: pd.DataFrame = pd.concat([known.astype({"arm": str, "cell": str}), pd.DataFrame({"cell": missing})])
    return found


def _mmd_images(findings: Findings) -> Drawn:
    plan = findings.plan
    for cell in findings.results.cells:
        if (chosen := _images(findings.results, cell)) is None:
            continue
        replicate, found = chosen
        first = next(iter(found.values()))[1]
        pictures = {arm: {epoch: images.generated(epoch)[0, 0] for epoch in images.epochs}
                    for arm, (_, images) in found.items()}  # fmt: skip
        pictures["real"] = {0: first.real[0, 0]}
        epochs, scores = findings.epochs, findings.comparison.scores
        here = epochs[epochs["cell"] == cell]
        figure = figures.image_figure(
            here,
            scores[(scores["horizon"] == findings.horizon) & (scores["cell"] == cell)],
            pictures,
            first.channels[0],
            colours=findings.colours,
            window=min(plan.window, findings.horizon),
            horizons=plan.horizons,
            title=f"{cell}; images of replicate {replicate}",
        )
        return Drawn(figure, figures.smooth(here, plan.window))
    return Drawn(figures.blank_figure("No trial has written images yet."), pd.DataFrame())


def _improvement(findings: Findings) -> Drawn:
    frame = improvements(findings.results, findings.comparison)
    return Drawn(figures.improvement_figure(frame, colours=findings.colours, published=findings.published), frame)


def _forest(findings: Findings) -> Drawn:
    found = findings.comparison
    pairs, cells = (frame[frame["horizon"] == found.horizon] for frame in (found.pairs, found.cells))
    prediction = {arm: Interval(np.nan, *each.prediction, 0) for arm, each in found.pools.items()}
    figure = figures.forest_figure(
        pairs[pairs["state"] == "scored"],
        cells,
        found.pooled,
        colours=findings.colours,
        prediction=prediction,
        published=findings.published,
    )
    pooled = [
        {"arm": arm, "cell": cell, "horizon": found.horizon, "d": each.estimate, "low": each.low, "high": each.high}
        for cell, intervals in (("pooled", found.pooled), ("prediction", prediction))
        for arm, each in intervals.items()
    ]
    return Drawn(figure, pd.concat([cells, pd.DataFrame(pooled)], ignore_index=True) if pooled else cells)


def _wins(findings: Findings) -> Drawn:
    frame = findings.comparison.wins
    return Drawn(figures.wins_figure(frame, colours=findings.colours, published=findings.published), frame)


def final_trial_figure(findings: Findings, run: QpuRun) -> Drawn:
    """A final trial among the baseline's runs of its cell (Fig. 5)."""
    baseline, epochs = findings.plan.baseline, findings.epochs
    rivals = epochs[(epochs["arm"] == baseline) & (epochs["cell"] == run.described["cell_name"])]
    both = pd.concat([rivals.astype({"arm": str, "cell": str}), run.epochs()], ignore_index=True)
    window = min(figures.QPU_WINDOW, findings.horizon // 4 or 1)
    figure = figures.qpu_figure(
        both,
        arm=run.name,
        baseline=baseline,
        colours={**findings.colours, run.name: findings.colour(run)},
        updates=[epoch for epoch in run.described["update_epochs"] if epoch <= run.epoch],
        title=run.described["cell_name"],
        window=window,
    )
    return Drawn(figure, figures.smooth(both, window).assign(rolling_window=window))


def _qpu(findings: Findings) -> Drawn:
    """The latest final trial on hardware, else the latest rehearsal, else an arm with one run."""
    begun = (run for run in findings.qpu_runs if run.epoch and (run.hardware or run.journal))
    first = next(begun, None)
    return one_arm_figure(findings) if first is None else final_trial_figure(findings, first)


def one_arm_figure(findings: Findings) -> Drawn:
    """The first cell where an arm has one run and the baseline several."""
    plan = findings.plan
    for cell in findings.results.cells:
        here = findings.results.only(cell)
        runs = {arm: [each for each in here.plan.trials if each.arm == arm] for arm in plan.arms}
        for arm, planned in runs.items():
            if arm == plan.baseline or len(planned) != 1 or len(runs[plan.baseline]) < 2:
                continue
            epochs = here.scored_epochs()
            window = min(figures.QPU_WINDOW, findings.horizon // 4 or 1)
            updates = export.updates(here)
            figure = figures.qpu_figure(
                epochs,
                arm=arm,
                baseline=plan.baseline,
                colours=findings.colours,
                updates=updates.loc[updates["arm"] == arm, "epoch"].tolist(),
                title=cell,
                window=window,
            )
            both = epochs[epochs["arm"].isin([arm, plan.baseline])]
            return Drawn(figure, figures.smooth(both, window).assign(rolling_window=window))
    why = "No cell has one run of an arm and several of the baseline, as a run on a quantum computer has."
    return Drawn(figures.blank_figure(why), pd.DataFrame())


def _images_sheet(findings: Findings) -> Drawn:
    for cell in findings.results.cells:
        if (found := image_sheet(findings.results, cell)) is not None:
            return found
    return Drawn(figures.blank_figure("No trial has written images yet."), pd.DataFrame())


def image_sheet(results: Results, cell: str) -> Drawn | None:
    """Real and generated images of a cell's first replicate that has some (Fig. 6); None where there is none.

    The frame lists the images of the sheet: arm, cell, replicate, key, epoch, index, code.
    """
    if (chosen := _images(results, cell)) is None:
        return None
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


def _profile(findings: Findings) -> Drawn:
    return Drawn(figures.profile_figure(findings.quality, colours=findings.colours), findings.quality)


def _entropy(findings: Findings) -> Drawn:
    frame = findings.updates
    return Drawn(figures.entropy_figure(frame, colours=findings.colours, last=findings.horizon), frame)


def _cost(findings: Findings) -> Drawn:
    return Drawn(figures.cost_figure(findings.trials, colours=findings.colours), findings.trials)


def _gains(findings: Findings) -> Drawn:
    search = findings.gains
    if search is None:
        return _no_search()
    importance = search.found["importance"] if search.found is not None else {}
    return Drawn(figures.slices_figure(search.candidates, importance, search.objective), search.candidates)


def _gains_progress(findings: Findings) -> Drawn:
    search = findings.gains
    if search is None:
        return _no_search()
    found = search.found
    figure = figures.progress_figure(
        search.candidates,
        search.cycles,
        found["improvement"]["start_loss"] if found is not None else None,
        search.objective,
        count_circuits=found is not None and found["count_circuits"],
    )
    return Drawn(figure, search.cycles)


def _no_search() -> Drawn:
    return Drawn(figures.blank_figure("No search of SPSA's gains: `study gains` makes one."), pd.DataFrame())


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
    "gains": Entry(None, "search of SPSA's gains: objective by gain, importance", _gains),
    "gains-progress": Entry(None, "search of SPSA's gains: best so far, losses of a cycle", _gains_progress),
    "cost": Entry(None, "training time and failures", _cost),
}


def _images(results: Results, cell: str) -> tuple[int, dict[str, tuple[str, Images]]] | None:
    """A replicate of a cell with generated images, and each arm's key and images.

    The first one that all arms have brought to the longest horizon, else the one that they brought furthest: never
    picked by eye.
    """
    planned = [trial for trial in results.plan.trials if trial.cell_name == cell]
    arms, longest = len({trial.arm for trial in planned}), max(results.plan.horizons)
    best: tuple[int, int] = (0, 0)  # arms, and the epoch that all of them have
    chosen = None
    for replicate in sorted({trial.replicate for trial in planned}):
        found = {
            trial.arm: (trial.key, images)
            for trial in planned
            if trial.replicate == replicate and (images := results.images(trial.key)) is not None and images.last_epoch
        }
        came = (len(found), min((images.last_epoch for _, images in found.values()), default=0))
        if came > best:
            best, chosen = came, (replicate, {arm: found[arm] for arm in results.plan.arms if arm in found})
        if best >= (arms, longest):
            break
    return chosen
