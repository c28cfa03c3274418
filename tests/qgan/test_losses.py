"""The three objectives, and the gradient penalty against differentiating a backward pass."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from qgan.losses import adversarial, penalty
from qgan.networks import Critic
from qgan.settings import TrainSettings

REAL, FAKE = torch.rand(2, 6, 5, 12, 12, generator=torch.Generator().manual_seed(0)).double()
SHARE = torch.rand(6, 1, 1, 1, generator=torch.Generator().manual_seed(1)).double()


def make_critic(**options: int) -> Critic:
    torch.manual_seed(2)
    return Critic(5, 12, 12, 4, **options).double()


def plain_penalty(critic: Critic, between: Tensor, labels: Tensor | None) -> Tensor:
    """Eq. 3's last term as everybody writes it."""
    between = between.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between, labels).sum(), between, create_graph=True)
    return torch.mean((gradient.flatten(1).norm(dim=1) - 1) ** 2)


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("latent", [None, 6])
@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("qubits", [0, 3])
def test_penalty_and_its_slope_are_those_of_double_backward(
    depth: int, latent: int | None, classes: int, qubits: int
) -> None:
    critic = make_critic(depth=depth, latent=latent, classes=classes, qubits=qubits)
    labels = torch.arange(6) % classes if classes else None
    between = torch.lerp(FAKE, REAL, SHARE)
    ours, plain = penalty(critic, between, labels), plain_penalty(critic, between, labels)
    assert torch.allclose(ours, plain)
    weights = list(critic.parameters())
    found, expected = (torch.autograd.grad(each, weights, allow_unused=True) for each in (ours, plain))
    assert sum(each is not None and bool(each.abs().max() > 1e-6) for each in expected) >= 2 + depth
    for ours_of, plain_of in zip(found, expected, strict=True):
        zero = torch.zeros((), dtype=torch.float64)
        assert torch.allclose(zero if ours_of is None else ours_of, zero if plain_of is None else plain_of, atol=1e-12)


def test_a_critic_without_slope_has_a_finite_penalty() -> None:
    critic = make_critic()
    torch.nn.init.zeros_(critic.last.weight)
    value = penalty(critic, REAL, None)
    assert value == 1
    assert all(bool(each.isfinite().all()) for each in torch.autograd.grad(value, critic.last.weight))


def test_wgan_gp_is_equation_3() -> None:
    critic = make_critic()
    loss = adversarial(TrainSettings(gradient_penalty=7.0)).critic(critic, REAL, FAKE, SHARE, None)
    between = SHARE * REAL + (1 - SHARE) * FAKE
    expected = critic(FAKE).mean() - critic(REAL).mean() + 7 * plain_penalty(critic, between, None)
    assert torch.allclose(loss, expected)


def test_clipping_bounds_every_weight() -> None:
    critic, clipped = make_critic(), adversarial(TrainSettings(objective="wgan_clip", weight_clip=0.03))
    assert torch.allclose(clipped.critic(critic, REAL, FAKE, SHARE, None), critic(FAKE).mean() - critic(REAL).mean())
    clipped.constrain(critic)
    assert max(float(weight.detach().abs().max()) for weight in critic.parameters()) == pytest.approx(0.03)


def test_the_first_gan_is_equation_1() -> None:
    critic, gan = make_critic(), adversarial(TrainSettings(objective="gan"))
    real, fake = critic(REAL), critic(FAKE)
    entropy = binary_cross_entropy_with_logits
    expected = entropy(real, torch.ones_like(real)) + entropy(fake, torch.zeros_like(fake))
    assert torch.allclose(gan.critic(critic, REAL, FAKE, SHARE, None), expected)
    assert torch.allclose(gan.generator(fake), torch.log(1 - torch.sigmoid(fake)))
