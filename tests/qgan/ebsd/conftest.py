import os
from pathlib import Path

import numpy as np
import pytest

from qgan.ebsd.scan import Scan
from qgan.ebsd.synthetic_maps import synthetic_map


@pytest.fixture(scope="session")
def scans() -> Path:
    """Real scans of other people, which are no part of this repository."""
    repository = Path(__file__).parents[3]
    folder = repository / os.environ.get("EBSD_SCANS", "../shared/data/scans")
    if not folder.is_dir():
        pytest.skip(f"no real scans at {folder}; name their folder in EBSD_SCANS")
    return folder


@pytest.fixture(scope="session")
def bainite() -> Scan:
    """A small synthetic map with both phases, boundaries and noise."""
    return synthetic_map("bainite", 96, 0.25, np.random.default_rng(3), "bainite map")
