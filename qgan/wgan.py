"""The adversarial pair: one step of both nets, images of codes, and what the nets tell a prior."""

import copy
import itertools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from qgan import seeds
from qgan.batches import rounded, unit
from qgan.device import Graphed, arithmetic
from qgan.losses import adversarial
from qgan.networks import Critic, Generator
from qgan.trial import Trial

_SCORE_BATCH = 512  # images per forward pass where no gradient is kept
_NOISES = 16  # draws of the extra normal numbers over which a code's score is averaged


class Wgan:
    """A generator and a critic with their optimisers.

    Initial weights come from the pair's named stream, so that both arms of a pair start from the same nets.
    """

    def __init__(
        self,
        trial: Trial,
        shape: tuple[int, int, int],
        device: torch.device,
        real: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> None:
        """`shape` is (channels, height, width) of an image; `real` are all training images (images, *shape) uint8.

        `labels` (images,) int64 are their classes 0, 1, ... and are needed by a conditional model, as `real` is by
        `critic_codes`.
        """
        settings = trial.train
        self.settings = settings
        self.device = device
        self.real = real
        self.labels = labels if settings.conditional else None
        self.classes = int(labels.max()) + 1 if settings.conditional and labels is not None else 0
        inputs = trial.latent_dim + settings.gaussian_dims + self.classes
        with torch.random.fork_rng(devices=[]):  # torch initialises from its global stream only
            torch.manual_seed(seeds.seed(trial.pairing, "networks"))
            self.generator = Generator(inputs, *shape, settings.width, settings.depth).to(device)
            latent = trial.latent_dim if settings.critic_latent else None
            self.critic = Critic(
                *shape, settings.width, settings.depth, latent, self.classes, settings.critic_qubits
            ).to(device)
        self.averaged = copy.deepcopy(self.generator) if settings.ema else None
        self.losses = adversarial(settings)
        self.generator_adam, self.critic_adam = (
            torch.optim.Adam(
                net.parameters(),
                lr=settings.learning_rate,
                betas=(0.0, 0.9),
                fused=True,
                capturable=device.type == "cuda",  # the count of steps stays on the device
            )
            for net in (self.generator, self.critic)
        )
        noise = torch.randn(
            _NOISES,
            settings.gaussian_dims,
            generator=seeds.torch_stream(trial, "noise of the score", device),
            device=device,
        )
        self.score_noise = noise if settings.gaussian_dims else noise[:1]
        self._both = Graphed(self._critic_and_generator)
        self._critic_only = Graphed(self._critic)

    def inputs(self, codes: Tensor, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """What the generator reads (..., inputs): codes (..., latent_dim), normal numbers, and the class one-hot."""
        parts = [2 * codes - 1 if self.settings.code == "signs" else codes, noise]
        if self.classes:
            assert labels is not None
            parts.append(one_hot(labels, self.classes).float())
        return torch.cat(parts, -1)

    def step(self, real: Tensor, inputs: Tensor, share: Tensor, labels: Tensor | None, *, generator: bool) -> Tensor:
        """One step of D, then one of G if `generator`, on the same generated images.

        `real` (k, channels, height, width) uint8, `inputs` (k, inputs), `share` (k, 1, 1, 1) uniform in [0, 1],
        `labels` (k,). Returns L_D and, with `generator`, L_G: (2,) or (1,) float32, not yet synchronised; on a GPU
        to be read before the next call.
        """
        given = [each for each in (real, inputs, share, labels) if each is not None]
        return (self._both if generator else self._critic_only)(*given)

    def _critic(self, real: Tensor, inputs: Tensor, share: Tensor, labels: Tensor | None = None) -> Tensor:
        with arithmetic(self.settings.precision, self.device), torch.no_grad():
            fake = self.generator(inputs)
        return self._step_critic(real, fake, share, labels)[None]

    def _critic_and_generator(
        self, real: Tensor, inputs: Tensor, share: Tensor, labels: Tensor | None = None
    ) -> Tensor:
        with arithmetic(self.settings.precision, self.device):
            fake = self.generator(inputs)
        critic_loss = self._step_critic(real, fake.detach(), share, labels)
        # G has not changed since it made these images: they serve its own step too
        with arithmetic(self.settings.precision, self.device):
            loss = self.losses.generator(self.critic(fake, labels)).mean()
            _descend(loss, self.generator, self.generator_adam)
        self._average()
        return torch.stack([critic_loss, loss.detach()])

    def _step_critic(self, real: Tensor, fake: Tensor, share: Tensor, labels: Tensor | None) -> Tensor:
        with arithmetic(self.settings.precision, self.device):
            loss = self.losses.critic(self.critic, unit(real), fake, share, labels)
            _descend(loss, self.critic, self.critic_adam)
        self.losses.constrain(self.critic)
        return loss.detach()

    @torch.no_grad()
    def _average(self) -> None:
        if self.averaged is not None:
            for mean, now in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
                mean.lerp_(now, 1 - self.settings.ema)

    @torch.no_grad()
    def generate(self, codes: Tensor, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (k, channels, height, width) in [0, 1] of codes (k, latent_dim), by the averaged generator if any."""
        return _images(self.averaged or self.generator, self.inputs(codes, noise, labels))

    def images(self, codes: Tensor, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """Like `generate`, rounded to uint8; any number of images, of which few are ever held in float32."""
        parts = []
        for start in range(0, len(codes), _SCORE_BATCH):
            part = slice(start, start + _SCORE_BATCH)
            parts.append(rounded(self.generate(codes[part], noise[part], None if labels is None else labels[part])))
        return torch.cat(parts)

    @torch.no_grad()
    def score(self, codes: Tensor) -> Tensor:
        """f(z) (k,) of codes (k, latent_dim): L_G of the image G(z), -D(G(z)) for a WGAN (Eq. 6), the nets frozen.

        A function of the code alone: the mean over a fixed set of extra normal numbers and, for a conditional model,
        over the classes as they are among the training images.
        """
        return torch.cat([self._score(part.float()) for part in codes.split(_SCORE_BATCH)])

    def _score(self, codes: Tensor) -> Tensor:
        total = torch.zeros(len(codes), device=codes.device)
        for noise, (label, share) in itertools.product(self.score_noise, self._shares()):
            labels = None if label is None else torch.full((len(codes),), label, device=codes.device)
            images = self.generator(self.inputs(codes, noise.expand(len(codes), -1), labels))
            total += share / len(self.score_noise) * self.losses.generator(self.critic(images, labels))
        return total

    def _shares(self) -> list[tuple[int | None, float]]:
        """Every class with its share of the training images."""
        if self.labels is None:
            return [(None, 1.0)]
        shares = self.labels.bincount(minlength=self.classes) / len(self.labels)
        return list(enumerate(shares.tolist()))

    @torch.no_grad()
    def critic_codes(self, codes: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
        """Bits (images, latent_dim) of the critic's latent layer, 1 above the threshold: of all training images, and
        of G(codes). Needs `train.critic_latent` and the training images.
        """
        assert self.real is not None
        every = torch.arange(len(codes), device=codes.device)
        labels = None if self.labels is None else self.labels[every % len(self.labels)]
        noise = self.score_noise[every % len(self.score_noise)]
        fake = _images(self.generator, self.inputs(codes.float(), noise, labels))
        return self._bits(self.real, self.labels, threshold), self._bits(fake, labels, threshold)

    def _bits(self, images: Tensor, labels: Tensor | None, threshold: float) -> Tensor:
        found = []
        for start in range(0, len(images), _SCORE_BATCH):
            part = slice(start, start + _SCORE_BATCH)
            shown = unit(images[part]) if images.dtype == torch.uint8 else images[part]
            found.append(self.critic.latent(shown, None if labels is None else labels[part]))
        return torch.cat(found) > threshold

    def state_dict(self) -> dict[str, Any]:
        """Nets and optimisers."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """To be called before the first step: a captured graph keeps the tensors that it was captured with."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        parts = {
            "generator": self.generator,
            "critic": self.critic,
            "generator_adam": self.generator_adam,
            "critic_adam": self.critic_adam,
        }
        return parts if self.averaged is None else {**parts, "averaged": self.averaged}


def _images(generator: Generator, inputs: Tensor) -> Tensor:
    return torch.cat([generator(part) for part in inputs.split(_SCORE_BATCH)])


def _descend(loss: Tensor, net: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One optimiser step of this net alone, whatever else the loss depends on."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward(inputs=list(net.parameters()))
    optimizer.step()
