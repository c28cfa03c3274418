"""Final scores: the mean of every metric over the final window of every trial, at every horizon."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.results import Results

METRICS = ["mmd_v", "mmd_u", "floor_v", "floor_u"]
PLACE = ["key", "arm", "cell", "replicate", "horizon"]
SCORE = [*PLACE, "window", "state", *METRICS]
BROKEN = ["key", "arm", "cell", "replicate", "epoch", "mmd_v"]
FAILURES = {
    "failed": "the trial failed",
    "damaged": "its files are damaged",
    "invalid": "an MMD in its final window is zero, negative or not a number",
    "unscored": "no epoch of its final window was scored",
}
UNFINISHED = ("pending", "running")


def final_scores(results: Results) -> pd.DataFrame:
    """One row per planned trial and horizon.

    key, arm, cell, replicate, horizon (epochs)   the trial's place in the study
    window         epochs averaged; a horizon shorter than the study's window has one from its first epoch on
    state          scored, a key of FAILURES, or one of UNFINISHED
    mmd_v, mmd_u, floor_v, floor_u   means over the window (see `analysis.tables.CURVE`); NaN unless scored
    """
    unknown = [np.nan] * len(METRICS)
    rows = []
    for place, horizon, window, reached in by_horizon(results):
        state, metrics = (reached, unknown) if isinstance(reached, str) else reached.score(horizon, window)
        rows.append([*place, horizon, window, state, *metrics])
    return pd.DataFrame(rows, columns=SCORE)


def by_horizon(results: Results) -> Iterator[tuple[tuple[str, str, str, int], int, int, "ScoredCurve | str"]]:
    """Place (key, arm, cell, replicate), horizon, window and curve of every planned trial at every horizon.

    In place of a curve that does not go so far stands why: failed, damaged or one of UNFINISHED.
    """
    plan = results.plan
    curves = {key: ScoredCurve(table) for key, table in results.curves.items()}
    for trial in plan.trials:
        place, curve = (trial.key, trial.arm, trial.cell_name, trial.replicate), curves.get(trial.key)
        for horizon in plan.horizons:
            window = min(plan.window, horizon)
            if curve is not None and curve.last_epoch >= horizon:
                yield place, horizon, window, curve
            else:
                yield place, horizon, window, _missing(results, trial.key)


def _missing(results: Results, key: str) -> str:
    state = results.status(key)
    return "pending" if state == "done" else state


class ScoredCurve:
    """The scored columns of one trial as arrays: many small windows are cut from them."""

    def __init__(self, table: pa.Table) -> None:
        self.epoch = table["epoch"].to_numpy()
        self.last_epoch = self.epoch.max(initial=0)
        # null means not scored and is skipped; NaN means scored and broken, and must not be
        self.is_scored = pc.is_valid(table["mmd_v"]).to_numpy()
        self.metrics = [table[name].to_numpy() for name in METRICS]

    def score(self, horizon: int, window: int) -> tuple[str, list[float]]:
        """State (scored | invalid | unscored) and mean metrics over the `window` epochs that end at `horizon`."""
        state, _, metrics = self.within(horizon, window)
        return state, known_means(metrics).tolist() if state == "scored" else [np.nan] * len(METRICS)

    def within(self, horizon: int, window: int) -> tuple[str, NDArray[np.int64], NDArray[np.float64]]:
        """State, scored epochs and their METRICS, one per row, of the `window` epochs that end at `horizon`."""
        here = self.is_scored & (self.epoch > horizon - window) & (self.epoch <= horizon)
        metrics = np.stack([values[here] for values in self.metrics])
        state = "scored" if can_be_logged(metrics[0]).all() else "invalid"
        return state if metrics.size else "unscored", self.epoch[here].astype(np.int64), metrics


def known_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean along the last axis of the values that are there; NaN without any."""
    known = ~np.isnan(values)
    counts = known.sum(axis=-1)
    means: NDArray[np.float64] = np.where(known, values, 0).sum(axis=-1) / np.where(counts, counts, np.nan)
    return means


def can_be_logged(mmd: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each value is a finite number above zero."""
    return np.isfinite(mmd) & (mmd > 0)


def broken_values(results: Results) -> pd.DataFrame:
    """One row per scored epoch whose MMD cannot be logged: key, arm, cell, replicate, epoch, mmd_v."""
    frames = []
    for trial in results.plan.trials:
        if (curve := results.curves.get(trial.key)) is None:
            continue
        epoch, mmd_v = curve["epoch"].to_numpy(), curve["mmd_v"].to_numpy()
        broken = pc.is_valid(curve["mmd_v"]).to_numpy() & ~can_be_logged(mmd_v)
        if broken.any():
            place = {"key": trial.key, "arm": trial.arm, "cell": trial.cell_name, "replicate": trial.replicate}
            frames.append(pd.DataFrame(place | {"epoch": epoch[broken], "mmd_v": mmd_v[broken]}))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=BROKEN)
