"""What training does to a prior: the entropy of its codes over time, and the steps that change it."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import PANEL, blank, blank_figure, epoch_axis, legend, panels, styled, thin
from analysis.ink import INK

_STEPS = 100  # drawn of each line: the paper has 3 or 10
_DOTTED = 60  # events of which each has a dot of its own


def entropy_figure(frame: pd.DataFrame, *, colours: dict[str, str], last: int) -> Figure:
    """Entropy of each trained prior's codes against epoch, in bits, one panel per cell.

    `frame`: one row per update event: arm, cell, latent_dim (missing where unknown), replicate, epoch, reached (last
    epoch of the trial), entropy_bits. Dots are update events; the entropy then stays until the next. Thin: one
    replicate; thick: mean of those that came furthest. Dotted: n bits, where all codes are equally likely. The axis
    ends at `last` epochs.
    """
    known = frame[np.isfinite(frame["entropy_bits"].astype(float))]
    if known.empty:
        return blank_figure("No code entropy yet: no arm has trained its prior.")
    cells = list(dict.fromkeys(frame["cell"]))
    with styled():
        figure, grid = panels(cells, PANEL if len(cells) == 1 else (3.8, 2.7))
        for axes, cell in zip(grid, cells, strict=True):
            here = known[known["cell"] == cell]
            epoch_axis(axes, last)
            axes.set_ylabel("entropy of the codes (bits)")
            if here.empty:
                blank(axes, "no trained prior")
                continue
            for arm, colour in colours.items():
                if (here["arm"] == arm).any():
                    _draw(axes, here[here["arm"] == arm], arm, colour)
            bits = here["latent_dim"].dropna()
            if len(bits):
                axes.axhline(float(bits.iloc[0]), color=INK, linestyle=":", linewidth=1.2, label="n bits")
            axes.margins(y=0.08)
        legend(figure, *grid)
        return figure


def _draw(axes: Axes, here: pd.DataFrame, arm: str, colour: str) -> None:
    table = here.pivot(index="epoch", columns="replicate", values="entropy_bits").astype(float)
    reached = here.groupby("replicate")["reached"].max()
    # a prior that is not updated stays as it is, as long as its trial goes on
    held = table.reindex(sorted({*table.index, *reached})).ffill()
    held = held.iloc[thin(len(held), _STEPS)]
    held = held.where(held.index.to_numpy()[:, None] <= reached.loc[held.columns].to_numpy())
    axes.step(held.index, held, where="post", color=colour, alpha=0.35, linewidth=0.7)
    furthest = held.loc[:, reached.loc[held.columns] == reached.max()]
    axes.step(furthest.index, furthest.mean(axis=1), where="post", color=colour, linewidth=1.8, label=arm)
    if len(table) <= _DOTTED:
        axes.plot(table.index, furthest.mean(axis=1).loc[table.index], ".", color=colour, ms=6)
