"""Final windows of many trials, read fast: one column of each curve and nothing else."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray


def window_means(
    trials: Path, keys: Iterable[str], horizons: Sequence[int], window: int, column: str = "mmd_v"
) -> dict[str, NDArray[np.float64]]:
    """Key -> mean of a curve's column over the `window` epochs up to each horizon; NaN where that was not reached.

    `trials` is the folder <results>/<study>/trials. Epochs without a score do not count. A trial whose curve is
    missing or damaged is left out.
    """
    means = {}
    for key in keys:
        try:
            # one thread, no data set machinery: what costs is to open 600 files
            with pq.ParquetFile(trials / key / "curve.parquet", memory_map=True) as curve:
                values = curve.read([column], use_threads=False)[column].to_numpy()
        except (OSError, KeyError, pa.ArrowException):
            continue
        means[key] = np.array([_mean(values[max(0, end - window) : end], end <= len(values)) for end in horizons])
    return means


def _mean(values: NDArray[np.float64], reached: bool) -> float:
    scored = values[~np.isnan(values)]
    return float(scored.mean()) if reached and len(scored) else np.nan
