"""The answer of a study in plain sentences: who beats whom, and how sure."""

from collections import Counter

import numpy as np

from analysis.caveats import caveats
from analysis.convergence import compare_area, compare_epochs
from analysis.effects import Comparison, compare, signed_percent
from analysis.inference import Interval
from analysis.results import Results
from analysis.single_run import place_single_runs, single_arms
from analysis.wording import interval_text, p_text, plural, win_text

__all__ = [
    "answers",
    "caveats",
    "convergence_answers",
    "interval_text",
    "plural",
    "sensitivity",
    "summary",
    "trial_counts",
    "win_text",
]

SUMMARY_CELLS = 4


def answers(results: Results, comparison: Comparison) -> list[str]:
    """One sentence per arm other than the baseline; where nothing can be compared, one that says why."""
    baseline = comparison.baseline
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
    single = single_arms(comparison.scores, baseline)
    return [
        _single_answer(arm, comparison)
        if arm in single and len(comparison.effects(arm)) == 1
        else _answer(arm, comparison, f"{arm} beats {baseline}", f"{baseline} beats {arm}")
        for arm in rivals
    ]


def convergence_answers(results: Results, *, threshold: float | None = None, baseline: str | None = None) -> list[str]:
    """Which arm trains faster, per arm: by the area under the log MMD curve and, given one, by epochs to a threshold.

    The threshold, an MMD, must have been declared before the curves were seen.
    """
    compared = [(compare_area(results, baseline), "averaged over all epochs")]
    if threshold is not None:
        compared.append((compare_epochs(results, threshold, baseline), f"in epochs to an MMD of {threshold:g}"))
    said = []
    for comparison, measure in compared:
        against = comparison.baseline
        for arm in dict.fromkeys(comparison.cells["arm"]) if comparison.horizon is not None else ():
            faster, slower = (f"{a} trains faster than {b} {measure}" for a, b in ((arm, against), (against, arm)))
            said.append(_answer(arm, comparison, faster, slower, of=measure))
    if threshold is not None and said:
        last = compared[1][0]
        here = last.scores[(last.scores["horizon"] == last.horizon) & (last.scores["state"] == "scored")]
        late = here.loc[~here["reached"].astype(bool), "arm"].value_counts()
        if len(late):
            whose = ", ".join(f"{arm} {count}" for arm, count in late.items())
            said.append(
                f"{late.sum()} of {plural(len(here), 'trial')} never reached an MMD of {threshold:g} ({whose}); each "
                "counts as one epoch past the horizon, the earliest it can have been, so effect and interval in epochs "
                "are not what longer training would show: an arm whose trials are late looks better here than it is."
            )
    return said or ["No answer yet on the speed of training: no pair of trials has whole curves."]


def _answer(arm: str, comparison: Comparison, better: str, worse: str, of: str = "") -> str:
    baseline, cells = comparison.baseline, comparison.effects(arm)
    if cells.empty:
        about = " ".join(["No answer yet for", arm, *filter(None, [of])])
        return f"{about}: none of its pairs is scored at {comparison.horizon} epochs."
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
        few = "Pairs that do not differ say" if pairs > 1 else f"One {'pair' if pairs else 'trial'} says"
        about = " ".join([f"{few} little about {arm} against {baseline}", *filter(None, [of])])
        return f"{about}: {size}, with no interval, {where} {at}."
    if effect.low > 0:
        verdict = better
    elif effect.high < 0:
        verdict = worse
    else:
        verdict = " ".join([f"{arm} and {baseline} cannot be told apart", *filter(None, [of])])
    return f"{verdict}: {size} (95 % interval {interval_text(effect)}) {where} {at}."


def _single_answer(arm: str, comparison: Comparison) -> str:
    runs = place_single_runs(comparison.scores, comparison.baseline)
    run = runs[(runs["arm"] == arm) & (runs["horizon"] == comparison.horizon)].iloc[0]
    others = f"{plural(int(run['count']), 'run')} of {comparison.baseline}"
    if not np.isfinite(run["d"]):
        return f"No answer yet for {arm}: {run['reason']} at {comparison.horizon} epochs."
    inside = "outside" if run["outside"] else "inside"
    interval = f"it lies {inside} the 95 % prediction interval of one more run" if not run["reason"] else run["reason"]
    return (
        f"One run of {arm} ranks {int(run['rank'])} of {run['count'] + 1} with {others} ({run['cell']}, "
        f"{comparison.horizon} epochs; two-sided exact {p_text(run['p'])}): relative improvement "
        f"{signed_percent(run['d'])} on their geometric mean; {interval}."
    )


def sensitivity(comparison: Comparison) -> list[str]:
    """What other methods say of every pooled effect, one sentence per arm; the t interval over cells stays primary."""
    said = []
    for _, row in comparison.arms[comparison.arms["reason"] == ""].iterrows():
        further = Interval(row["d"], row["prediction_low"], row["prediction_high"], 0)
        random = Interval(row["random_d"], row["random_low"], row["random_high"], 0)
        wins = comparison.cell_wins[row["arm"]]
        parts = [
            f"one more cell falls between {interval_text(further).replace(' to ', ' and ')} (95 %)",
            f"sign-flip test on cell means {p_text(row['flip_p'])}",
            f"random effects {signed_percent(random.estimate)} ({interval_text(random)}; between-cell SD of d "
            f"{row['tau']:.2g})"
            if np.isfinite(random.low)
            else "no random effects: fewer than two cells have a spread",
            f"lower MMD in {win_text(wins, 'cell')}",
        ]
        said.append(f"{row['arm']} against {comparison.baseline}: {'; '.join(parts)}.")
    return said


def trial_counts(results: Results) -> str:
    """How many of the study's trials are where, such as 12 of 18 trials done, 1 failed, 5 pending."""
    keys = dict.fromkeys(trial.key for trial in results.plan.trials)
    counts = Counter(results.status(key) for key in keys)
    rest = [f"{counts[name]} {name}" for name in ("failed", "damaged", "running", "pending") if counts[name]]
    return ", ".join([f"{counts['done']} of {plural(len(keys), 'trial')} done", *rest])


def summary(results: Results, baseline: str | None = None) -> str:
    """A few plain lines for a terminal: the trials, the answer, effects per cell and win rates of the first arm.

    At most two arms have an answer here, and SUMMARY_CELLS cells an effect: the report has them all.

    Raises ResultsError where the study has no arm of the baseline's name.
    """
    comparison = compare(results, baseline)
    lines = [f"{results.plan.study}: {trial_counts(results)}"]
    for sentence in answers(results, comparison)[:2]:
        lines.append(sentence)
    for arm in list(comparison.cell_wins)[:1]:
        cells = comparison.effects(arm)
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
