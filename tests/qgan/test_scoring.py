"""Full scores: of a trained generator, of real images in its place, and of the same generator under other priors."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from qgan.batches import Batches, pools, unit
from qgan.ebsd.dataset import Patches
from qgan.metrics.mmd import MmdTo
from qgan.metrics.swap import SWAPS
from qgan.prior_settings import BernoulliSettings, NormalSettings, PriorSettings, QcbmSettings
from qgan.scoring import NAMES, FullScores, Score
from qgan.settings import DataSettings, ScoreSettings, TrainSettings
from qgan.training import Epoch, train
from qgan.trial import Trial
from qgan.wgan import Wgan

CODES = ("code_fidelity", "code_rate", "code_coverage")
QCBM = QcbmSettings(gradient="exact", update_every=1, train_epochs=3)


def make_trial(prior: PriorSettings, full_every: int = 0, score: int = 20, draws: int = 50, **settings: Any) -> Trial:
    return Trial(
        data=DataSettings("test", 40),
        latent_dim=4,
        images=40,
        replicate=0,
        prior=prior,
        train=TrainSettings(**{"batch_size": 8, "width": 4, **settings}),
        score=ScoreSettings(images=score, full_every=full_every, draws=draws),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("features")


def table(scores: list[Score] | None, prior: str = "own") -> dict[str, Score]:
    assert scores is not None
    return {score.name: score for score in scores if score.prior == prior}


class Recorded(Wgan):
    """A generator that knows images by heart: those of the training set, in order, whatever the codes say."""

    def generate(self, codes: torch.Tensor, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return unit(self.known[torch.arange(len(codes)) % len(self.known)])

    known: torch.Tensor


def scores_of(known: str, patches: Patches, folder: Path, count: int | None = None) -> dict[str, Score]:
    from qgan import priors

    trial = make_trial(BernoulliSettings())
    batches = Batches.of(trial, patches, torch.device("cpu"))
    nets = Recorded(trial, (5, 12, 12), torch.device("cpu"))
    nets.known = getattr(batches, known).images[:count]
    full = FullScores(trial, patches, batches, MmdTo(unit(batches.evaluation.images)), folder)
    return table(full.of(nets, priors.build(trial, "cpu"), 1))


def test_real_images_in_the_place_of_generated_ones_score_the_floor(patches: Patches, folder: Path) -> None:
    for name, score in scores_of("floor", patches, folder).items():
        if name not in ("distinct_share", *CODES) and not math.isnan(score.value):
            assert score.value == pytest.approx(score.floor, abs=1e-6), name


def test_a_generator_that_memorised_and_one_that_collapsed_are_told_apart(patches: Patches, folder: Path) -> None:
    memorised, collapsed = scores_of("training", patches, folder), scores_of("floor", patches, folder, count=1)
    assert memorised["copied_share"].value == 1
    assert memorised["distance_ratio"].value == 0
    assert memorised["distinct_share"].value == pytest.approx(40 / 50)
    assert collapsed["distinct_share"].value == 1 / 50
    assert collapsed["recall"].value == 0
    assert collapsed["coverage"].value < 0.5 < memorised["coverage"].floor
    assert collapsed["mmd_v"].value > 2 * memorised["mmd_v"].value


@pytest.mark.parametrize("prior", [BernoulliSettings(), QCBM], ids=lambda prior: prior.prior)
def test_every_score_is_there_under_the_own_prior_and_the_swaps(
    prior: PriorSettings, patches: Patches, folder: Path
) -> None:
    rows = list(train(make_trial(prior), patches, horizons=[2, 4], features=folder))
    assert [row.full_scores is not None for row in rows] == [False, True, False, True]
    scores = rows[-1].full_scores
    own = table(scores)
    assert set(own) == set(NAMES)
    assert own["mmd_v"].floor == pytest.approx(rows[-1].floor_v, rel=1e-4)
    for swap in SWAPS:
        assert set(table(scores, swap)) == set(NAMES) - {"distinct_share", *CODES}
    assert 0 <= own["code_fidelity"].value <= 1
    assert own["distinct_share"].value <= 16 / 50  # four bits make 16 images at most


def test_continuous_codes_and_conditional_models_leave_out_what_has_no_meaning(patches: Patches, folder: Path) -> None:
    (row,) = train(make_trial(NormalSettings()), patches, horizons=[1], features=folder)
    assert {score.prior for score in row.full_scores or []} == {"own"}
    assert "code_fidelity" not in table(row.full_scores)
    assert table(row.full_scores)["distinct_share"].value > 0.5
    (row,) = train(make_trial(QCBM, conditional=True, gaussian_dims=1), patches, horizons=[1], features=folder)
    assert math.isnan(table(row.full_scores)["code_fidelity"].value)
    assert table(row.full_scores)["distinct_share"].value > 16 / 50  # the extra number tells images of a code apart


def test_fewer_draws_than_scored_images_and_too_few_for_neighbours(patches: Patches, folder: Path) -> None:
    trial = make_trial(BernoulliSettings(), score=5, draws=3, gaussian_dims=1)
    (row,) = train(trial, patches, horizons=[1], features=folder)
    own = table(row.full_scores)
    assert own["distinct_share"].value == own["distinct_share"].floor == 1  # both of three images
    assert math.isnan(own["coverage"].value) and math.isnan(own["coverage"].floor)
    assert math.isfinite(own["kid"].value)


def test_distinct_images_and_their_floor_are_of_one_number_of_images(patches: Patches, folder: Path) -> None:
    """Real images of which every third is a repetition: more draws, more repetitions."""
    repeated = dataclasses.replace(patches, images=patches.images[np.arange(len(patches.images)) // 3 * 3])
    floors = []
    for draws in (10, len(patches.images)):
        trial = make_trial(BernoulliSettings(), draws=draws)
        batches = Batches.of(trial, repeated, torch.device("cpu"))
        full = FullScores(trial, repeated, batches, MmdTo(unit(batches.evaluation.images)), folder)
        floors.append(full._distinct_real())
    assert floors[0] > 2 * floors[1]


def test_a_code_that_copies_a_training_image_does_not_generalise(patches: Patches, folder: Path) -> None:
    """Half of the codes make training images, half fresh ones: the same for fidelity, not for the rate."""
    from qgan import priors

    trial = make_trial(BernoulliSettings())
    batches = Batches.of(trial, patches, torch.device("cpu"))
    nets = Recorded(trial, (5, 12, 12), torch.device("cpu"))
    nets.known = torch.cat([batches.training.images[:8], batches.floor.images[:8]])
    full = FullScores(trial, patches, batches, MmdTo(unit(batches.evaluation.images)), folder)
    scores = table(full.of(nets, priors.build(trial, "cpu"), 1))
    assert scores["code_fidelity"].value >= 7 / 8
    assert scores["code_rate"].value == pytest.approx(scores["code_fidelity"].value / 2)


def test_full_scores_change_no_curve_and_survive_a_resume(patches: Patches, folder: Path, tmp_path: Path) -> None:
    def curve(rows: list[Epoch]) -> list[tuple[float, Any]]:
        return [(row.critic_loss, row.mmd_v) for row in rows]

    scored = make_trial(QCBM, full_every=2)
    plain = dataclasses.replace(scored, score=dataclasses.replace(scored.score, full_every=0))
    with_scores = list(train(scored, patches, horizons=[4], features=folder))
    assert [row.full_scores is not None for row in with_scores] == [False, True, False, True]
    assert curve(with_scores) == curve(list(train(plain, patches, horizons=[4])))
    checkpoint = tmp_path / "checkpoint.pt"
    list(train(scored, patches, horizons=[3], checkpoint=checkpoint, features=folder))
    resumed = list(train(scored, patches, horizons=[3, 4], checkpoint=checkpoint, features=folder))
    for found, expected in zip(resumed, with_scores, strict=True):
        if expected.full_scores is not None:
            assert repr(found.full_scores) == repr(expected.full_scores)


def test_the_feature_network_never_sees_an_evaluation_patch(patches: Patches) -> None:
    trial = make_trial(QCBM)
    pool, held_out = pools(trial, patches.index)
    maps = [set(patches.index.map_id[rows].tolist()) for rows in (pool, held_out)]
    assert len(pool) == 80
    assert not maps[0] & maps[1]
