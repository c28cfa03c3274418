"""MMD against epoch: arms over replicates (Fig. 3), with images (Fig. 2), one run against many (Fig. 5)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from analysis.figures.style import PANEL, blank, blank_figure, epoch_axis, legend, log_axis, panels, styled, thin
from analysis.inference import t_band
from analysis.ink import INK
from analysis.micrographs import draw_channel

QPU_WINDOW = 150  # epochs of the rolling mean of Fig. 5
_THIN = 1200  # points of all thin lines of an arm in a panel: more are one grey cloud, and most of a report's bytes
Images = Mapping[int, NDArray[np.uint8]]  # by epoch, of one code


def smooth(epochs: pd.DataFrame, window: int) -> pd.DataFrame:
    """What the figures of MMD against epoch draw, one row per arm, cell, replicate and drawn epoch.

    `epochs` is `Results.scored_epochs`; `window` is in epochs. mmd_v, floor_v: as scored; rolling: mean mmd_v over
    the window that ends there; mean, low, high: geometric mean of the rolling means over replicates and its 95 % t
    interval, the same in the rows of all replicates. Epochs with an MMD of zero or below have no row.
    """
    frames = []
    for (arm, cell), here in epochs.groupby(["arm", "cell"], sort=False):
        mmd, floor = _by_replicate(here, "mmd_v", "floor_v")
        mmd = mmd.where(mmd > 0)  # the report names trials with other values
        rows = thin(len(mmd))
        every_epoch = mmd.reindex(range(1, int(mmd.index.max()) + 1))
        rolling = every_epoch.rolling(window, min_periods=1).mean().loc[mmd.index].where(mmd.notna()).iloc[rows]
        shape = rolling.shape
        long = {
            "replicate": np.broadcast_to(mmd.columns.to_numpy(), shape),
            "epoch": np.broadcast_to(rolling.index.to_numpy()[:, None], shape),
            "mmd_v": mmd.to_numpy()[rows],
            "floor_v": floor.to_numpy()[rows],
            "rolling": rolling.to_numpy(),
        }
        for name, values in zip(("mean", "low", "high"), np.exp(t_band(np.log(rolling))), strict=True):
            long[name] = np.broadcast_to(values[:, None], shape)
        frame = pd.DataFrame({name: values.ravel("F") for name, values in long.items()})
        frames.append(frame[frame["mmd_v"].notna()].assign(arm=str(arm), cell=str(cell)))
    columns = ["arm", "cell", "replicate", "epoch", "mmd_v", "floor_v", "rolling", "mean", "low", "high"]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def _by_replicate(epochs: pd.DataFrame, *columns: str) -> list[pd.DataFrame]:
    """A table of each column, one row per epoch and one column per replicate: a pivot, at a third of its time."""
    # a frame without rows has columns of no type, and lends it to what it is joined with
    rows, epoch = _ranks(epochs["epoch"].to_numpy(dtype=np.int64))
    names, replicate = _ranks(epochs["replicate"].to_numpy(dtype=np.int64))
    tables = []
    for column in columns:
        table = np.full((len(rows), len(names)), np.nan)
        table[epoch, replicate] = epochs[column].to_numpy(dtype=float)
        tables.append(pd.DataFrame(table, pd.Index(rows, name="epoch"), pd.Index(names, name="replicate")))
    return tables


def _ranks(numbers: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The distinct numbers from 0 on, ascending, and which of them each is: np.unique by counting, without a sort."""
    present = np.bincount(numbers) > 0
    return np.flatnonzero(present), (np.cumsum(present) - 1)[numbers]


def draw_mmd(
    axes: Axes,
    smoothed: pd.DataFrame,
    scores: pd.DataFrame,
    *,
    colours: dict[str, str],
    window: int,
    horizons: Sequence[int],
    title: str = "",
    counted: bool = True,
) -> bool:
    """Draw one cell's arms into `axes`; False where there is nothing to draw, which the panel then says.

    `smoothed` is `smooth` of one cell and `scores` the final scores at the longest horizon (arm, mmd_v), over
    `window` epochs: the dashed lines and the shaded end. `counted`: the legend names the number of replicates.
    """
    axes.set(ylabel="MMD (Eq. 9)", title=title)
    epoch_axis(axes, max(horizons))
    levels = smoothed["mmd_v"].astype(float).dropna()
    for arm, colour in colours.items():
        if (smoothed["arm"] == arm).any():
            _draw_arm(axes, smoothed[smoothed["arm"] == arm], arm, colour, counted)
        final = scores.loc[scores["arm"] == arm, "mmd_v"].dropna().astype(float)
        if len(final):
            axes.hlines(float(np.exp(np.log(final).mean())), 0, max(horizons), colour, "--", linewidth=1, alpha=0.9)
    if levels.empty:
        blank(axes, "no scored epoch yet")
        return False
    low = levels.min()
    floor = smoothed["floor_v"].astype(float).mean()
    if floor > 0:
        axes.axhline(floor, color=INK, linestyle=":", linewidth=1.2, label="floor")
        low = min(low, floor)
    axes.axvspan(max(0, max(horizons) - window), max(horizons), color=INK, alpha=0.08, linewidth=0)
    for horizon in horizons[:-1]:
        axes.axvline(horizon, color=INK, alpha=0.25, linewidth=0.8)
    # a band over two replicates can be decades wide and must not set the scale, so the curves do
    log_axis(axes, low / 1.2, levels.max() * 1.2)
    return True


