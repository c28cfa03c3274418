"""What the WGAN tells a prior."""

import pytest
import torch

from qgan.prior_settings import BernoulliSettings, QcbmAanSettings
from qgan.priors import TrainablePrior, build
from qgan.settings import DataSettings, ScoreSettings, TrainSettings
from qgan.trial import Trial
from qgan.wgan import Wgan

SHAPE = (5, 12, 12)
REAL = torch.randint(256, (30, *SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
CODES = torch.randint(2, (7, 4), generator=torch.Generator().manual_seed(1)).float()


def wgan(**train) -> Wgan:
    trial = Trial(
        DataSettings("toy", 20), 4, 30, 0, BernoulliSettings(), TrainSettings(width=4, **train), ScoreSettings(10)
    )
    return Wgan(trial, SHAPE, torch.device("cpu"), REAL)


def test_score_is_minus_the_critics_judgement_of_the_generated_image():
    nets = wgan()
    assert torch.equal(nets.score(CODES), -nets.critic(nets.generator(CODES)).detach())


@pytest.mark.parametrize("threshold", [-0.05, 0.0, 0.05])
def test_critic_codes_are_the_thresholded_latent_layer_of_real_and_generated_images(threshold):
    nets = wgan(critic_latent=True)
    real, generated = nets.critic_codes(CODES, threshold)
    assert real.shape == (30, 4)
    assert generated.shape == (7, 4)
    with torch.no_grad():
        assert torch.equal(real, nets.critic.latent(REAL.float() / 255) > threshold)
        assert torch.equal(generated, nets.critic.latent(nets.generate(CODES)) > threshold)


def test_the_latent_layer_changes_the_critic_and_not_the_generator():
    plain, latent = wgan(), wgan(critic_latent=True)
    assert [tuple(p.shape) for p in plain.generator.parameters()] == [
        tuple(p.shape) for p in latent.generator.parameters()
    ]
    assert len(list(latent.critic.parameters())) == len(list(plain.critic.parameters())) + 2


def test_the_older_method_learns_from_a_critic() -> None:
    trial = Trial(
        DataSettings("toy", 20),
        4,
        30,
        0,
        QcbmAanSettings(iterations=40),
        TrainSettings(width=4, critic_latent=True),
        ScoreSettings(10),
    )
    prior = build(trial, "cpu")
    assert isinstance(prior, TrainablePrior)
    nets = Wgan(trial, SHAPE, torch.device("cpu"), REAL)
    losses = [prior.update(nets).loss for _ in range(2)]
    assert 0 <= losses[1] < losses[0] + 0.05
