"""The measured tables of docs/ebsd.md: python docs/ebsd.py [--maps 40]

Single numbers of a patch against its class, on synthetic maps; and how well noise is found.
"""

import argparse
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from scipy.stats import rankdata

from qgan.ebsd.channels import IQ, KAM, KS_DEVIATION, MASK
from qgan.ebsd.noise_network import scores
from qgan.ebsd.patches import cut_scan
from qgan.ebsd.settings import Settings
from qgan.ebsd.synthetic import MICROSTRUCTURES
from qgan.ebsd.synthetic_maps import GENERATOR, VERSION, synthetic_map

SIZE, STEP_UM, PER_MAP = 220, 0.25, 25
SCALARS = {
    "KAM, mean (deg)": lambda images: _mean(images[:, 2], KAM),
    "share of FCC": lambda images: np.mean(images[:, 1] == 170, axis=(1, 2)),
    "IQ, mean (of the map's range)": lambda images: _mean(images[:, 0], IQ),
    "KS deviation, mean (deg)": lambda images: _mean(images[:, 3], KS_DEVIATION),
    "area of the mask (of the patch)": lambda images: _mean(images[:, 4], MASK),
}


def _mean(pixels, channel):
    """Mean of the measured pixels of each patch; the middle of the scale where there is none."""
    values = channel.decode(pixels)
    if channel.sentinel is not None:
        values = np.where(values > channel.limit, np.nan, values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        mean = np.nanmean(values, axis=(1, 2))
    return np.nan_to_num(mean, nan=channel.limit / 2)


def patches_of(job):
    """Up to PER_MAP patches of one map, the same number from each so that no map dominates."""
    microstructure, number = job
    rng = np.random.default_rng([7, number, MICROSTRUCTURES.index(microstructure)])
    cut = cut_scan(synthetic_map(microstructure, SIZE, STEP_UM, rng, "map"), Settings())
    return cut.images[rng.permutation(len(cut))[:PER_MAP]]


def auc(a, b):
    """Chance that a value of b is above one of a, or below if that is larger."""
    ranks = rankdata(np.concatenate([a, b]))
    chance = (ranks[: len(a)].sum() - len(a) * (len(a) + 1) / 2) / (len(a) * len(b))
    return max(chance, 1 - chance)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maps", type=int, default=40, help="of each microstructure")
    count = parser.parse_args().maps
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        images = [
            np.concatenate(list(pool.map(patches_of, [(name, k) for k in range(count)]))) for name in MICROSTRUCTURES
        ]
    numbers = {name: [measure(each) for each in images] for name, measure in SCALARS.items()}
    shown = " and ".join(f"{len(each)} patches of {name}" for each, name in zip(images, MICROSTRUCTURES, strict=True))
    print(f"{GENERATOR}, generator {VERSION}: {shown}, {count} maps each\n")
    print(f"| number | AUC | {' | '.join(f'{name}: 5, 50, 95 %' for name in MICROSTRUCTURES)} |\n|---|---|---|---|")
    for name, (a, b) in numbers.items():
        spread = (" / ".join(f"{value:.3g}" for value in np.percentile(each, [5, 50, 95])) for each in (a, b))
        print(f"| {name} | {auc(a, b):.3f} | {' | '.join(spread)} |")
    x = np.concatenate([np.column_stack([values[k] for values in numbers.values()]) for k in (0, 1)])
    y = np.repeat([-1.0, 1.0], [len(each) for each in images])
    x = np.column_stack([(x - x.mean(axis=0)) / x.std(axis=0), np.ones(len(x))])
    judged = x @ np.linalg.lstsq(x, y, rcond=None)[0]
    print(f"| all five, linear discriminant | {auc(judged[y < 0], judged[y > 0]):.3f} | | |\n")
    print("| noise by | precision | recall | recall of wrongly indexed points |\n|---|---|---|---|")
    for name, score in scores().items():
        print(f"| {name} | {score.precision:.3f} | {score.recall:.3f} | {score.misindexed_recall:.3f} |")


if __name__ == "__main__":
    main()