def mmd_figure(
    epochs: pd.DataFrame,
    scores: pd.DataFrame,
    *,
    colours: dict[str, str],
    window: int,
    horizons: Sequence[int],
    title: str = "",
    rolling: int | None = None,
) -> Figure:
    """MMD against epoch of one cell's arms (Fig. 3).

    `epochs` has one row per replicate and scored epoch (arm, cell, replicate, epoch, mmd_v, floor_v), `scores` the
    final scores at the longest horizon (arm, mmd_v) over `window` epochs; the rolling mean is over `rolling` epochs,
    or `window`. The band is the t interval of the mean log MMD over replicates, of rolling means.
    """
    with styled():
        figure = Figure(figsize=PANEL, layout="constrained")
        axes = figure.add_subplot()
        smoothed = smooth(epochs, rolling or window)
        if draw_mmd(axes, smoothed, scores, colours=colours, window=window, horizons=horizons, title=title):
            legend(figure, axes)
        sns.despine(figure)
        return figure


def arms_figure(
    smoothed: pd.DataFrame,
    scores: pd.DataFrame,
    *,
    colours: dict[str, str],
    rolling: int,
    window: int,
    horizons: Sequence[int],
) -> Figure:
    """`mmd_figure` of several cells (Fig. 3), one panel each.

    `smoothed`: see `smooth`, over `rolling` epochs; `scores`: final scores over `window` epochs (arm, cell, mmd_v),
    a cell without any is shown as empty.
    """
    cells = list(dict.fromkeys([*scores["cell"].unique(), *smoothed["cell"].unique()]))
    if not cells:
        return blank_figure("No cell to draw: the plan is empty.")
    with styled():
        figure, grid = panels(cells, PANEL if len(cells) == 1 else (4.2, 2.9))
        drawn = []
        counts = smoothed.groupby(["arm", "cell"])["replicate"].nunique().groupby("arm").nunique()
        same = bool((counts == 1).all())  # in every cell; else a legend for all cells cannot name the number
        for axes, cell in zip(grid, cells, strict=True):
            here, final = (frame[frame["cell"] == cell] for frame in (smoothed, scores))
            settings = {"window": window, "horizons": horizons, "title": cell, "counted": same}
            if draw_mmd(axes, here, final, colours=colours, **settings):
                drawn.append(axes)
                axes.set_xlabel(f"epoch (thick: rolling mean of {rolling}, dashed: last {window})")
        if drawn:
            legend(figure, *drawn)
        return figure


def image_figure(
    epochs: pd.DataFrame,
    scores: pd.DataFrame,
    images: Mapping[str, Images],
    channel: Mapping[str, Any],
    *,
    colours: dict[str, str],
    window: int,
    horizons: Sequence[int],
    title: str = "",
) -> Figure:
    """MMD against epoch of one cell's arms above images of marked epochs (Fig. 2).

    `epochs`, `scores`, `window`, `horizons`: as in `mmd_figure`. `images`: arm -> epoch -> pixels (height, width)
    uint8 of one fixed code, in one `channel` of the images' footer; "real" with one image is drawn first.
    """
    marked = sorted({epoch for arm, found in images.items() if arm != "real" for epoch in found})
    arms = [arm for arm in colours if images.get(arm)]
    tile = min(0.85, (PANEL[0] - 1.0) / (len(marked) + 1.3))
    strip = len(arms) * (tile + 0.04) + 0.35
    with styled():
        figure = Figure(figsize=(PANEL[0], PANEL[1] + (strip if arms else 0)), layout="constrained")
        if arms:
            upper, lower = figure.subfigures(2, 1, height_ratios=(PANEL[1], strip), squeeze=False).ravel()
            _strip(lower, images, channel, arms, marked, colours)
        axes = (upper if arms else figure).add_subplot()
        smoothed = smooth(epochs, window)
        if draw_mmd(axes, smoothed, scores, colours=colours, window=window, horizons=horizons, title=title):
            legend(upper if arms else figure, axes)
            marks = axes.get_xaxis_transform()
            axes.plot(marked, [0.0] * len(marked), "^", color=INK, ms=5, transform=marks, clip_on=False)
        sns.despine(ax=axes)
        return figure


