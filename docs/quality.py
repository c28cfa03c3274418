"""The figure and table of docs/quality.md from the results of docs/quality.yaml.

study run docs/quality.yaml
python docs/quality.py results/quality docs
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
import pyarrow.parquet as pq
import seaborn as sns
from scipy.stats import spearmanr

from analysis import load
from analysis.quality import QUALITY

CODES = ("code_fidelity", "code_rate", "code_coverage")
BETTER_WHEN_HIGH = ("precision", "recall", "density", "coverage", "distinct_share", *CODES)
NEITHER = (
    "mmd_v",
    "mmd_u",
    "distance_ratio",
    "near_share",
    "copied_share",
    "copying_z",
)  # itself, or no ranking


def main(results: Path, folder: Path) -> None:
    """Writes mmd-and-quality.png into the folder and prints the table."""
    found = load(results)
    rows = []
    for trial in found.plan.trials:
        if found.status(trial.key) != "done":
            print(f"left out: {trial.arm}, replicate {trial.replicate}, {found.status(trial.key)}")
            continue
        table = pq.read_table(results / "trials" / trial.key / "scores.parquet").to_pandas()
        wide = table[table["prior"] == "own"].pivot(index="epoch", columns="score", values="value")
        for part, kept in (("whole run", wide), ("second half", wide[wide.index > max(found.plan.horizons) / 2])):
            for score in wide.columns.difference(NEITHER):
                values = kept[score].astype(float)
                if values.notna().all() and values.nunique() > 1:
                    sign = -1 if score in BETTER_WHEN_HIGH else 1
                    rho = sign * spearmanr(kept["mmd_u"], values).statistic
                    rows.append({"score": score, "epochs": part, "trial": f"{trial.arm} {trial.replicate}", "rho": rho})
    frame = pd.DataFrame(rows)
    means = frame.pivot_table(index="score", columns="epochs", values="rho")[["whole run", "second half"]]
    means = means.sort_values("whole run", ascending=False)
    print(means.round(2).to_string())
    with sns.axes_style("whitegrid"), sns.plotting_context("notebook", font_scale=0.7):
        figure, axes = plt.subplots(figsize=(6.4, 5.6), layout="constrained")
        sns.stripplot(
            frame,
            x="rho",
            y="score",
            hue="epochs",
            order=means.index,
            dodge=True,
            palette="colorblind",
            size=4,
            ax=axes,
        )
        axes.axvline(0, color="0.3", linewidth=1)
        axes.set(xlim=(-1.05, 1.05), ylabel="", xlabel="Spearman's rank correlation with the MMD along training\n"
                 "(signed so that +1 means: better where the MMD is lower); one point per trial")  # fmt: skip
        axes.set_yticks(range(len(means)), [QUALITY[name].label for name in means.index])
        axes.legend(title="epochs", loc="upper center", bbox_to_anchor=(0.5, 1.08), ncols=2, frameon=False)
        figure.savefig(folder / "mmd-and-quality.png", dpi=150, facecolor="white")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
