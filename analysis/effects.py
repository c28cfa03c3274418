"""Every arm against the baseline: Eq. 10 per cell, the pooled effect, win rates.

symbol   meaning
MMD_Q    final score of an arm's trial: mean mmd_v over the scored epochs of the final window
MMD_B    the same of the baseline's trial with the same replicate
d        log(MMD_B / MMD_Q), above 0 where the arm beats the baseline
Eq. 10   relative improvement (MMD_B - MMD_Q) / MMD_Q = exp(d) - 1; all inference is on d
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.errors import ResultsError, nearest
from analysis.final_scores import FAILURES, final_scores
from analysis.inference import Interval, binomial_p, clopper_pearson, holm
from analysis.pairs import cell_effects, pair_up
from analysis.pooling import Pooled, pool
from analysis.power import Spread, pilot
from analysis.results import Results

__all__ = [
    "FAILURES",
    "Comparison",
    "WinRate",
    "compare",
    "compare_scores",
    "improvement",
    "signed_percent",
    "win_rate",
]

ARM = ["arm", "baseline", "horizon", "cells", "planned", "pairs", "failed", "unfinished"]
ARM += ["d", "low", "high", "error", "p", "p_holm", "prediction_low", "prediction_high", "flip_p"]
ARM += ["tau", "random_d", "random_low", "random_high", "random_cells", "undecided", "reason"]
WIN = ["arm", "over", "wins", "losses", "ties", "rate", "low", "high", "p"]


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


@dataclass(frozen=True)
class Comparison:
    """Every arm against one baseline; every dictionary is by arm and taken at `horizon`."""

    baseline: str
    scores: pd.DataFrame  # see final_scores
    pairs: pd.DataFrame  # see pair_up
    cells: pd.DataFrame  # see cell_effects
    horizon: int | None  # of pooled effects and win rates: see _horizon
    pools: dict[str, Pooled]  # over cell means; only arms with effects in two or more cells
    pair_wins: dict[str, WinRate]  # over the pairs of all cells
    strict_wins: dict[str, WinRate]  # the same with pairs lost to a failure, of either trial, as losses of the arm
    cell_wins: dict[str, WinRate]  # over cell means

    @property
    def pooled(self) -> dict[str, Interval]:
        """The primary pooled effect: t interval of d over cell means."""
        return {arm: each.mean for arm, each in self.pools.items()}

    @property
    def arms(self) -> pd.DataFrame:
        """One row per arm other than the baseline, at `horizon`, in the order of the plan.

        cells, planned, pairs, failed, unfinished   cells with an effect; counts of pairs over all cells
        d, low, high, error, p   pooled effect: t interval over cell means; NaN with fewer than two cells
        p_holm                   p after Holm's correction over the arms
        prediction_low, prediction_high   where d of one more cell with as many pairs falls, 95 %
        flip_p                   exact two-sided p of the sign-flip test on cell means
        tau                      between-cell standard deviation of d (Paule-Mandel)
        random_d, random_low, random_high, random_cells   random-effects mean (Hartung-Knapp) and its cells
        undecided                cells whose d is closer to 0 than its standard error
        reason                   why there is no pooled effect; empty where there is one
        """
        arms = [str(arm) for arm in dict.fromkeys(self.scores["arm"]) if arm != self.baseline]
        table = pd.DataFrame([self._row(arm) for arm in arms], columns=ARM)
        table["p_holm"] = holm(table["p"].to_numpy(dtype=float))
        return table

    @property
    def wins(self) -> pd.DataFrame:
        """One row per arm and kind of win rate: arm, over, wins, losses, ties, rate, low, high, p.

        `over` is pairs, pairs with failures as losses (only where there are any), or cells; low and high are
        Clopper and Pearson's, p is the exact two-sided binomial test of equal chances.
        """
        kinds = {"pairs": self.pair_wins, "pairs with failures as losses": self.strict_wins, "cells": self.cell_wins}
        rows = []
        for arm in dict.fromkeys(self.scores["arm"]):
            for over, rates in kinds.items():
                if (each := rates.get(arm)) is None or (rates is self.strict_wins and each == self.pair_wins.get(arm)):
                    continue
                share = each.wins / each.count if each.count else np.nan
                rows.append([arm, over, each.wins, each.losses, each.ties, share, each.low, each.high, each.p])
        return pd.DataFrame(rows, columns=WIN)

    def effects(self, arm: str) -> pd.DataFrame:
        """The rows of `cells` where an arm has an effect at `horizon`."""
        return _known(self.cells[self.cells["arm"] == arm], self.horizon)

    def spread(self, arm: str) -> Spread:
        """s, rho and tau of log MMD at `horizon`, to plan the next study with; ValueError with too few pairs."""
        met = self.pairs[(self.pairs["arm"] == arm) & (self.pairs["horizon"] == self.horizon)]
        cells = met[met["state"] == "scored"].groupby("cell", sort=False)
        return pilot(rows[["mmd_v_baseline", "mmd_v"]].to_numpy(dtype=float) for _, rows in cells)

    def _row(self, arm: str) -> dict[str, object]:
        here = self.cells[(self.cells["arm"] == arm) & (self.cells["horizon"] == self.horizon)]
        known = self.effects(arm)
        row: dict[str, object] = {"arm": arm, "baseline": self.baseline, "horizon": self.horizon, "cells": len(known)}
        row |= {name: int(here[name].sum()) for name in ("planned", "pairs", "failed", "unfinished")}
        row["undecided"] = int((known["d"].abs() < known["error"]).sum())
        if arm not in self.pools:
            return row | {"random_cells": 0, "reason": self._reason(arm, len(known))}
        each = self.pools[arm]
        mean, random = each.mean, each.random
        row |= {"d": mean.estimate, "low": mean.low, "high": mean.high, "error": mean.error, "p": mean.p}
        row |= {"prediction_low": each.prediction[0], "prediction_high": each.prediction[1], "flip_p": each.flip_p}
        row |= {"tau": each.tau, "random_d": random.estimate, "random_low": random.low, "random_high": random.high}
        return row | {"random_cells": random.count, "reason": ""}

    def _reason(self, arm: str, known: int) -> str:
        if not (self.cells["arm"] == arm).any():
            return f"no cell in common with {self.baseline}"
        if self.horizon is None:
            return "no pair of trials is scored"
        if not known:
            return f"no pair of trials is scored at {self.horizon} epochs"
        return "an effect in one cell is not pooled"


def improvement(d: float) -> float:
    """Relative improvement of Eq. 10, in per cent, of a log ratio d."""
    return float(100 * np.expm1(d))


def signed_percent(d: float, digits: int | None = None) -> str:
    """Relative improvement of a log ratio as people read it, such as +28 % or −4.5 %; None chooses the digits."""
    percent = improvement(d)
    if not np.isfinite(percent):
        return "–"
    if digits is None:
        digits = 1 if 0.05 <= abs(percent) < 9.95 and percent != round(percent) else 0
    return f"{percent:+,.{digits}f} %".replace("-", "−") if abs(percent) >= 0.05 else "0 %"


def compare(results: Results, baseline: str | None = None) -> Comparison:
    """All arms of a study against its baseline, or against any other arm of it.

    Raises ResultsError where the study has no such arm.
    """
    return compare_scores(final_scores(results), known_arm(results, baseline))


def known_arm(results: Results, arm: str | None) -> str:
    """The arm, if the study has it, and the study's baseline for None."""
    if arm is None:
        return results.plan.baseline
    if arm not in results.plan.arms:
        known = results.plan.arms
        raise ResultsError(
            f"{arm}: {results.plan.study} has no such arm{nearest(arm, known)}; it has: {', '.join(known)}"
        )
    return arm


