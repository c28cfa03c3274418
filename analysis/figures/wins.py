"""How often an arm beats the baseline."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from analysis.figures.style import REFERENCE, blank_figure, styled
from analysis.inference import binomial_p, clopper_pearson
from analysis.ink import INK
from analysis.published import Published
from analysis.wording import p_text


def wins_figure(
    frame: pd.DataFrame, *, colours: dict[str, str], published: tuple[str, Published] | None = None
) -> Figure:
    """Share of pairs and of cells that each arm wins, with its Clopper-Pearson interval and exact two-sided p.

    `frame`: arm, over (pairs | cells; other rows are not drawn), wins, losses, low, high (0 to 1), p. A published
    number of wins is a row of its own.
    """
    rows: list[tuple[str, int, int, float, float, float, str]] = []
    drawn = frame.loc[frame["over"].isin(["pairs", "cells"]), ["arm", "over", "wins", "losses", "low", "high", "p"]]
    for arm, over, wins, losses, low, high, p in drawn.to_numpy():
        if wins + losses:
            rows.append((f"{arm}\n{over}", wins, wins + losses, low, high, p, colours[arm]))
    if not rows:
        return blank_figure("No win rate yet: no pair of trials and no cell is decided.")
    if published and published[1].cells and published[1].wins is not None:
        wins, count = published[1].wins, published[1].cells
        label = f"published,\n{published[0]} cells"
        rows.append((label, wins, count, *clopper_pearson(wins, count), binomial_p(wins, count), REFERENCE))
    with styled():
        figure = Figure(figsize=(5.2, 0.8 + 0.44 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        for y, (_, wins, count, low, high, p, colour) in enumerate(rows):
            axes.barh(y, 100 * wins / count, 0.6, color=colour, alpha=0.55, linewidth=0)
            axes.hlines(y, 100 * low, 100 * high, INK, linewidth=1.4)
            axes.plot(100 * wins / count, y, "|", color=INK, ms=9, mew=1.6)
            axes.text(102, y, f"{wins} of {count}, {p_text(p)}", va="center", fontsize=8)
        axes.axvline(50, color=INK, linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(rows)), [row[0] for row in rows])
        axes.set(xlim=(0, 100), ylim=(len(rows) - 0.5, -0.5), xticks=[0, 25, 50, 75, 100])
        axes.set_xlabel("better than the baseline (%), 95 % interval; dotted: equal chances")
        axes.tick_params(axis="y", length=0)
        sns.despine(figure, left=True)
        return figure
