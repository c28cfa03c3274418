"""Cycles of SPSA at frozen networks against one written out here, and what a continuation does."""

import dataclasses
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from qgan import priors
from qgan.checkpoint import CheckpointError
from qgan.circuits.codes import to_bits, to_integers
from qgan.cycle import FrozenWgan
from qgan.ebsd.dataset import Patches
from qgan.errors import InputError
from qgan.prior_settings import Gains, QcbmSettings
from qgan.priors.trained import TrainedPrior
from qgan.seeds import seed
from qgan.settings import DataSettings, ScoreSettings, TrainSettings
from qgan.spsa import Spsa
from qgan.training import train
from qgan.trial import Trial

STILL = QcbmSettings(backend="exact:aria-2", shots=64, train_epochs=0)
SPSA = dataclasses.replace(STILL, optimizer="spsa", iterations=4, gains=Gains(0.3, 0.2))
TRIAL = Trial(
    DataSettings(patches="test", evaluation=40),
    latent_dim=3,
    images=20,
    replicate=0,
    prior=STILL,
    train=TrainSettings(batch_size=8, width=4),
    score=ScoreSettings(images=20),
)


@pytest.fixture(scope="module")
def checkpoint(patches: Patches, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("start") / "checkpoint.pt"
    list(train(TRIAL, patches, horizons=[2], checkpoint=path))
    return path


def test_a_cycle_is_spsa_on_the_mean_judgement_of_measured_codes(patches: Patches, checkpoint: Path) -> None:
    found = FrozenWgan(TRIAL, patches, checkpoint).cycle(SPSA, "one")

    frozen = FrozenWgan(TRIAL, patches, checkpoint)
    prior = cast(TrainedPrior, priors.build(dataclasses.replace(TRIAL, prior=SPSA), "cpu"))
    stream = prior.stream.manual_seed(seed(TRIAL.pairing, "prior", "one"))
    assert stream is prior.model.stream  # type: ignore[attr-defined]
    spsa = Spsa(
        frozen.start["theta"], Gains(0.3, 0.2), np.random.default_rng(seed(TRIAL.pairing, "prior SPSA", "one")), 4
    )
    losses = []
    while not spsa.done:
        codes = to_integers(prior.model.sample(spsa.ask()[:1].float(), 64)[0])
        judged = -frozen.run.wgan.critic(frozen.run.wgan.generator(2 * to_bits(codes, 3).float() - 1), None)
        losses.append(float(judged.detach().double().mean()))
        spsa.tell(losses[-1])
    assert found.losses == pytest.approx(losses, abs=1e-5)
    assert found.circuits == 9
    assert found.gains == Gains(0.3, 0.2)
    pool = frozen.start["pool"]
    assert found.start_loss == pytest.approx(float(frozen.score(to_bits(pool, 3).float()).mean()), abs=1e-5)


def test_cycles_leave_the_networks_and_each_other_alone(patches: Patches, checkpoint: Path) -> None:
    frozen = FrozenWgan(TRIAL, patches, checkpoint)
    before = [each.clone() for each in frozen.run.wgan.generator.parameters()]
    first, other = frozen.cycle(SPSA, "one"), frozen.cycle(SPSA, "two")
    assert frozen.cycle(SPSA, "one").losses == first.losses != other.losses
    assert all(map(torch.equal, before, frozen.run.wgan.generator.parameters()))
    # the same directions for other gains: the first two circuits differ by c alone
    wider = frozen.cycle(dataclasses.replace(SPSA, gains=Gains(5.0, 0.2)), "one")
    assert wider.losses[:2] == first.losses[:2]
    assert wider.losses[2:] != first.losses[2:]


def test_without_gains_the_cycle_calibrates_them_with_50_more_circuits(patches: Patches, checkpoint: Path) -> None:
    found = FrozenWgan(TRIAL, patches, checkpoint).cycle(dataclasses.replace(SPSA, gains=None), "one")
    assert len(found.losses) == 9
    assert found.circuits == 59
    assert found.gains.a > 0
    assert found.gains.c == 0.2


def test_a_continuation_trains_on_without_update_events(patches: Patches, checkpoint: Path) -> None:
    frozen = FrozenWgan(TRIAL, patches, checkpoint)
    updating = dataclasses.replace(SPSA, update_every=1, train_epochs=100)
    found = frozen.cycle(updating, "one", continuation=2)
    assert len(found.mmds) == 2
    assert found.mmds == FrozenWgan(TRIAL, patches, checkpoint).cycle(updating, "one", continuation=2).mmds
    assert found.losses == FrozenWgan(TRIAL, patches, checkpoint).cycle(updating, "one").losses
    rows = list(train(TRIAL, patches, horizons=[4]))
    assert found.mmds != tuple(row.mmd_v for row in rows[2:])  # codes of another theta


def test_what_cannot_be_a_cycle_is_refused(patches: Patches, checkpoint: Path) -> None:
    with pytest.raises(InputError, match="optimizer: spsa"):
        FrozenWgan(TRIAL, patches, checkpoint).cycle(STILL, "one")
    with pytest.raises(CheckpointError, match="this is trial"):
        FrozenWgan(dataclasses.replace(TRIAL, replicate=1), patches, checkpoint)
