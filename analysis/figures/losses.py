"""The loss of every circuit that SPSA measured in the final trial."""

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from analysis.figures.style import blank, legend, styled
from analysis.ink import INK


def losses_figure(losses: pd.DataFrame, *, colour: str, update_epochs: list[int], title: str = "") -> Figure:
    """Loss (Eq. 6, measured) against evaluation; `losses` as `QpuRun.losses` gives them, one panel for all cycles."""
    with styled():
        figure = Figure(figsize=(7.2, 3.0), layout="constrained")
        axes = figure.add_subplot()
        axes.set(xlabel="SPSA evaluation (circuit)", ylabel="loss, mean of f (Eq. 6)", title=title)
        sns.despine(figure)
        if losses.empty:
            blank(axes, "no update event yet")
            return figure
        points = losses[losses["kind"] != "final"]
        axes.plot(points["evaluation"], points["loss"], ".", color=colour, markersize=3, alpha=0.5,
                  label="both points of an iteration")  # fmt: skip
        for number, (_, cycle) in enumerate(points.groupby("cycle")):
            pairs = cycle.groupby((cycle["evaluation"] - cycle["evaluation"].min()) // 2).mean(numeric_only=True)
            label = "" if number else "their mean"
            axes.plot(pairs["evaluation"], pairs["loss"], color=colour, linewidth=1.2, label=label)
        finals = losses[losses["kind"] == "final"]
        if len(finals):
            axes.plot(finals["evaluation"], finals["loss"], "D", color=INK, markersize=4, label="at the final theta")
        starts = losses.groupby("cycle")["evaluation"].min()
        for number, start in enumerate(starts):
            if number:
                axes.axvline(start - 0.5, color=INK, linewidth=0.6, linestyle=":")
            place: dict[str, Any] = {
                "xycoords": ("data", "axes fraction"),
                "xytext": (2, 1),
                "textcoords": "offset points",
            }
            axes.annotate(f"epoch {update_epochs[number]}", (start, 1.0), fontsize=7, color=INK, **place)
        legend(figure, axes)
        return figure
