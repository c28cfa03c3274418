"""What generated images are worth to a classifier: the tables that `study trial --downstream` leaves in a study."""

import pandas as pd

from analysis.errors import ResultsError
from analysis.location import Place
from analysis.results import Results
from analysis.tables import DOWNSTREAM, read_table

GAINS = ["trial", "classifier", "parameters", "k", "seeds", "real", "both", "synthetic", "gain", "gain_sd"]


def downstream_gains(results: Results) -> pd.DataFrame:
    """One row per trial, classifier and number of real patches; no rows where no trial was tested.

    trial        arm, cell and replicate; the key of a trial that is not in the plan (`--set`, `--epochs`)
    classifier   channel_means | cnn | quantum | mlp, with so many parameters
    k            real training patches per microstructure; 0: generated images alone
    seeds        classifiers trained, with weights and patches of their own, on images of one generator each
    real, both, synthetic   mean balanced accuracy on real patches of other maps, trained on real patches, on real and
                 generated ones, on generated ones; NaN where not trained
    gain, gain_sd   of both over real, seed by seed: mean and standard deviation (NaN for one seed)
    """
    debug = results.folder / "debug"
    names = {each.key: f"{each.arm}, {each.cell_name}, replicate {each.replicate}" for each in results.plan.trials}
    folders: list[Place] = list(debug.iterdir()) if debug.is_dir() else []
    rows = []
    for folder in sorted(folders, key=str):
        if not (folder / "downstream.parquet").is_file():
            continue
        try:
            table = read_table(folder / "downstream.parquet", DOWNSTREAM.names)
        except ResultsError:
            continue  # torn: `study trial --downstream` writes it anew
        for place, runs in table.to_pandas().groupby(["classifier", "parameters", "k"]):
            rows.append([names.get(folder.name, folder.name), *place, *_accuracies(runs)])
    return pd.DataFrame(rows, columns=GAINS)


def _accuracies(runs: pd.DataFrame) -> list[float]:
    by_arm = runs.pivot(index="seed", columns="arm", values="balanced_accuracy")
    by_arm = by_arm.reindex(columns=["real", "real+synthetic", "synthetic"])
    gain = by_arm["real+synthetic"] - by_arm["real"]
    return [len(by_arm), *by_arm.mean(), gain.mean(), gain.std()]