def compare_scores(scores: pd.DataFrame, baseline: str, value: str = "mmd_v") -> Comparison:
    """All arms of a frame of scores (see final_scores) against one of them, by the positive column `value`."""
    pairs = pair_up(scores, baseline, value)
    cells = cell_effects(scores, pairs, baseline, value)
    horizon = _horizon(cells)
    ended = pairs[(pairs["horizon"] == horizon) & pairs["state"].isin(["scored", "failed"])]
    met = ended[ended["state"] == "scored"]
    by_cell = {str(arm): rows for arm, rows in _known(cells, horizon).groupby("arm", sort=False)}
    return Comparison(
        baseline,
        scores,
        pairs,
        cells,
        horizon,
        pools={arm: pool(rows["d"], rows["error"]) for arm, rows in by_cell.items() if len(rows) > 1},
        pair_wins={str(arm): win_rate(rows["d"]) for arm, rows in met.groupby("arm", sort=False)},
        strict_wins={str(arm): win_rate(rows["d"].fillna(-1.0)) for arm, rows in ended.groupby("arm", sort=False)},
        cell_wins={arm: win_rate(rows["d"]) for arm, rows in by_cell.items()},
    )


def _known(cells: pd.DataFrame, horizon: int | None) -> pd.DataFrame:
    known: pd.DataFrame = cells[(cells["horizon"] == horizon) & np.isfinite(cells["d"].astype(float))]
    return known


def _horizon(cells: pd.DataFrame) -> int | None:
    """The one horizon to pool at, as the horizons of one curve are nested.

    The longest at which every cell has an effect from half of the pairs it can have (an interval, where nothing is
    paired), so that the first at a new horizon does not replace a whole study; while there is none, the longest with
    any effect. A cell that lost all its pairs to failures holds back none.
    """
    known = cells["d"].astype(float).notna()
    hopeless = (cells["planned"] > 0) & (cells["failed"] == cells["planned"])
    half = 2 * cells["pairs"] >= cells["planned"] - cells["failed"]
    enough = known & half.where(cells["paired"].astype(bool), cells["low"].astype(float).notna())
    whole = (enough | hopeless).groupby(cells["horizon"]).all() & known.groupby(cells["horizon"]).any()
    longest = [*whole[whole].index] or [*cells.loc[known, "horizon"]]
    return int(max(longest)) if longest else None


def win_rate(d: pd.Series) -> WinRate:
    """Wins (d > 0), losses and ties of log ratios, with Clopper-Pearson interval and exact two-sided p."""
    wins, losses, ties = int((d > 0).sum()), int((d < 0).sum()), int((d == 0).sum())
    low, high = clopper_pearson(wins, wins + losses)
    return WinRate(wins, losses, ties, low, high, binomial_p(wins, wins + losses))