def _strip(
    figure: SubFigure,
    images: Mapping[str, Images],
    channel: Mapping[str, Any],
    arms: Sequence[str],
    marked: Sequence[int],
    colours: dict[str, str],
) -> None:
    """Images of every arm at every marked epoch, and a real one at the end of the first row."""
    grid = figure.subplots(len(arms), len(marked) + 1, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    columns = [[images[arm].get(epoch) for arm in arms] for epoch in marked]
    columns.append([next(iter(images.get("real", {}).values()), None)])
    titles = [*(f"epoch {epoch}" for epoch in marked), "real"]
    for column, (title, pictures) in enumerate(zip(titles, columns, strict=True)):
        grid[0, column].set_title(title, fontsize=8, fontweight="normal", loc="center", pad=3)
        for row, pixels in enumerate(pictures):
            if pixels is not None:
                draw_channel(grid[row, column], pixels, channel)
                grid[row, column].set_aspect("equal")
    for axes, arm in zip(grid[:, 0], arms, strict=True):
        place = {"transform": axes.transAxes, "rotation": 90, "ha": "right", "va": "center"}
        axes.text(-0.08, 0.5, arm, fontsize=8, color=colours[arm], **place)


def qpu_figure(
    epochs: pd.DataFrame,
    *,
    arm: str,
    baseline: str,
    colours: dict[str, str],
    updates: Sequence[int] = (),
    title: str = "",
    window: int = QPU_WINDOW,
) -> Figure:
    """One run of an arm against the runs of the baseline, each as its rolling mean over `window` epochs (Fig. 5).

    `epochs` as in `mmd_figure`, of one cell; `updates`: epochs of the arm's update events. One run has no spread, so
    it has no band: the spread is that of the baseline's runs, shown as the runs themselves and their range.
    """
    smoothed = smooth(epochs[epochs["arm"].isin([arm, baseline])], window)
    ours, theirs = (smoothed[smoothed["arm"] == name] for name in (arm, baseline))
    with styled():
        figure = Figure(figsize=PANEL, layout="constrained")
        axes = figure.add_subplot()
        axes.set(ylabel="MMD (Eq. 9)", title=title)
        sns.despine(figure)
        levels = smoothed["rolling"].dropna()
        if levels.empty:
            blank(axes, "no scored epoch yet")
            return figure
        runs = theirs.pivot(index="epoch", columns="replicate", values="rolling")
        if len(runs.columns):
            axes.fill_between(runs.index, runs.min(axis=1), runs.max(axis=1), color=colours[baseline], alpha=0.15, lw=0)
            axes.plot(runs.index, runs, color=colours[baseline], linewidth=0.5, alpha=0.5)
            label = f"{baseline}: mean of {_runs(len(runs.columns))}, each run, their range"
            axes.plot(runs.index, np.exp(np.log(runs).mean(axis=1)), "--", color=colours[baseline], lw=1.6, label=label)
        for number, (_, run) in enumerate(ours.groupby("replicate")):
            axes.plot(run["epoch"], run["mmd_v"], color=colours[arm], linewidth=0.4, alpha=0.35)
            label = "" if number else f"{arm}: " + ("one run" if len(ours) == len(run) else "each run")
            axes.plot(run["epoch"], run["rolling"], color=colours[arm], linewidth=1.8, label=label)
        for number, epoch in enumerate(updates):
            label = "" if number else "update event"
            axes.axvline(epoch, 0, 0.04, color=colours[arm], linewidth=1.2, label=label)
        floor = smoothed["floor_v"].astype(float).mean()
        if floor > 0:
            axes.axhline(floor, color=INK, linestyle=":", linewidth=1.2, label="floor")
        epoch_axis(axes, int(smoothed["epoch"].max()))
        axes.set_xlabel(f"epoch (rolling mean of {window})")
        log_axis(axes, min(levels.min(), floor if floor > 0 else np.inf) / 1.2, levels.max() * 1.2)
        legend(figure, axes)
        return figure


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _draw_arm(axes: Axes, smoothed: pd.DataFrame, arm: str, colour: str, counted: bool) -> None:
    (table,) = _by_replicate(smoothed, "mmd_v")
    band = smoothed.drop_duplicates("epoch").set_index("epoch").sort_index()
    replicates = table.iloc[thin(len(table), max(_THIN // table.shape[1], 40))]
    axes.plot(
        replicates.index, replicates, color=colour, alpha=0.3, linewidth=0.6, marker="." if len(table) < 15 else ""
    )
    count = table.shape[1]
    label = f"{arm} ({count} replicate{'s' if count > 1 else ''})" if counted else arm
    axes.plot(band.index, band["mean"], color=colour, linewidth=1.8, label=label)
    axes.fill_between(band.index, band["low"], band["high"], color=colour, alpha=0.2, linewidth=0)
