"""Random textures: images of one distribution that no pixel mean tells from another's."""

from pathlib import Path
from typing import Protocol

import pytest
import torch
from torch.nn import functional as F

from qgan.metrics.features import FeatureNetwork, load_or_train

SHAPE = (3, 16, 16)


class Textures(Protocol):
    def __call__(self, count: int, seed: int, horizontal: bool = True) -> torch.Tensor: ...


def make_textures(count: int, seed: int, horizontal: bool = True) -> torch.Tensor:
    """Noise smoothed along one axis, (count, *SHAPE) uint8; the last channel is a threshold of the first."""
    stream = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, 2, 16, 22, generator=stream)
    smooth = F.avg_pool2d(noise, (1, 7), stride=1) * 7**0.5
    smooth = smooth if horizontal else smooth.transpose(2, 3)
    images = torch.cat([128 + 40 * smooth, 255.0 * (smooth[:, :1] > 0)], 1)
    return images.round().clamp(0, 255).to(torch.uint8)


@pytest.fixture(scope="session")
def textures() -> Textures:
    return make_textures


@pytest.fixture(scope="session")
def training() -> torch.Tensor:
    return make_textures(400, seed=1)


@pytest.fixture(scope="session")
def network(training: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> FeatureNetwork:
    folder: Path = tmp_path_factory.mktemp("features")
    return load_or_train(training, "textures", folder)
