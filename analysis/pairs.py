"""Pairs of trials and the effect of a cell: any positive value of a trial, an arm against the baseline.

symbol   meaning
d        log(value of the baseline / value of the arm), above 0 where the arm's value is lower, so better
"""

import numpy as np
import pandas as pd

from analysis.final_scores import FAILURES, METRICS
from analysis.inference import NO_INTERVAL, Interval, holm, t_interval, welch_interval

EFFECT = ["arm", "cell", "horizon", "window", "d", "low", "high", "error", "p", "p_holm"]
EFFECT += ["paired", "planned", "pairs", "failed", "unfinished", "correlation"]
EFFECT += ["mmd_v", "mmd_v_baseline", "mmd_u", "mmd_u_baseline", "floor_v", "floor_u", "reason"]
_ROUNDING = 1e-9  # a spread of log values below this is no spread


def pair_up(scores: pd.DataFrame, baseline: str, value: str = "mmd_v") -> pd.DataFrame:
    """One row per pair that the plan holds: an arm's and the baseline's trial of one cell, horizon and replicate.

    The columns of `scores`, once more for the baseline's trial with `_baseline`; `state` is scored, failed (either
    trial has a state of FAILURES) or unfinished; d is of `value` and NaN unless the pair is scored.
    """
    place = ["cell", "horizon", "replicate"]
    ours = scores[scores["arm"] != baseline]
    measured = [name for name in (*METRICS, value) if name in scores]
    theirs = scores.loc[scores["arm"] == baseline, [*place, "key", "state", *dict.fromkeys(measured)]]
    pairs = ours.merge(theirs, on=place, suffixes=("", "_baseline"))
    states = pairs[["state", "state_baseline"]]
    failed = states.isin(list(FAILURES)).any(axis=1)
    scored = (states == "scored").all(axis=1)
    pairs["state"] = np.select([scored, failed], ["scored", "failed"], "unfinished")
    d = np.log(pairs[f"{value}_baseline"].to_numpy(dtype=float) / pairs[value].to_numpy(dtype=float))
    pairs["d"] = np.where(scored, d, np.nan)
    return pairs.drop(columns="state_baseline")


def cell_effects(scores: pd.DataFrame, pairs: pd.DataFrame, baseline: str, value: str = "mmd_v") -> pd.DataFrame:
    """One row per arm, cell and horizon that arm and baseline have in common.

    arm, cell, horizon, window   as in `scores`
    d, low, high, error, p   mean of d over the pairs, its 95 % t interval, standard error and two-sided p;
                     Welch's over all scored trials where the plan pairs no replicate (`paired` is False)
    p_holm           p after Holm's correction over the cells of the arm at this horizon; of a shorter horizon too,
                     but horizons of one curve are nested: claim at one of them
    planned, pairs, failed, unfinished   counts of pairs: in the plan, scored, lost to a failure, still to come
    correlation      of the two arms' logs over the pairs; pairing helps where it is above 0; NaN below three pairs
    VALUE, VALUE_baseline   geometric means over the trials used, so that Eq. 10 of the two is the improvement
    mmd_u, mmd_u_baseline, floor_v, floor_u   plain means over them, where `scores` has them
    reason           why d or its interval is missing; empty where both are there
    """
    rows = []
    for place, ours in scores[scores["arm"] != baseline].groupby(["arm", "cell", "horizon"], sort=False):
        arm, cell, horizon = place
        here = (scores["cell"] == cell) & (scores["horizon"] == horizon)
        theirs = scores[here & (scores["arm"] == baseline)]
        planned = pairs[(pairs["arm"] == arm) & (pairs["cell"] == cell) & (pairs["horizon"] == horizon)]
        if len(theirs):
            effect = _effect(ours, theirs, planned, value)
            window = int(ours["window"].iloc[0])
            rows.append({"arm": arm, "cell": cell, "horizon": horizon, "window": window} | effect)
    table = pd.DataFrame(rows, columns=None if rows else EFFECT)
    table["p_holm"] = table.groupby(["arm", "horizon"], sort=False)["p"].transform(holm) if rows else table["p"]
    return table


def _effect(ours: pd.DataFrame, theirs: pd.DataFrame, planned: pd.DataFrame, value: str) -> dict[str, object]:
    met = planned[planned["state"] == "scored"]
    numbers = {name: float for name in (*METRICS, value) if name in ours}
    arm, base = (trials[trials["state"] == "scored"].astype(numbers) for trials in (ours, theirs))
    if len(planned):
        arm, base = (trials[trials["replicate"].isin(met["replicate"])] for trials in (arm, base))
    q, b = np.log(arm[value].to_numpy()), np.log(base[value].to_numpy())
    effect = NO_INTERVAL
    if len(planned) and len(met):
        effect = t_interval(met["d"])
    elif not len(planned) and len(q) and len(b):
        effect = welch_interval(b, q)
    plain = {}
    if "mmd_u" in numbers:
        both = pd.concat([arm, base])
        plain = {"mmd_u": arm["mmd_u"].mean(), "mmd_u_baseline": base["mmd_u"].mean()}
        plain |= {name: both[name].mean() for name in ("floor_v", "floor_u")}
    # fewer than three pairs always lie on a line
    varied = len(met) >= 3 and min(np.ptp(q), np.ptp(b)) > _ROUNDING
    order = np.argsort(arm["replicate"].to_numpy()), np.argsort(base["replicate"].to_numpy())
    failed, unfinished = (int((planned["state"] == state).sum()) for state in ("failed", "unfinished"))
    return {
        "d": effect.estimate,
        "low": effect.low,
        "high": effect.high,
        "error": effect.error,
        "p": effect.p,
        "p_holm": np.nan,
        "paired": len(planned) > 0,
        "planned": len(planned),
        "pairs": len(met),
        "failed": failed,
        "unfinished": unfinished,
        "correlation": float(np.corrcoef(q[order[0]], b[order[1]])[0, 1]) if varied else np.nan,
        value: float(np.exp(q.mean())) if len(q) else np.nan,
        f"{value}_baseline": float(np.exp(b.mean())) if len(b) else np.nan,
        **plain,
        "reason": _reason(effect, len(planned), failed, unfinished),
    }


def _reason(effect: Interval, planned: int, failed: int, unfinished: int) -> str:
    if np.isfinite(effect.low):
        return ""
    if np.isfinite(effect.estimate):
        return "one pair has no interval" if planned else "an arm with one trial has no interval"
    if not planned:
        return "no replicate is paired, and an arm has no scored trial"
    return f"no pair is scored: {failed} failed, {unfinished} unfinished"
