"""What the answer of a study does not show, in plain sentences."""

from collections import Counter

import pandas as pd

from analysis.effects import Comparison
from analysis.inference import Interval
from analysis.power import smallest_p
from analysis.results import Results
from analysis.wording import interval_text, p_text, plural


def caveats(results: Results, comparison: Comparison) -> list[str]:
    """What the answer does not show, the most pressing first."""
    plan, said = results.plan, []
    cells = comparison.cells[comparison.cells["horizon"] == comparison.horizon]
    if comparison.horizon is not None:
        if comparison.horizon < max(plan.horizons):
            longest = comparison.cells[comparison.cells["horizon"] == max(plan.horizons)]
            there = int(longest["pairs"].sum())
            pairs = f"Only {there} of {int(longest['planned'].sum())} pairs have" if there else "No pair has"
            said.append(f"{pairs} reached the longest horizon, {max(plan.horizons)} epochs, yet.")
        if unfinished := int(cells["unfinished"].sum()):
            planned = int(cells["planned"].sum())
            said.append(f"{unfinished} of {planned} planned pairs are unfinished; the answer may change.")
        if failed := int(cells["failed"].sum()):
            said.append(
                f"{plural(failed, 'pair')} lost to failures; a failure that depends on the arm biases the answer."
            )
        said += _fragile(comparison)
        said += _few(comparison, cells.dropna(subset=["d"]))
        if (window := min(plan.window, comparison.horizon)) < plan.window:
            said.append(
                f"The final window is {window} epochs instead of {plan.window}: the horizon is shorter, so "
                "early training is averaged in."
            )
    places = Counter(trial.key for trial in plan.trials)
    if any(places[trial.key] > 1 for trial in plan.trials) and comparison.pooled:
        said.append("Cells share trials, so their effects are not independent and the pooled interval is narrow.")
    said += _several(comparison)
    said.append(
        "MMD is measured on pixels: it does not tell texture or orientation statistics, nor whether training "
        "images were memorised."
    )
    return said


def _few(comparison: Comparison, cells: pd.DataFrame) -> list[str]:
    said = []
    pairs = int(cells["pairs"].max())
    if 0 < pairs < 6:
        said.append(
            f"With at most {plural(pairs, 'pair')} in a cell no distribution-free test can reach p < 0.05 there "
            f"(smallest possible p {smallest_p(pairs):.2g}; six pairs can): the intervals trust that log MMD "
            "is normally distributed."
        )
    if not comparison.pooled:
        said.append("One cell says nothing about other latent dimensions or image counts.")
    elif (count := max(each.count for each in comparison.pooled.values())) < 6:
        said.append(f"{count} cells are few: a sign test over cells cannot go below p = {smallest_p(count):.2g}.")
    return said


def _fragile(comparison: Comparison) -> list[str]:
    """Pooled effects that a rival method would not call by the same name, or that a further cell may not share."""
    said = []
    for _, row in comparison.arms[comparison.arms["reason"] == ""].iterrows():
        if row["low"] <= 0 <= row["high"]:
            continue
        against = []
        if row["cells"] >= 6 and row["flip_p"] >= 0.05:
            against.append(f"the sign-flip test on its cells gives {p_text(row['flip_p'])}")
        if row["random_low"] <= 0 <= row["random_high"]:
            against.append("its random-effects interval holds 0")
        if against:
            said.append(f"The effect of {row['arm']} depends on the method: {' and '.join(against)}.")
        if row["prediction_low"] <= 0 <= row["prediction_high"]:
            further = Interval(row["d"], row["prediction_low"], row["prediction_high"], 0)
            said.append(f"A further cell may go either way for {row['arm']}: {interval_text(further)} (95 %).")
    return said


def _several(comparison: Comparison) -> list[str]:
    """What looking at several arms or cells at once costs."""
    said = []
    for arm in comparison.pools:
        cells = comparison.effects(arm)
        alone, together = int((cells["p"] < 0.05).sum()), int((cells["p_holm"] < 0.05).sum())
        if together < alone:
            said.append(
                f"{arm} differs from {comparison.baseline} in {plural(alone, 'cell')} taken one by one, and in "
                f"{together} after Holm's correction: do not quote the others."
            )
    if comparison.cells["arm"].nunique() > 1:
        arms = comparison.arms
        left = list(arms.loc[arms["p_holm"] < 0.05, "arm"])
        known = f"; after Holm's correction {', '.join(left) or 'none'} differ{'s' if len(left) < 2 else ''} from it"
        said.append(
            "The intervals of several arms are not corrected for the number of comparisons with "
            f"{comparison.baseline}{known if arms['p'].notna().any() else ''}."
        )
    return said
