"""One step of both nets against a plainly written one, and what the WGAN tells a prior."""

import copy
from typing import Any

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
LABELS = torch.tensor([0, 1, 2] * 8 + [0] * 6)  # 14 of class 0, 8 of each other
NONE = torch.empty(7, 0)


def wgan(prior: Any = None, **train: Any) -> Wgan:
    trial = Trial(
        DataSettings("toy", 20),
        4,
        30,
        0,
        prior or BernoulliSettings(),
        TrainSettings(width=4, **train),
        ScoreSettings(10),
    )
    return Wgan(trial, SHAPE, torch.device("cpu"), REAL, LABELS)


def draws(nets: Wgan, step: int) -> dict[str, Any]:
    stream = torch.Generator().manual_seed(step)
    rows = torch.randperm(30, generator=stream)[:8]
    codes = torch.randint(2, (8, 4), generator=stream).float()
    noise = torch.randn(8, nets.settings.gaussian_dims, generator=stream)
    labels = LABELS[rows] if nets.classes else None
    return {
        "real": REAL[rows],
        "inputs": nets.inputs(codes, noise, labels),
        "share": torch.rand(8, 1, 1, 1, generator=stream),
        "labels": labels,
    }


@pytest.mark.parametrize("options", [{}, {"depth": 2, "gaussian_dims": 3}, {"conditional": True}, {"code": "bits"}])
def test_a_step_is_that_of_equation_3_and_adam(options: dict[str, Any]) -> None:
    nets = wgan(learning_rate=1e-3, **options)
    generator, critic = copy.deepcopy(nets.generator), copy.deepcopy(nets.critic)
    adams = [torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.0, 0.9)) for net in (generator, critic)]
    for step in range(3):
        given = draws(nets, step)
        losses = nets.step(**given, generator=True)

        labels, real = given["labels"], given["real"].float() / 255
        fake = generator(given["inputs"]).detach()
        between = (given["share"] * real + (1 - given["share"]) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(critic(between, labels).sum(), between, create_graph=True)
        critic_loss = critic(fake, labels).mean() - critic(real, labels).mean()
        critic_loss = critic_loss + 10 * torch.mean((slope.flatten(1).norm(dim=1) - 1) ** 2)
        adams[1].zero_grad()
        critic_loss.backward()
        adams[1].step()
        generator_loss = -critic(generator(given["inputs"]), labels).mean()
        adams[0].zero_grad()
        generator_loss.backward()
        adams[0].step()
        assert torch.allclose(losses, torch.stack([critic_loss, generator_loss]), atol=1e-4)
    for ours, plain in ((nets.generator, generator), (nets.critic, critic)):
        for weight, expected in zip(ours.parameters(), plain.parameters(), strict=True):
            # Adam turns a rounding error of a gradient near 0 into a step of the learning rate
            assert float(((weight - expected).abs() > 1e-5).float().mean()) < 0.01


def test_a_step_of_the_critic_alone_leaves_the_generator() -> None:
    nets = wgan()
    before = copy.deepcopy(nets.generator.state_dict()), copy.deepcopy(nets.critic.state_dict())
    assert nets.step(**draws(nets, 0), generator=False).shape == (1,)
    assert all(torch.equal(each, before[0][name]) for name, each in nets.generator.state_dict().items())
    assert not all(torch.equal(each, before[1][name]) for name, each in nets.critic.state_dict().items())


@pytest.mark.parametrize("objective", ["wgan_gp", "wgan_clip", "gan"])
def test_bfloat16_stays_near_float32(objective: str) -> None:
    losses, start = [], wgan(objective=objective)
    for precision in ("float32", "bfloat16"):
        nets = wgan(objective=objective, precision=precision)
        nets.load_state_dict(start.state_dict())
        losses.append(torch.stack([nets.step(**draws(nets, step), generator=True) for step in range(5)]))
        assert all(each.dtype == torch.float32 for each in nets.generator.parameters())
    assert not torch.equal(*losses)
    assert torch.allclose(*losses, rtol=0.02, atol=0.02)


def test_the_averaged_generator_follows_its_recursion_and_makes_the_images() -> None:
    nets = wgan(ema=0.9)
    mean = [weight.detach().clone() for weight in nets.generator.parameters()]
    for step in range(3):
        nets.step(**draws(nets, step), generator=True)
        mean = [0.9 * old + 0.1 * new.detach() for old, new in zip(mean, nets.generator.parameters(), strict=True)]
    assert nets.averaged is not None
    for found, expected in zip(nets.averaged.parameters(), mean, strict=True):
        assert torch.allclose(found, expected, atol=1e-6)
    images = nets.generate(CODES, NONE)
    assert torch.equal(images, nets.averaged(2 * CODES - 1))
    assert not torch.equal(images, nets.generator(2 * CODES - 1))


def test_score_is_minus_the_critics_judgement_of_the_generated_image() -> None:
    nets = wgan()
    assert torch.equal(nets.score(CODES), -nets.critic(nets.generator(2 * CODES - 1)).detach())


def test_a_conditional_models_score_is_the_mean_over_classes_as_they_are() -> None:
    nets = wgan(conditional=True)
    expected = torch.zeros(7)
    for label, count in enumerate((14, 8, 8)):
        labels = torch.full((7,), label)
        expected -= count / 30 * nets.critic(nets.generate(CODES, NONE, labels), labels).detach()
    assert torch.allclose(nets.score(CODES), expected, atol=1e-6)
    one, other = (nets.generate(CODES, NONE, torch.full((7,), label)) for label in (0, 1))
    assert not torch.allclose(one, other)


def test_extra_noise_changes_images_and_not_the_score_of_a_code() -> None:
    nets = wgan(gaussian_dims=3)
    one, other = (nets.generate(CODES, torch.randn(7, 3)) for _ in range(2))
    assert not torch.allclose(one, other)
    assert torch.equal(nets.score(CODES), nets.score(CODES))
    assert torch.allclose(nets.score(CODES[2:3]), nets.score(CODES)[2:3], atol=1e-6)


@pytest.mark.parametrize("threshold", [-0.05, 0.0, 0.05])
@pytest.mark.parametrize("conditional", [False, True])
def test_critic_codes_are_the_thresholded_latent_layer(threshold: float, conditional: bool) -> None:
    nets = wgan(critic_latent=True, conditional=conditional)
    real, generated = nets.critic_codes(CODES, threshold)
    assert real.shape == (30, 4)
    assert generated.shape == (7, 4)
    labels = LABELS if conditional else None
    few = labels[:7] if labels is not None else None
    with torch.no_grad():
        assert torch.equal(real, nets.critic.latent(REAL.float() / 255, labels) > threshold)
        assert torch.equal(generated, nets.critic.latent(nets.generate(CODES, NONE, few), few) > threshold)


def test_the_latent_layer_changes_the_critic_and_not_the_generator() -> None:
    plain, latent = wgan(), wgan(critic_latent=True)
    assert [tuple(p.shape) for p in plain.generator.parameters()] == [
        tuple(p.shape) for p in latent.generator.parameters()
    ]
    assert len(list(latent.critic.parameters())) == len(list(plain.critic.parameters())) + 2


def test_the_older_method_learns_from_a_critic() -> None:
    settings = QcbmAanSettings(iterations=40)
    nets = wgan(settings, critic_latent=True)
    trial = Trial(
        DataSettings("toy", 20), 4, 30, 0, settings, TrainSettings(width=4, critic_latent=True), ScoreSettings(10)
    )
    prior = build(trial, "cpu")
    assert isinstance(prior, TrainablePrior)
    losses = [prior.update(nets).loss for _ in range(2)]
    assert 0 <= losses[1] < losses[0] + 0.05
