"""The search of SPSA's gains: candidates by gain, importance, progress, and losses beside the calibration's."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis.figures.style import REFERENCE, blank, blank_figure, legend, panels, styled
from analysis.ink import INK

# Okabe and Ito: gains are not arms, and have colours of their own
_BEST, _CALIBRATED = "#D55E00", "#0072B2"
_NAMES = {  # what it is, symbol, unit
    "a": ("First step size", "$a$", ""),
    "c": ("First perturbation", "$c$", " (radians)"),
    "A": ("Stability constant", "$A$", " (iterations)"),
    "alpha": ("Decay of the step size", r"$\alpha$", ""),
    "gamma": ("Decay of the perturbation", r"$\gamma$", ""),
    "iterations": ("Length of a cycle", "iterations", ""),
}
_LOG = ("a", "c")


def slices_figure(candidates: pd.DataFrame, importance: dict[str, float], objective: str) -> Figure:
    """The objective against every gain that was searched, and the gains' importance.

    `candidates` is `analysis.tables.CANDIDATES`. Filled: evaluated on all seeds, with the standard error of the mean,
    later candidates darker; hollow: given up. Star: SPSA's own calibration; ring: the best.
    """
    known = candidates[candidates["objective"].notna()]
    if known.empty:
        return blank_figure("No candidate has a result yet.")
    searched = [name for name in _NAMES if candidates[name].nunique() > 1]
    with styled():
        figure, grid = panels([*(_NAMES[name][0] for name in searched), "Importance"], (4.4, 2.9))
        for axes, name in zip(grid, searched, strict=False):
            _slice(axes, known, name, objective)
        _importance(grid[-1], importance)
        legend(figure, *grid)
        return figure


def progress_figure(
    candidates: pd.DataFrame, cycles: pd.DataFrame, start_loss: float | None, objective: str, *, count_circuits: bool
) -> Figure:
    """The best mean so far, the losses of the best and the calibrated gains on fresh seeds, and what circuits buy.

    `cycles` is `analysis.tables.CYCLES`; `start_loss` is that of the codes before a cycle. The third panel is drawn
    where circuits were counted.
    """
    known = candidates[candidates["objective"].notna()]
    if known.empty:
        return blank_figure("No candidate has a result yet.")
    titles = ["Best so far", "Loss on fresh seeds", *(["Loss against circuits"] if count_circuits else [])]
    with styled():
        figure, grid = panels(titles)
        _progress(grid[0], known, objective)
        _losses(grid[1], cycles, start_loss)
        if count_circuits:
            _front(grid[2], known, objective)
        return figure


def _slice(axes: Axes, known: pd.DataFrame, name: str, objective: str) -> None:
    done, pruned = known[known["state"] == "done"], known[known["state"] == "pruned"]
    axes.errorbar(done[name], done["objective"], done["error"], fmt="none", ecolor=REFERENCE, elinewidth=0.8)
    sns.scatterplot(
        done, x=name, y="objective", hue="number", palette="crest", legend=False, ax=axes, s=28, linewidth=0, zorder=2
    )
    if len(pruned):
        axes.plot(pruned[name], pruned["objective"], "o", mfc="none", mec=REFERENCE, ms=4.5, label="given up")
    _marks(axes, known, name)
    axes.set(xlabel="".join(_NAMES[name][1:]), ylabel=f"{objective}, mean over seeds")
    if name in _LOG:
        axes.set_xscale("log")
        wide = known[name].max() > 100 * known[name].min()
        axes.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())


def _marks(axes: Axes, known: pd.DataFrame, name: str) -> None:
    """SPSA's own calibration and the best."""
    first, done = known[known["calibrated"]], known[known["state"] == "done"]
    axes.plot(first[name], first["objective"], "*", color=_CALIBRATED, ms=11, label="SPSA's own calibration", zorder=4)
    best = done.nsmallest(1, "objective")
    axes.plot(best[name], best["objective"], "o", mfc="none", mec=_BEST, mew=1.6, ms=9, label="best", zorder=4)


