"""The answer of a study in plain sentences: who beats whom, how sure, and what it does not show."""

from collections import Counter

import numpy as np
import pandas as pd

from analysis.effects import Comparison, WinRate, compare, signed_percent
from analysis.inference import Interval, smallest_p
from analysis.results import Results

SUMMARY_CELLS = 4


def answers(results: Results, comparison: Comparison) -> list[str]:
    """One sentence per arm other than the baseline; where nothing can be compared, one that says why."""
    baseline = results.plan.baseline
    rivals = [arm for arm in results.plan.arms if arm != baseline]
    if not rivals:
        return [f"No comparison: the study has one arm, {baseline}; add another arm to the study file."]
    if comparison.cells.empty:
        return [f"No comparison: the baseline {baseline} has no cell in common with another arm."]
    if comparison.horizon is None:
        return [
            f"No answer yet: no pair of trials is scored at {min(results.plan.horizons)} epochs"
            f" ({trial_counts(results)})."
        ]
    return [_answer(arm, baseline, comparison) for arm in rivals]


def _answer(arm: str, baseline: str, comparison: Comparison) -> str:
    cells = effects_of(comparison, arm)
    if cells.empty:
        return f"No answer yet for {arm}: none of its pairs is scored at {comparison.horizon} epochs."
    first = cells.iloc[0]
    pairs = int(cells["pairs"].sum())
    counted = plural(pairs, "pair") if pairs else "unpaired trials"
    if arm in comparison.pooled:
        effect, where = comparison.pooled[arm], f"over {len(cells)} cells and {counted}"
    else:
        effect = Interval(first["d"], first["low"], first["high"], pairs)
        where = f"over {counted} of one cell ({first['cell']})"
    size = f"relative improvement {signed_percent(effect.estimate)}"
    at = f"at {comparison.horizon} epochs"
    if not np.isfinite(effect.low):
        return f"One pair says little about {arm} against {baseline}: {size}, with no interval, {where} {at}."
    if effect.low > 0:
        verdict = f"{arm} beats {baseline}"
    elif effect.high < 0:
        verdict = f"{baseline} beats {arm}"
    else:
        verdict = f"{arm} and {baseline} cannot be told apart"
    return f"{verdict}: {size} (95 % interval {interval_text(effect)}) {where} {at}."


def caveats(results: Results, comparison: Comparison) -> list[str]:
    """What the answer does not show, the most pressing first."""
    plan, said = results.plan, []
    cells = comparison.cells[comparison.cells["horizon"] == comparison.horizon]
    if comparison.horizon is not None:
        if comparison.horizon < max(plan.horizons):
            said.append(f"No pair has reached the longest horizon, {max(plan.horizons)} epochs, yet.")
        if unfinished := int(cells["unfinished"].sum()):
            planned = int(cells["planned"].sum())
            said.append(f"{unfinished} of {planned} planned pairs are unfinished; the answer may change.")
        if failed := int(cells["failed"].sum()):
            said.append(
                f"{plural(failed, 'pair')} lost to failures; a failure that depends on the arm biases the answer."
            )
        said += _few(comparison, cells.dropna(subset=["d"]))
        if (window := min(plan.window, comparison.horizon)) < plan.window:
            said.append(
                f"The final window is {window} epochs instead of {plan.window}: the horizon is shorter, so "
                "early training is averaged in."
            )
    places = Counter(trial.key for trial in plan.trials)
    if any(places[trial.key] > 1 for trial in plan.trials) and comparison.pooled:
        said.append("Cells share trials, so their effects are not independent and the pooled interval is narrow.")
    if comparison.cells["arm"].nunique() > 1:
        said.append("The intervals of several arms are not corrected for the number of comparisons.")
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


def effects_of(comparison: Comparison, arm: str) -> pd.DataFrame:
    """The cells where an arm has an effect, at the horizon of the answer."""
    cells = comparison.cells
    here: pd.DataFrame = cells[(cells["arm"] == arm) & (cells["horizon"] == comparison.horizon)]
    return here.dropna(subset=["d"])


def plural(count: int, noun: str) -> str:
    """1 pair, 2 pairs."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def interval_text(effect: Interval) -> str:
    """The interval of a log ratio in per cent, such as +12 % to +40 %."""
    if not np.isfinite(effect.low):
        return "none"
    return f"{signed_percent(effect.low)} to {signed_percent(effect.high)}"


def win_text(rate: WinRate, noun: str) -> str:
    """Wins with their exact interval and p, such as 7 of 10 cells (95 % interval 35 % to 93 %, p = 0.34)."""
    if not rate.count:
        return f"no decided {noun}"
    ties = f", {plural(rate.ties, 'tie')} left out" if rate.ties else ""
    return (
        f"{rate.wins} of {plural(rate.count, noun)} (95 % interval {100 * rate.low:.0f} % to "
        f"{100 * rate.high:.0f} %, two-sided p {'< 0.001' if rate.p < 0.001 else f'= {rate.p:.2g}'}{ties})"
    )


def trial_counts(results: Results) -> str:
    """How many of the study's trials are where, such as 12 of 18 trials done, 1 failed, 5 pending."""
    keys = dict.fromkeys(trial.key for trial in results.plan.trials)
    counts = Counter(results.status(key) for key in keys)
    rest = [f"{counts[name]} {name}" for name in ("failed", "damaged", "running", "pending") if counts[name]]
    return ", ".join([f"{counts['done']} of {plural(len(keys), 'trial')} done", *rest])


def summary(results: Results) -> str:
    """Three to ten plain lines for a terminal: the answer, the effect per cell, the win rate, the trials."""
    comparison = compare(results)
    lines = [f"{results.plan.study}: {trial_counts(results)}"]
    for sentence in answers(results, comparison)[:2]:
        lines.append(sentence)
    for arm in list(comparison.cell_wins)[:1]:
        cells = effects_of(comparison, arm)
        for _, cell in cells.head(SUMMARY_CELLS).iterrows():
            effect = Interval(cell["d"], cell["low"], cell["high"], cell["pairs"])
            lines.append(
                f"  {cell['cell']}: {arm} {signed_percent(cell['d'])} (95 % interval {interval_text(effect)}), "
                f"{cell['pairs']} of {plural(cell['planned'], 'pair')}"
            )
        if len(cells) > SUMMARY_CELLS:
            lines.append(f"  and {plural(len(cells) - SUMMARY_CELLS, 'more cell')}: see the report")
        if arm in comparison.pair_wins:
            lines.append(f"  win rate: {arm} wins {win_text(comparison.pair_wins[arm], 'pair')}")
        if arm in comparison.cell_wins and len(comparison.cells["cell"].unique()) > 1:
            lines.append(f"  over cells: {arm} wins {win_text(comparison.cell_wins[arm], 'cell')}")
    lines.append(f"Not shown by this: {caveats(results, comparison)[0]}")
    return "\n".join(lines)
