"""What a study cost and lost: trials by state, and training time."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import blank, blank_figure, legend, panels, styled
from analysis.ink import INK

STATES = ("done", "running", "pending", "failed", "damaged")
# how solid a bar is and what lies over it: the colour is the arm's
_LOOK = {"done": (0.9, ""), "running": (0.45, ""), "pending": (0.15, ""), "failed": (0.25, "////"),
         "damaged": (0.25, "xxxx")}  # fmt: skip


def cost_figure(trials: pd.DataFrame, *, colours: dict[str, str]) -> Figure:
    """Trials of each arm by state, and the seconds an epoch took in each of its trials.

    `trials`: one row per planned trial: arm, cell, replicate, status, epoch, hours. The mark is the median; the text
    beside it says how many hours the arm took in all.
    """
    if trials.empty:
        return blank_figure("No trials: the plan is empty.")
    arms = [arm for arm in colours if (trials["arm"] == arm).any()]
    with styled():
        figure, (states, times) = panels(["Trials", "Training time"], (3.8, 1.2 + 0.34 * len(arms)))
        for y, arm in enumerate(arms):
            _draw_states(states, y, trials.loc[trials["arm"] == arm, "status"], colours[arm])
        for state in STATES:
            if (trials["status"] == state).any():
                solid, hatch = _LOOK[state]
                states.bar(0, 0, color=INK, alpha=max(solid, 0.12), hatch=hatch, linewidth=0, label=state)
        _rows(states, arms)
        states.set(xlabel="trials (count)", xlim=(0, None))
        timed = trials[trials["epoch"].astype(float) > 0]
        if timed["hours"].isna().all():
            blank(times, "no trial has trained yet")
        else:
            for y, arm in enumerate(arms):
                _draw_times(times, y, timed[timed["arm"] == arm], colours[arm])
            _rows(times, arms, names=False)
            times.set(xlabel="seconds per epoch; text: hours in all", xlim=(0, times.get_xlim()[1] * 1.25))
        legend(figure, states)
        return figure


def _draw_states(axes: Axes, y: int, status: pd.Series, colour: str) -> None:
    left = 0
    for state in STATES:
        if count := int((status == state).sum()):
            solid, hatch = _LOOK[state]
            axes.barh(y, count, 0.62, left=left, color=colour, alpha=solid, hatch=hatch, linewidth=0)
            axes.text(left + count / 2, y, str(count), ha="center", va="center", fontsize=8)
            left += count


def _draw_times(axes: Axes, y: int, trials: pd.DataFrame, colour: str) -> None:
    seconds = (3600 * trials["hours"] / trials["epoch"]).astype(float).dropna()
    if seconds.empty:
        return
    jitter = np.linspace(-0.2, 0.2, len(seconds)) if len(seconds) > 1 else np.zeros(1)
    axes.plot(seconds, y + jitter, "o", color=colour, alpha=0.5, ms=3.5, mew=0)
    axes.plot(seconds.median(), y, "|", color=INK, ms=14, mew=1.6)
    hours = f"{trials['hours'].sum():,.3g} h"
    axes.text(1.0, y, hours, transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=8)


def _rows(axes: Axes, arms: Sequence[str], names: bool = True) -> None:
    axes.set_yticks(range(len(arms)), arms if names else [""] * len(arms))
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
