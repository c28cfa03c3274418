"""The gradient laboratory: how far estimates of dL/dtheta lie from the exact gradient, and what they cost."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import blank_figure, panels, styled
from analysis.ink import INK

FINITE, SHIFT, EXACT = "finite difference", "parameter shift", "exact"
# Okabe and Ito: estimators are not arms, and have colours of their own; the exact one has the page's ink
_BLUE, _RED, _GREEN, _ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
_LINES = (":", "--", "-")
_MARKERS = ("o", "s", "^", "v", "P")


def gradients_figure(frame: pd.DataFrame) -> Figure:
    """Bias and noise of Eq. 8 against its step, and the cosine to the exact gradient against the codes measured.

    `frame`: one row per estimator and shots, as `benchmarks/gradients.py` measures them: estimator, epsilon (radians,
    missing but for finite differences), directions (SPSA only), shots (missing: from probabilities), bias (%), noise
    (of one slope), slope (root mean square of the exact slopes, in the unit of noise), cosine, codes.
    """
    if frame.empty:
        return blank_figure("No estimator was measured.")
    with styled():
        figure, (left, right) = panels(["Error of Eq. 8 against its step", "Direction against cost"], (4.6, 4.0))
        _errors(left, frame)
        _cosines(right, frame[frame["codes"].astype(float) > 0])
        return figure


def _errors(axes: Axes, frame: pd.DataFrame) -> None:
    finite = frame[frame["estimator"] == FINITE].sort_values("epsilon")
    shots = sorted(finite["shots"].dropna().unique())
    for each, line in zip(shots, _LINES * len(shots), strict=False):
        here = finite[finite["shots"] == each]
        axes.plot(here["epsilon"], here["noise"] / here["slope"], "o" + line, color=_BLUE, ms=5,
                  label=f"noise of Eq. 8, {each:,.0f} shots")  # fmt: skip
    shift = frame[(frame["estimator"] == SHIFT) & frame["shots"].notna()]
    axes.plot(np.full(len(shift), np.pi / 2), shift["noise"] / shift["slope"], "D", color=_RED, ms=6,
              label="noise of the shift rule, same shots")  # fmt: skip
    exact = finite[finite["shots"].isna()]
    axes.plot(exact["epsilon"], -exact["bias"] / 100, "s", color=_GREEN, ms=5, label="bias of Eq. 8")
    smallest = float(finite["epsilon"].min()) if len(finite) else 0.01
    steps = np.geomspace(smallest, np.pi, 200)
    axes.plot(steps, 1 - np.sin(steps) / steps, color=_GREEN, label=r"$1 - \sin\epsilon\,/\,\epsilon$")
    axes.set(xscale="log", yscale="log", ylim=(1e-5, 1e5), xlabel=r"step $\epsilon$ (radians)")
    axes.set_ylabel("error / root mean square slope")
    axes.legend(fontsize=8, loc="upper right", labelspacing=0.3)


def _cosines(axes: Axes, frame: pd.DataFrame) -> None:
    rows = frame.assign(directions=frame["directions"].astype(float), epsilon=frame["epsilon"].astype(float))
    grouped = rows.groupby(["estimator", "epsilon", "directions"], dropna=False, sort=False)
    markers = dict.fromkeys(["SPSA", FINITE], 0)
    for _, unsorted in grouped:
        here = unsorted.sort_values("codes")
        name, epsilon, directions = here[["estimator", "epsilon", "directions"]].iloc[0]
        label, style, colour, marker = name, "-", _RED, "D"
        if name == FINITE:
            label, colour = rf"Eq. 8, $\epsilon$ = {epsilon:.3g}", _BLUE
        elif name == "SPSA":
            label, colour = f"SPSA, {directions:.0f} direction{'s' if directions > 1 else ''}", _ORANGE
        elif name == EXACT:
            label, style, colour, marker = "exact, sampled", "", INK, "s"
        if name in markers:
            marker = _MARKERS[markers[name] % len(_MARKERS)]
            markers[name] += 1
        axes.plot(here["codes"], here["cosine"], marker + style, color=colour, ms=5, linewidth=1.2, label=label)
    axes.set(xscale="log", ylim=(-0.05, 1.03), xlabel="codes measured for one gradient (count)")
    axes.set_ylabel("cosine to the exact gradient")
    figure = axes.get_figure()
    assert figure is not None
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
