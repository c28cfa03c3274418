"""WGAN-GP: the losses of Eq. 3 and one step of each net."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from qgan import seeds
from qgan.networks import Critic, Generator
from qgan.trial import Trial

_SCORE_BATCH = 512  # codes per forward pass where no gradient is kept


class Wgan:
    """A generator and a critic with their optimisers.

    Initial weights and gradient-penalty mixing come from the pair's named streams, so that both arms of a pair
    start from the same nets.
    """

    def __init__(
        self, trial: Trial, shape: tuple[int, int, int], device: torch.device, real: Tensor | None = None
    ) -> None:
        """`shape` is (channels, height, width) of an image.

        `real` are all training images (images, *shape) uint8, for `critic_codes`; nothing else reads them.
        """
        settings = trial.train
        with torch.random.fork_rng(devices=[]):  # torch initialises from its global stream only
            torch.manual_seed(seeds.seed(trial.pairing, "networks"))
            self.generator = Generator(trial.latent_dim, *shape, features=settings.width).to(device)
            latent = trial.latent_dim if settings.critic_latent else None
            self.critic = Critic(*shape, features=settings.width, latent=latent).to(device)
        self.real = real
        self.gradient_penalty = settings.gradient_penalty
        self.mixing = seeds.torch_stream(trial, "gradient-penalty mixing", device)
        self.generator_adam, self.critic_adam = (
            torch.optim.Adam(net.parameters(), lr=settings.learning_rate, betas=(0.0, 0.9))
            for net in (self.generator, self.critic)
        )

    def critic_step(self, real: Tensor, codes: Tensor) -> Tensor:
        """One step of D on real images and G's images of `codes`; returns L_D (Eq. 3), not yet synchronised."""
        with torch.no_grad():
            fake = self.generator(codes)
        score_fake, score_real = self.critic(torch.cat([fake, real])).chunk(2)
        loss = score_fake.mean() - score_real.mean() + self.gradient_penalty * self._penalty(real, fake)
        self.critic_adam.zero_grad(set_to_none=True)
        loss.backward()
        self.critic_adam.step()
        return loss.detach()  # type: ignore[no-any-return]

    def generator_step(self, codes: Tensor) -> Tensor:
        """One step of G; returns L_G = -E D(G(z)), not yet synchronised."""
        self.critic.requires_grad_(False)  # spares the critic's weight gradients
        loss = -self.critic(self.generator(codes)).mean()
        self.generator_adam.zero_grad(set_to_none=True)
        loss.backward()
        self.generator_adam.step()
        self.critic.requires_grad_(True)
        return loss.detach()  # type: ignore[no-any-return]

    def _penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        """E (||grad D(x^)||_2 - 1)^2 with x^ uniform on the lines between real and generated images."""
        share = torch.rand(len(real), 1, 1, 1, generator=self.mixing, device=real.device)
        between = torch.lerp(fake, real, share).requires_grad_()
        (gradient,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        norms: Tensor = gradient.flatten(1).norm(dim=1)
        return ((norms - 1) ** 2).mean()

    @torch.no_grad()
    def generate(self, codes: Tensor) -> Tensor:
        """Images (k, channels, height, width) in [0, 1] of codes (k, latent_dim)."""
        return torch.cat([self.generator(part) for part in codes.split(_SCORE_BATCH)])

    @torch.no_grad()
    def score(self, codes: Tensor) -> Tensor:
        """f(z) = -D(G(z)) (k,) of codes (k, latent_dim): what the nets, frozen meanwhile, tell a prior (Eq. 6)."""
        return torch.cat([-self.critic(self.generator(part.float())) for part in codes.split(_SCORE_BATCH)])

    @torch.no_grad()
    def critic_codes(self, codes: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
        """Bits (images, latent_dim) of the critic's latent layer, 1 above the threshold: of all training images, and
        of G(codes). Needs `train.critic_latent` and the training images.
        """
        assert self.real is not None
        real = [self.critic.latent(part.float() / 255) for part in self.real.split(_SCORE_BATCH)]
        fake = [self.critic.latent(self.generator(part.float())) for part in codes.split(_SCORE_BATCH)]
        return torch.cat(real) > threshold, torch.cat(fake) > threshold

    def state_dict(self) -> dict[str, Any]:
        """Nets, optimisers and the mixing stream."""
        return {
            "generator": self.generator.state_dict(),
            "critic": self.critic.state_dict(),
            "generator_adam": self.generator_adam.state_dict(),
            "critic_adam": self.critic_adam.state_dict(),
            "mixing": self.mixing.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.generator.load_state_dict(state["generator"])
        self.critic.load_state_dict(state["critic"])
        self.generator_adam.load_state_dict(state["generator_adam"])
        self.critic_adam.load_state_dict(state["critic_adam"])
        self.mixing.set_state(state["mixing"].cpu())
