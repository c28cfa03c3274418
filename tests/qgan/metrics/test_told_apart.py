"""A perfect, a collapsed and a memorised generator, each known by the score made for it."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from qgan.metrics.features import FeatureNetwork
from qgan.metrics.kid import kid
from qgan.metrics.memorisation import Memorisation, distinct_images, memorisation, nearest_training
from qgan.metrics.mmd import MmdTo
from qgan.metrics.neighbours import Neighbours, neighbours

COUNT = 300


@dataclass(frozen=True)
class Scores:
    mmd_u: float
    blind_mmd_v: float  # beta = 2
    kid: float
    neighbours: Neighbours
    memorisation: Memorisation
    distinct: int


def generators(textures: Callable[..., torch.Tensor], training: torch.Tensor) -> dict[str, torch.Tensor]:
    few, fresh = textures(3, seed=20), textures(COUNT, seed=21)
    return {
        "floor": textures(COUNT, seed=22),
        "perfect": fresh,
        "collapsed": few.repeat(COUNT // 3, 1, 1, 1),
        "averaged": textures(4000, seed=23).float().mean(0).round().to(torch.uint8).expand(COUNT, -1, -1, -1),
        "memorised": training[:COUNT],
    }


@pytest.fixture(scope="module")
def scores(network: FeatureNetwork, textures: Callable[..., torch.Tensor], training: torch.Tensor) -> dict[str, Scores]:
    real = textures(COUNT, seed=10)
    features, held_out = network.features(real), nearest_training(real, training)
    mmd, blind = MmdTo(real.float() / 255), MmdTo(real.float() / 255, beta=2.0)
    return {
        name: Scores(
            mmd_u=mmd(images.float() / 255).u,
            blind_mmd_v=blind(images.float() / 255).v,
            kid=kid(features, network.features(images)),
            neighbours=neighbours(features, network.features(images)),
            memorisation=memorisation(nearest_training(images, training), held_out),
            distinct=distinct_images(images),
        )
        for name, images in generators(textures, training).items()
    }


def test_perfect_is_at_the_floor_of_every_score(scores: dict[str, Scores]) -> None:
    perfect, floor = scores["perfect"], scores["floor"]
    assert abs(perfect.mmd_u) < 0.02
    assert perfect.kid == pytest.approx(floor.kid, abs=0.1)
    for name in ("precision", "recall", "density", "coverage"):
        assert getattr(perfect.neighbours, name) == pytest.approx(getattr(floor.neighbours, name), abs=0.1)
    assert perfect.memorisation.copied_share == 0
    assert perfect.memorisation.distance_ratio == pytest.approx(1, abs=0.03)
    assert perfect.distinct == COUNT


def test_collapsed_lacks_diversity_and_nothing_else(scores: dict[str, Scores]) -> None:
    collapsed, perfect = scores["collapsed"], scores["perfect"]
    assert collapsed.distinct == 3
    assert max(collapsed.neighbours.coverage, collapsed.neighbours.recall) < 0.2
    assert collapsed.kid > 10 * abs(perfect.kid)
    assert collapsed.mmd_u > 20 * abs(perfect.mmd_u)
    assert collapsed.memorisation.copied_share == 0


def test_collapse_on_the_mean_hides_from_beta_two_only(scores: dict[str, Scores]) -> None:
    averaged, perfect = scores["averaged"], scores["perfect"]
    assert averaged.blind_mmd_v < perfect.blind_mmd_v  # better than perfect
    assert averaged.mmd_u > 50 * abs(perfect.mmd_u)
    assert averaged.distinct == 1
    assert averaged.neighbours.precision == 0
    assert averaged.memorisation.distance_ratio < 0.9  # near to everything, which is no copying
    assert averaged.memorisation.copied_share == 0


def test_memorised_is_perfect_to_all_but_the_memorisation_scores(scores: dict[str, Scores]) -> None:
    memorised, floor = scores["memorised"], scores["floor"]
    assert abs(memorised.mmd_u) < 0.02
    assert memorised.neighbours.coverage == pytest.approx(floor.neighbours.coverage, abs=0.1)
    assert memorised.distinct == COUNT
    assert (memorised.memorisation.copied_share, memorised.memorisation.near_share) == (1, 1)
    assert memorised.memorisation.copying_z < -10
