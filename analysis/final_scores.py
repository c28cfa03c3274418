"""Final scores: the mean of every metric over the final window of every trial, at every horizon."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.results import Results

METRICS = ["mmd_v", "mmd_u", "floor_v", "floor_u"]
PLACE = ["key", "arm", "cell", "replicate", "horizon"]
SCORE = [*PLACE, "window", "state", *METRICS]
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
    plan = results.plan
    rows = []
    for trial in plan.trials:
        for horizon in plan.horizons:
            window = min(plan.window, horizon)
            state, metrics = state_at(results, trial.key, horizon), dict.fromkeys(METRICS, np.nan)
            if state == "reached":
                state, measured = final_score(results.curves[trial.key], horizon, window)
                metrics |= measured
            place = [trial.key, trial.arm, trial.cell_name, trial.replicate]
            rows.append([*place, horizon, window, state, *metrics.values()])
    return pd.DataFrame(rows, columns=SCORE)


def state_at(results: Results, key: str, horizon: int) -> str:
    """reached, where the curve goes that far, or why not: failed, damaged or one of UNFINISHED."""
    curve = results.curves.get(key)
    if curve is not None and (pc.max(curve["epoch"]).as_py() or 0) >= horizon:
        return "reached"
    state = results.status(key)
    return "pending" if state == "done" else state


def final_score(curve: pa.Table, horizon: int, window: int) -> tuple[str, dict[str, float]]:
    """State (scored | invalid | unscored) and mean metrics over the `window` epochs that end at `horizon`."""
    epoch = curve["epoch"]
    last = curve.filter(pc.and_(pc.greater(epoch, horizon - window), pc.less_equal(epoch, horizon)))
    # null means not scored and is skipped; NaN means scored and broken, and must not be
    scored = last.filter(pc.is_valid(last["mmd_v"]))
    mmd_v = scored["mmd_v"].to_numpy()
    if not len(mmd_v):
        return "unscored", {}
    if not can_be_logged(mmd_v).all():
        return "invalid", {}
    means = {name: pc.mean(scored[name]).as_py() for name in METRICS}
    return "scored", {name: np.nan if mean is None else mean for name, mean in means.items()}


def can_be_logged(mmd: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each value is a finite number above zero."""
    return np.isfinite(mmd) & (mmd > 0)


def broken_values(results: Results) -> pd.DataFrame:
    """One row per scored epoch whose MMD cannot be logged: key, arm, cell, replicate, epoch, mmd_v."""
    epochs = results.scored_epochs()
    broken = epochs[~can_be_logged(epochs["mmd_v"].to_numpy(dtype=float))]
    keys = {(trial.arm, trial.cell_name, trial.replicate): trial.key for trial in results.plan.trials}
    places = broken[["arm", "cell", "replicate"]].itertuples(index=False, name=None)
    named = broken.assign(key=[keys[place] for place in places])
    return named[["key", "arm", "cell", "replicate", "epoch", "mmd_v"]].reset_index(drop=True)
