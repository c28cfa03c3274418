"""Pairs of trials and the effect of a cell: any positive value of a trial, an arm against the baseline.

symbol   meaning
d        log(value of the baseline / value of the arm), above 0 where the arm's value is lower, so better
"""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.final_scores import FAILURES, METRICS, known_means
from analysis.inference import NO_INTERVAL, Interval, holm, t_interval, welch_interval

EFFECT = ["arm", "cell", "horizon", "window", "d", "low", "high", "error", "p", "p_holm"]
EFFECT += ["paired", "planned", "pairs", "failed", "unfinished", "correlation"]
EFFECT += ["mmd_v", "mmd_v_baseline", "mmd_u", "mmd_u_baseline", "floor_v", "floor_u", "reason"]
_PLACE = ["arm", "cell", "horizon"]
_Values = Mapping[str, NDArray[np.float64]]  # by column, one per trial
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
    measured = [name for name in dict.fromkeys((*METRICS, value)) if name in scores]
    # arrays and row numbers, cut once: frames cut once per cell take ten times as long
    trials = {name: scores[name].to_numpy(dtype=float) for name in measured}
    joint = [*measured, *(f"{name}_baseline" for name in measured), "d"]
    paired = {name: pairs[name].to_numpy(dtype=float) for name in joint}
    scored, states = scores["state"].to_numpy() == "scored", pairs["state"].to_numpy()
    of_trials, of_pairs = (frame.groupby(_PLACE, sort=False).indices for frame in (scores, pairs))
    nothing = np.array([], dtype=int)
    rows = []
    for arm, cell, horizon, window in scores.drop_duplicates(_PLACE)[[*_PLACE, "window"]].itertuples(index=False):
        theirs = of_trials.get((baseline, cell, horizon))
        if arm == baseline or theirs is None:
            continue
        planned = of_pairs.get((arm, cell, horizon), nothing)
        counts = Counter(states[planned])
        if len(planned):
            met = planned[states[planned] == "scored"]
            ours = {name: paired[name][met] for name in measured}
            base = {name: paired[f"{name}_baseline"][met] for name in measured}
            effect = t_interval(paired["d"][met]) if len(met) else NO_INTERVAL
        else:
            mine = of_trials[arm, cell, horizon]
            ours, base = ({name: trials[name][at[scored[at]]] for name in measured} for at in (mine, theirs))
            both = len(ours[value]) and len(base[value])
            effect = welch_interval(np.log(base[value]), np.log(ours[value])) if both else NO_INTERVAL
        place = {"arm": arm, "cell": cell, "horizon": horizon, "window": int(window)}
        rows.append(place | _effect(effect, ours, base, value, len(planned), counts))
    table = pd.DataFrame(rows, columns=None if rows else EFFECT)
    table["p_holm"] = table.groupby(["arm", "horizon"], sort=False)["p"].transform(holm) if rows else table["p"]
    return table


def _effect(
    effect: Interval, ours: _Values, base: _Values, value: str, planned: int, counts: Counter[str]
) -> dict[str, object]:
    """The row of one cell; `ours` and `base` are of the trials used, in the same order where they are paired."""
    q, b = np.log(ours[value]), np.log(base[value])
    pairs, failed, unfinished = (counts[state] for state in ("scored", "failed", "unfinished"))
    plain = {}
    if "mmd_u" in ours:
        plain = {"mmd_u": known_means(ours["mmd_u"]), "mmd_u_baseline": known_means(base["mmd_u"])}
        plain |= {name: known_means(np.concatenate([ours[name], base[name]])) for name in ("floor_v", "floor_u")}
    # fewer than three pairs always lie on a line
    varied = pairs >= 3 and min(np.ptp(q), np.ptp(b)) > _ROUNDING
    return {
        "d": effect.estimate,
        "low": effect.low,
        "high": effect.high,
        "error": effect.error,
        "p": effect.p,
        "p_holm": np.nan,
        "paired": planned > 0,
        "planned": planned,
        "pairs": pairs,
        "failed": failed,
        "unfinished": unfinished,
        "correlation": float(np.corrcoef(q, b)[0, 1]) if varied else np.nan,
        value: float(np.exp(q.mean())) if len(q) else np.nan,
        f"{value}_baseline": float(np.exp(b.mean())) if len(b) else np.nan,
        **plain,
        "reason": _reason(effect, planned, pairs, failed, unfinished),
    }


def _reason(effect: Interval, planned: int, pairs: int, failed: int, unfinished: int) -> str:
    if np.isfinite(effect.low):
        return ""
    if np.isfinite(effect.estimate):
        if pairs > 1:
            return f"{pairs} pairs with the same d have no interval"
        return "one pair has no interval" if planned else "an arm with one trial has no interval"
    if not planned:
        return "no replicate is paired, and an arm has no scored trial"
    return f"no pair is scored: {failed} failed, {unfinished} unfinished"
