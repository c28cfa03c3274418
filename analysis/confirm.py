"""Select and confirm: cells picked because they looked good are quoted only on fresh replicates.

The best of many cells looks better than it is on the replicates it was picked by. `select` picks; `confirm` takes
every trial that had a part in picking out of the fresh scores, so that none can be quoted twice.
"""

import numpy as np
import pandas as pd

from analysis.effects import compare_scores
from analysis.final_scores import final_scores
from analysis.inference import holm
from analysis.results import Results

SELECTION = ["arm", "cell", "horizon", "d", "planned", "pairs", "unfinished", "chosen"]
CONFIRMED = ["arm", "cell", "horizon", "d", "low", "high", "error", "p", "p_holm", "planned", "pairs", "failed"]
CONFIRMED += ["unfinished", "d_selection", "planned_selection", "pairs_selection", "unfinished_selection", "reason"]


def confirmed(results: Results) -> pd.DataFrame | None:
    """Every arm's best cells on fresh replicates, as the study file declares in `confirm:` (see `confirm`); else None.

    Replicates below `fresh_from` choose at the longest horizon that all of them can be compared at; Holm's correction
    is over the chosen cells of all arms.
    """
    plan = results.plan
    if plan.confirm is None:
        return None
    scores, baseline = final_scores(results), plan.baseline
    old = scores["replicate"] < plan.confirm["fresh_from"]
    seen, fresh = scores[old], scores[~old]
    rivals = [arm for arm in plan.arms if arm != baseline]
    chosen = [select(seen, baseline, arm=arm, count=plan.confirm["cells"]) for arm in rivals]
    return confirm(pd.concat(chosen, ignore_index=True), seen, fresh, baseline) if chosen else None


def select(
    scores: pd.DataFrame, baseline: str, *, arm: str, count: int = 1, horizon: int | None = None
) -> pd.DataFrame:
    """The cells of `arm` by their d on these scores, the best first: see SELECTION.

    scores    see final_scores; those of the selecting replicates alone
    count     how many are chosen: fixed before the scores are seen
    horizon   epochs; None takes the one of the comparison
    Its d is for choosing only: it is biased upwards.
    """
    comparison = compare_scores(scores, baseline)
    cells = comparison.cells
    here = cells[(cells["arm"] == arm) & (cells["horizon"] == (horizon or comparison.horizon))].dropna(subset=["d"])
    # a tie is broken by name, so that the order of rows changes nothing
    ranked = here.sort_values(["d", "cell"], ascending=[False, True], ignore_index=True)
    return ranked.assign(chosen=ranked.index < count)[SELECTION]


def confirm(selection: pd.DataFrame, seen: pd.DataFrame, fresh: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """The effect of every chosen cell on fresh replicates alone.

    selection   frame of `select`
    seen        the scores it was made from; their trials, and any other of the same cell and replicate, are left out
    fresh       scores of the same study or of a later one, the seen trials among them or not

    arm, cell, horizon; d, low, high, error, p, planned, pairs, failed, unfinished as in cell_effects, fresh pairs only
    p_holm                         p after Holm's correction over the chosen cells
    d_selection, planned_selection, pairs_selection, unfinished_selection   what it was chosen by: not to be quoted;
                                   while pairs are unfinished, another cell may still be chosen
    reason                         why d or its interval is missing, else empty
    """
    chosen = selection[selection["chosen"].astype(bool)]
    old = set(seen[["cell", "replicate"]].itertuples(index=False, name=None))
    places = list(fresh[["cell", "replicate"]].itertuples(index=False, name=None))
    again = np.array([place in old for place in places], dtype=bool) | fresh["key"].isin(seen["key"]).to_numpy()
    cells = compare_scores(fresh[~again], baseline).cells
    picked = chosen.rename(columns={name: f"{name}_selection" for name in ("d", "planned", "pairs", "unfinished")})
    found = picked.merge(cells.drop(columns="p_holm"), on=["arm", "cell", "horizon"], how="left")
    counts = ["planned", "pairs", "failed", "unfinished"]
    found[counts] = found[counts].astype(float).fillna(0).astype(int)
    found["reason"] = found["reason"].fillna("no fresh replicate of this cell")
    found["p_holm"] = holm(found["p"].to_numpy(dtype=float))
    return found[CONFIRMED]
