"""From curves to effects: final scores, pairs, Eq. 10 per cell, the pooled effect and the win rate.

symbol   meaning
MMD_Q    final score of an arm's trial: mean mmd_v over the scored epochs of the final window
MMD_B    the same of the baseline's trial with the same replicate
d        log(MMD_B / MMD_Q), above 0 where the arm beats the baseline
Eq. 10   relative improvement (MMD_B - MMD_Q) / MMD_Q = exp(d) - 1; all inference is on d
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.inference import Interval, binomial_p, clopper_pearson, t_interval, welch_interval
from analysis.results import Results

METRICS = ["mmd_v", "mmd_u", "floor_v", "floor_u"]
SCORE = ["key", "arm", "cell", "replicate", "horizon", "window", "state", *METRICS]
EFFECT = ["arm", "cell", "horizon", "window", "d", "low", "high"]
EFFECT += ["paired", "planned", "pairs", "failed", "unfinished", "correlation"]
EFFECT += ["mmd_v", "mmd_v_baseline", "mmd_u", "mmd_u_baseline", "floor_v", "floor_u"]
FAILURES = {
    "failed": "the trial failed",
    "damaged": "its files are damaged",
    "invalid": "an MMD in its final window is zero, negative or not a number",
    "unscored": "no epoch of its final window was scored",
}
UNFINISHED = ("pending", "running")
_NUMBERS = dict.fromkeys(METRICS, float)


@dataclass(frozen=True)
class WinRate:
    """How often an arm beats the baseline, with its exact interval (0 to 1) and two-sided binomial p."""

    wins: int
    losses: int
    ties: int  # d is exactly 0; left out of the interval and of p
    low: float
    high: float
    p: float

    @property
    def count(self) -> int:
        """Decided comparisons."""
        return self.wins + self.losses


_ROUNDING = 1e-9  # a spread of log MMD below this is no spread


@dataclass(frozen=True)
class Comparison:
    """Every arm against the baseline."""

    scores: pd.DataFrame  # see final_scores
    pairs: pd.DataFrame  # see pair_up
    cells: pd.DataFrame  # see cell_effects
    horizon: int | None  # pooled effects and win rates are taken there: see _horizon
    pooled: dict[str, Interval]  # by arm, on d over cell means; only arms with effects in two or more cells
    pair_wins: dict[str, WinRate]  # by arm, over the pairs of all cells
    cell_wins: dict[str, WinRate]  # by arm, over cell means


def improvement(d: float) -> float:
    """Relative improvement of Eq. 10, in per cent, of a log ratio d."""
    return float(100 * np.expm1(d))


def signed_percent(d: float) -> str:
    """Relative improvement of a log ratio as people read it, such as +28 % or −4.5 %."""
    percent = improvement(d)
    if not np.isfinite(percent):
        return "–"
    digits = 1 if 0.05 <= abs(percent) < 9.95 and percent != round(percent) else 0
    return f"{percent:+,.{digits}f} %".replace("-", "−") if abs(percent) >= 0.05 else "0 %"


def compare(results: Results) -> Comparison:
    """Scores, pairs and effects of all arms of a study against its baseline."""
    scores = final_scores(results)
    pairs = pair_up(scores, results.plan.baseline)
    cells = cell_effects(scores, pairs, results.plan.baseline)
    known = cells[np.isfinite(cells["d"].astype(float))]
    horizon = _horizon(cells)
    known = known[known["horizon"] == horizon]
    met = pairs[(pairs["state"] == "scored") & (pairs["horizon"] == horizon)]
    by_cell = {str(arm): rows["d"] for arm, rows in known.groupby("arm", sort=False)}
    by_pair = {str(arm): rows["d"] for arm, rows in met.groupby("arm", sort=False)}
    return Comparison(
        scores,
        pairs,
        cells,
        horizon,
        pooled={arm: t_interval(d) for arm, d in by_cell.items() if len(d) > 1},
        pair_wins={arm: win_rate(d) for arm, d in by_pair.items()},
        cell_wins={arm: win_rate(d) for arm, d in by_cell.items()},
    )


def _horizon(cells: pd.DataFrame) -> int | None:
    """The one horizon to pool at, as the horizons of one curve are nested.

    The longest at which every cell has an effect from half of the pairs it can have, so that the first at a new
    horizon does not replace a whole study; while there is none, the longest with any effect.
    """
    known = cells["d"].astype(float).notna()
    whole = (known & (2 * cells["pairs"] >= cells["planned"] - cells["failed"])).groupby(cells["horizon"]).all()
    longest = [*whole[whole].index] or [*cells.loc[known, "horizon"]]
    return int(max(longest)) if longest else None


def final_score(curve: pa.Table, horizon: int, window: int) -> tuple[str, dict[str, float]]:
    """State (scored | invalid | unscored) and mean metrics over the `window` epochs that end at `horizon`."""
    epoch = curve["epoch"]
    last = curve.filter(pc.and_(pc.greater(epoch, horizon - window), pc.less_equal(epoch, horizon)))
    # null means not scored and is skipped; NaN means scored and broken, and must not be
    scored = last.filter(pc.is_valid(last["mmd_v"]))
    mmd_v = scored["mmd_v"].to_numpy()
    if not len(mmd_v):
        return "unscored", {}
    if not (np.isfinite(mmd_v) & (mmd_v > 0)).all():
        return "invalid", {}
    means = {name: pc.mean(scored[name]).as_py() for name in METRICS}
    return "scored", {name: np.nan if mean is None else mean for name, mean in means.items()}


def final_scores(results: Results) -> pd.DataFrame:
    """One row per planned trial and horizon: the columns of SCORE.

    `state` is scored, a key of FAILURES or one of UNFINISHED; metrics are NaN unless it is scored. A horizon
    shorter than the study's window has a shorter window, from the first epoch on.
    """
    plan = results.plan
    rows = []
    for trial in plan.trials:
        curve = results.curves.get(trial.key)
        reached = pc.max(curve["epoch"]).as_py() or 0 if curve is not None else 0
        for horizon in plan.horizons:
            window = min(plan.window, horizon)
            state, metrics = results.status(trial.key), dict.fromkeys(METRICS, np.nan)
            if curve is not None and reached >= horizon:
                state, measured = final_score(curve, horizon, window)
                metrics |= measured
            elif state == "done":
                state = "pending"
            place = [trial.key, trial.arm, trial.cell_name, trial.replicate]
            rows.append([*place, horizon, window, state, *metrics.values()])
    return pd.DataFrame(rows, columns=SCORE)


def pair_up(scores: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """One row per pair that the plan holds: arm, cell, horizon, replicate, state, d and both trials' METRICS.

    The baseline's columns end in `_baseline`. `state` is scored, failed (either trial has a state of
    FAILURES) or unfinished; d is NaN unless it is scored.
    """
    place = ["cell", "horizon", "replicate"]
    ours = scores[scores["arm"] != baseline]
    theirs = scores.loc[scores["arm"] == baseline, [*place, "key", "state", *METRICS]]
    pairs = ours.merge(theirs, on=place, suffixes=("", "_baseline"))
    states = pairs[["state", "state_baseline"]]
    failed = states.isin(list(FAILURES)).any(axis=1)
    scored = (states == "scored").all(axis=1)
    pairs["state"] = np.select([scored, failed], ["scored", "failed"], "unfinished")
    pairs["d"] = np.log(pairs["mmd_v_baseline"].astype(float) / pairs["mmd_v"].astype(float))
    return pairs.drop(columns="state_baseline")


def cell_effects(scores: pd.DataFrame, pairs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """One row per arm, cell and horizon that arm and baseline have in common: the columns of EFFECT.

    d, low, high: mean log ratio and its t interval; planned, pairs, failed, unfinished: counts of pairs;
    correlation: of the two arms' log MMD over the pairs. mmd_v is a geometric mean, so that Eq. 10 of the two
    means is the improvement shown; mmd_u and the floors are plain means. Where the plan pairs no replicate
    the interval is Welch's over all scored trials and `paired` is False.
    """
    rows = []
    for place, ours in scores[scores["arm"] != baseline].groupby(["arm", "cell", "horizon"], sort=False):
        arm, cell, horizon = place
        here = (scores["cell"] == cell) & (scores["horizon"] == horizon)
        theirs = scores[here & (scores["arm"] == baseline)]
        planned = pairs[(pairs["arm"] == arm) & (pairs["cell"] == cell) & (pairs["horizon"] == horizon)]
        if len(theirs):
            effect = _effect(ours, theirs, planned)
            window = int(ours["window"].iloc[0])
            rows.append({"arm": arm, "cell": cell, "horizon": horizon, "window": window} | effect)
    return pd.DataFrame(rows, columns=EFFECT)


def _effect(ours: pd.DataFrame, theirs: pd.DataFrame, planned: pd.DataFrame) -> dict[str, float]:
    met = planned[planned["state"] == "scored"]
    arm, base = (trials[trials["state"] == "scored"].astype(_NUMBERS) for trials in (ours, theirs))
    if len(planned):
        arm, base = (trials[trials["replicate"].isin(met["replicate"])] for trials in (arm, base))
    q, b = np.log(arm["mmd_v"].to_numpy()), np.log(base["mmd_v"].to_numpy())
    if len(planned) and len(met):
        interval = t_interval(met["d"])
    elif not len(planned) and len(q) and len(b):
        interval = welch_interval(b, q)
    else:
        interval = Interval(np.nan, np.nan, np.nan, 0)
    both = pd.concat([arm, base])
    # fewer than three pairs always lie on a line
    varied = len(met) >= 3 and min(np.ptp(q), np.ptp(b)) > _ROUNDING
    order = np.argsort(arm["replicate"].to_numpy()), np.argsort(base["replicate"].to_numpy())
    return {
        "d": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "paired": len(planned) > 0,
        "planned": len(planned),
        "pairs": len(met),
        "failed": int((planned["state"] == "failed").sum()),
        "unfinished": int((planned["state"] == "unfinished").sum()),
        "correlation": float(np.corrcoef(q[order[0]], b[order[1]])[0, 1]) if varied else np.nan,
        "mmd_v": float(np.exp(q.mean())) if len(q) else np.nan,
        "mmd_v_baseline": float(np.exp(b.mean())) if len(b) else np.nan,
        "mmd_u": arm["mmd_u"].mean(),
        "mmd_u_baseline": base["mmd_u"].mean(),
        "floor_v": both["floor_v"].mean(),
        "floor_u": both["floor_u"].mean(),
    }


def win_rate(d: pd.Series) -> WinRate:
    """Wins (d > 0), losses and ties of log ratios, with Clopper-Pearson interval and exact two-sided p."""
    wins, losses, ties = int((d > 0).sum()), int((d < 0).sum()), int((d == 0).sum())
    low, high = clopper_pearson(wins, wins + losses)
    return WinRate(wins, losses, ties, low, high, binomial_p(wins, wins + losses))
