"""Numbers as people read them: counts, intervals in per cent, win rates, p values."""

import numpy as np

from analysis.effects import WinRate, signed_percent
from analysis.inference import Interval


def plural(count: int, noun: str) -> str:
    """1 pair, 2 pairs."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def interval_text(effect: Interval) -> str:
    """The interval of a log ratio in per cent, such as +12 % to +40 %."""
    if not np.isfinite(effect.low):
        return "none"
    ends = signed_percent(effect.low), signed_percent(effect.high)
    if ends[0] == ends[1]:  # a narrow interval shows its width
        ends = signed_percent(effect.low, 1), signed_percent(effect.high, 1)
    return f"{ends[0]} to {ends[1]}"


def win_text(rate: WinRate, noun: str) -> str:
    """Wins with their exact interval and p, such as 7 of 10 cells (95 % interval 35 % to 93 %, p = 0.34)."""
    if not rate.count:
        return f"no decided {noun}"
    ties = f", {plural(rate.ties, 'tie')} left out" if rate.ties else ""
    return (
        f"{rate.wins} of {plural(rate.count, noun)} (95 % interval {100 * rate.low:.0f} % to "
        f"{100 * rate.high:.0f} %, two-sided {p_text(rate.p)}{ties})"
    )


def p_text(p: float) -> str:
    """p = 0.34, or p < 0.001."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def chance_text(p: float) -> str:
    """The same in a table's column of p: 0.34, < 0.001, or a dash where it is not known."""
    return p_text(p).removeprefix("p ").removeprefix("= ") if p == p else "–"
