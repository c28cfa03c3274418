"""Three adversarial objectives side by side: what the critic lowers, what the generator lowers.

D is the critic's number for an image; a generator's loss is given per image, because a prior's score f(z) is that of
one code (Eq. 6).
"""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import softplus

from qgan.networks import Critic
from qgan.settings import TrainSettings


class Adversarial(Protocol):
    """One step's losses."""

    def critic(self, critic: Critic, real: Tensor, fake: Tensor, share: Tensor, labels: Tensor | None) -> Tensor:
        """L_D, a number, of real and generated images (k, channels, height, width); `share` (k, 1, 1, 1) in [0, 1]."""
        ...

    def generator(self, judged: Tensor) -> Tensor:
        """L_G per image (k,) from D of generated images (k,)."""
        ...

    def constrain(self, critic: Critic) -> None:
        """What is done to the critic's weights after its step."""
        ...


class WganGp:
    """Wasserstein GAN with gradient penalty: L_D = E D(x~) - E D(x) + lambda E (||grad D(x^)||_2 - 1)^2 (Eq. 3)."""

    def __init__(self, gradient_penalty: float) -> None:
        self.gradient_penalty = gradient_penalty

    def critic(self, critic: Critic, real: Tensor, fake: Tensor, share: Tensor, labels: Tensor | None) -> Tensor:
        wasserstein = _wasserstein(critic, real, fake, labels)
        return wasserstein + self.gradient_penalty * penalty(critic, torch.lerp(fake, real, share), labels)

    def generator(self, judged: Tensor) -> Tensor:
        return -judged

    def constrain(self, critic: Critic) -> None:
        """Nothing: the penalty does it."""


class WganClip:
    """The first Wasserstein GAN: every weight of the critic is clipped to [-c, c] (Arjovsky et al., 1701.07875)."""

    def __init__(self, weight_clip: float) -> None:
        self.weight_clip = weight_clip

    def critic(self, critic: Critic, real: Tensor, fake: Tensor, share: Tensor, labels: Tensor | None) -> Tensor:
        return _wasserstein(critic, real, fake, labels)

    def generator(self, judged: Tensor) -> Tensor:
        return -judged

    @torch.no_grad()
    def constrain(self, critic: Critic) -> None:
        for weight in critic.parameters():
            weight.clamp_(-self.weight_clip, self.weight_clip)


class Gan:
    """The first GAN (Eq. 1) with probability sigmoid(D): min_G max_D E log D(x) + E log(1 - D(x~)).

    The generator lowers E log(1 - D(x~)) as printed, which has a small slope where the critic is sure.
    """

    def critic(self, critic: Critic, real: Tensor, fake: Tensor, share: Tensor, labels: Tensor | None) -> Tensor:
        return torch.mean(softplus(critic(fake, labels))) + torch.mean(softplus(-critic(real, labels)))

    def generator(self, judged: Tensor) -> Tensor:
        return -softplus(judged)

    def constrain(self, critic: Critic) -> None:
        """Nothing."""


def adversarial(settings: TrainSettings) -> Adversarial:
    """The objective that the settings name."""
    match settings.objective:
        case "wgan_gp":
            return WganGp(settings.gradient_penalty)
        case "wgan_clip":
            return WganClip(settings.weight_clip)
        case "gan":
            return Gan()


def _wasserstein(critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None) -> Tensor:
    return torch.mean(critic(fake, labels)) - torch.mean(critic(real, labels))


def penalty(critic: Critic, between: Tensor, labels: Tensor | None) -> Tensor:
    """E (||grad D(x^)||_2 - 1)^2 over images x^ (k, channels, height, width), to be differentiated in D's weights once.

    With g = grad D(x^) and v = d penalty / d g held fixed, the penalty's derivative in the weights is that of
    sum v . g, and v . g is D's derivative along v: one more forward pass of a linear net. It spares differentiating
    a backward pass, which costs more and cannot be compiled; a critic with a circuit at its end needs that one.
    """
    with torch.enable_grad():
        between = between.detach().requires_grad_()
        judged, activations = critic.judged(between, labels)
        (gradient,) = torch.autograd.grad(judged.sum(), between, create_graph=not critic.piecewise_linear)
    norms = gradient.flatten(1).norm(dim=1)
    value = torch.mean((norms - 1) ** 2)
    if not critic.piecewise_linear:
        return value
    slope = 2 * (norms - 1) / norms.clamp_min(torch.finfo(norms.dtype).tiny) / len(norms)
    along = critic.tangent(gradient * slope.view(-1, 1, 1, 1), activations).sum()
    return value + (along - along.detach())  # the value of one, the derivative of the other
