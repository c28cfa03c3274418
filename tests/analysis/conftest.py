"""Synthetic ledgers (see `analysis.synthetic`)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.synthetic import write_study


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes a study with the settings of `write_study` and returns its folder."""
    return lambda name="demo", **settings: write_study(tmp_path / "results" / name, **settings)


@pytest.fixture
def study(written: Callable[..., Path]) -> Path:
    """A finished study: 2 cells, bernoulli and qcbm (+30 %), 3 replicates, horizons 20 and 40, window 10."""
    return written()


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, to be read only."""
    return write_study(tmp_path_factory.mktemp("results") / "demo")


@pytest.fixture(scope="session")
def scored_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with full scores and update events, to be read only."""
    return write_study(tmp_path_factory.mktemp("results") / "scored", scores=True)


@pytest.fixture(scope="session")
def written_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three arms, full scores, update events and a failed trial, to be read only."""
    return write_study(
        tmp_path_factory.mktemp("results") / "arms",
        improvements={"bernoulli": 0, "qcbm": 30, "gaussian": -20},
        statuses={("qcbm", 0, 0): ("failed", 25)},
        scores=True,
    )
