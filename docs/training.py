"""The figures of docs/training.md from the results of docs/training.yaml.

study run docs/training.yaml
python docs/training.py results/training docs
"""

import sys
from pathlib import Path

from analysis import load
from analysis.figures import arm_colours, mmd_figure
from analysis.micrographs import contact_sheet

SHOWN = 4  # images of each kind


def main(results: Path, folder: Path) -> None:
    """Writes training-curves.png and training-images.png into the folder."""
    found = load(results)
    plan, epochs = found.plan, found.scored_epochs()
    scores = epochs[epochs["epoch"] > max(plan.horizons) - plan.window].groupby("arm", as_index=False)["mmd_v"].mean()
    curves = mmd_figure(
        epochs, scores, colours=arm_colours(plan.arms), window=plan.window, horizons=plan.horizons, title=plan.study
    )
    curves.savefig(folder / "training-curves.png", dpi=150, facecolor="white")
    rows = []
    for trial in plan.trials:
        images = found.images(trial.key)
        if images is None:
            sys.exit(f"{results}: no images of {trial.arm} yet; let `study run docs/training.yaml` finish first")
        if not rows:
            rows.append(("real", images.real[:SHOWN]))
        rows.append((f"{trial.arm}, epoch {images.last_epoch}", images.generated(images.last_epoch)[:SHOWN]))
    contact_sheet(rows, images.channels, images.step_um).savefig(folder / "training-images.png", facecolor="white")
    print(scores.to_string(index=False), f"floor {epochs['floor_v'].mean():.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
