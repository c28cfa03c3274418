"""Patches that every test of training and of the platform can afford: 12 x 12 pixels, six maps."""

import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

from qgan.ebsd.dataset import Patches, assemble, write_patches

settings.register_profile("same every time", derandomize=True, deadline=None)
settings.load_profile("same every time")
# a suite in the background of a script was told to ignore Ctrl-C, and would tell the processes that it starts
signal.signal(signal.SIGINT, signal.default_int_handler)
torch.set_num_threads(1)  # bit for bit needs a fixed number; small tensors gain nothing from more

SIZE = 12
COUNT = 120


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that processes that share the suite by files end together."""
    here = Path(__file__).parent
    items.sort(key=lambda item: (item.path != here / "test_readme.py", here / "study" not in item.path.parents))


def make_patches(count: int = COUNT, size: int = SIZE, maps: int = 6, seed: int = 0) -> Patches:
    """Smooth random images, ferrite from even maps and bainite from odd ones; no physics in them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    phase = rng.random((count, 5, 1, 1)) * 2 * np.pi
    images = (40 * (1 + np.sin(2 * np.pi * (x + y) + phase))).astype(np.uint8)
    map_id = np.arange(count) % maps
    columns = {
        "microstructure": [("ferrite", "bainite")[each % 2] for each in map_id],
        "source": [f"map{each}" for each in map_id],
        "map_id": map_id,
        "grain_id": np.arange(count),
        "row": np.zeros(count),
        "column": np.zeros(count),
        "step_um": np.full(count, 0.25),
    }
    return assemble(images, columns, settings={}, cleaning=())


@pytest.fixture(scope="session")
def patches() -> Patches:
    return make_patches()


@pytest.fixture(scope="session")
def patches_file(tmp_path_factory: pytest.TempPathFactory, patches: Patches) -> Path:
    path = tmp_path_factory.mktemp("data") / "patches.parquet"
    write_patches(path, patches)
    return path


STUDY = """\
study: tiny
data: {{source: {patches}, evaluation: 40}}
arms:
  bernoulli: {{prior: bernoulli}}
  qcbm: {{prior: qcbm, gradient: exact, update_every: 2, train_epochs: 4}}
baseline: bernoulli
grid: {{latent_dim: [3], images: [16, 32], epochs: [6]}}
replicates: 2
train: {{batch_size: 8, width: 4}}
score: {{images: 20, window: 3}}
resources: {{cpu: 1}}
results: {results}
"""


@pytest.fixture
def study_file(tmp_path: Path, patches_file: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(STUDY.format(patches=patches_file, results=tmp_path / "results"))
    return path