def _importance(axes: Axes, importance: dict[str, float]) -> None:
    if not importance:
        blank(axes, "too few candidates")
        return
    frame = pd.DataFrame({"gain": [*importance], "share": [*importance.values()]})
    frame = frame.assign(gain=[_NAMES[name][1] for name in frame["gain"]])
    sns.barplot(frame, x="share", y="gain", ax=axes, color=REFERENCE, width=0.6)
    axes.set(xlabel="share of what makes a candidate good (PED-ANOVA)", ylabel="")
    axes.tick_params(axis="y", length=0)


def _progress(axes: Axes, known: pd.DataFrame, objective: str) -> None:
    done, pruned = known[known["state"] == "done"], known[known["state"] == "pruned"]
    axes.errorbar(done["number"], done["objective"], done["error"], fmt="o", color=REFERENCE, ms=3.5, elinewidth=0.8,
                  label="candidate, standard error")  # fmt: skip
    if len(pruned):
        axes.plot(pruned["number"], pruned["objective"], "o", mfc="none", mec=REFERENCE, ms=4, label="given up")
    last = known["number"].max()
    best = done.set_index("number")["objective"].cummin().reindex(range(last + 1)).ffill()
    axes.step(best.index, best, where="post", color=_BEST, linewidth=1.8, label="best so far")
    first = known[known["calibrated"]]
    axes.plot(first["number"], first["objective"], "*", color=_CALIBRATED, ms=11, label="SPSA's own calibration")
    axes.set(xlabel="candidate", ylabel=f"{objective}, mean over seeds")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.legend(fontsize=8, labelspacing=0.3)


def _losses(axes: Axes, cycles: pd.DataFrame, start_loss: float | None) -> None:
    if cycles.empty:
        blank(axes, "the search has not come to its end")
        return
    # the two evaluations of an iteration lie on both sides of its theta
    last = cycles.groupby(["gains", "seed"])["evaluation"].transform("max")
    inner = cycles[cycles["evaluation"] < last]
    pairs = inner.assign(circuits=(inner["evaluation"] + 1) // 2 * 2)
    means = pairs.groupby(["gains", "seed", "circuits"], as_index=False)["loss"].mean()
    colours = {"best": _BEST, "calibrated": _CALIBRATED}
    sns.lineplot(means, x="circuits", y="loss", hue="gains", palette=colours, errorbar="se", ax=axes, linewidth=1.6)
    finals = cycles[cycles["evaluation"] == last].groupby("gains")
    for name, here in finals[["evaluation", "loss"]].agg({"evaluation": "max", "loss": ["mean", "sem"]}).iterrows():
        x, y, error = here.to_numpy(float)
        axes.errorbar([x], [y], [error], fmt="o", color=colours[str(name)], ms=5, capsize=2, label=f"{name}, final")
    if start_loss is not None:
        axes.axhline(start_loss, color=INK, linestyle=":", linewidth=1, label="before the cycle")
    axes.set(xlabel="circuits of the cycle", ylabel="loss (Eq. 6), mean and standard error", xlim=(0, None))
    axes.legend(fontsize=8, labelspacing=0.3)


def _front(axes: Axes, known: pd.DataFrame, objective: str) -> None:
    done = known[known["state"] == "done"]
    axes.errorbar(done["circuits"], done["objective"], done["error"], fmt="o", color=REFERENCE, ms=3.5, elinewidth=0.8,
                  label="candidate, standard error")  # fmt: skip
    front = done[done["on_front"]].sort_values("circuits")
    axes.step(front["circuits"], front["objective"], "o-", where="post", color=_BEST, ms=5, linewidth=1.6,
              label="no other is better in both")  # fmt: skip
    axes.set(xlabel="circuits of a cycle", ylabel=f"{objective}, mean over seeds")
    axes.legend(fontsize=8, labelspacing=0.3)
