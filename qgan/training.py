"""The epoch loop: one trial from its patches to a curve, resumable at every checkpoint."""

import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qgan import priors, seeds
from qgan.circuits import Sampler
from qgan.ebsd.dataset import Patches, split
from qgan.errors import Diverged, InputError
from qgan.files import whole_file
from qgan.metrics.mmd import MmdTo
from qgan.priors import PriorUpdate, TrainablePrior
from qgan.trial import Trial
from qgan.wgan import Wgan

CHECKPOINT_SCHEMA = 1
IMAGES_KEPT = 16  # real and generated images kept at each marked epoch


class CheckpointError(InputError):
    """A checkpoint is another trial's, of another schema or half a file; the message says what to remove."""


@dataclass(frozen=True)
class Images:
    """A few images of one marked epoch: the first of the real and of the generated batch that were scored."""

    real: Tensor  # (k, channels, height, width) uint8
    generated: Tensor  # (k, channels, height, width) uint8
    codes: Tensor  # (k, latent_dim) float32, of the generated images


@dataclass(frozen=True)
class Epoch:
    """What one epoch yields: a row of the curve, and images where the epoch is marked."""

    epoch: int  # 1, 2, ...
    seconds: float  # training time so far, s
    critic_loss: float  # L_D of Eq. 3, mean over the epoch
    generator_loss: float  # L_G, mean over the epoch
    mmd_v: float | None  # Eq. 9; None where not scored
    mmd_u: float | None
    floor_v: float  # Eq. 9 between two real batches of the same size
    floor_u: float
    distinct_codes: int | None  # different codes among those scored
    prior_loss: float | None  # Eq. 6 at this epoch's update event
    prior_gradient_norm: float | None
    circuits: int  # of the update event
    shots: int
    scores: int  # distinct codes whose f was evaluated
    prior_entropy: float | None  # of the codes after the update event, nats
    prior_perplexity: float | None
    prior_distinct_codes: float | None  # expected number of different codes among the circuit's shots
    prior_total_variation: float | None  # total variation from the starting prior
    prior_mutual_information: float | None  # between two bits, mean over all pairs, nats
    warning: str | None = None  # of the prior
    images: Images | None = None
    checkpointed: bool = False  # a checkpoint that ends with this epoch is on disk


@dataclass(frozen=True)
class Batches:
    """The patches of one trial on its device."""

    training: Tensor  # (images, channels, height, width) uint8
    evaluation: Tensor  # (score.images, channels, height, width) uint8, from other maps
    floor: Tensor  # a second, disjoint batch like it

    @classmethod
    def of(cls, trial: Trial, data: Patches, device: torch.device) -> "Batches":
        """The trial's own draw: the arms of a pair get the same patches in the same order."""
        pool, held_out = split(data.index, trial.data.evaluation, trial.data.microstructure)
        if trial.images > len(pool):
            raise InputError(
                f"images is {trial.images}, but the training pool holds {len(pool)} patches "
                f"({trial.data.evaluation} of {len(data.images)} are kept for evaluation); use at most {len(pool)}",
                "images",
            )
        batches = trial.images // min(trial.train.batch_size, trial.images)
        if trial.train.critic_steps > batches:
            raise InputError(
                f"critic_steps is {trial.train.critic_steps}, but an epoch has {batches} batches, so some epochs would "
                f"not train the generator; use at most {batches}, or smaller batches",
                "critic_steps",
            )
        drawn = seeds.numpy_stream(trial, "training subset").permutation(pool)[: trial.images]
        held_out = seeds.numpy_stream(trial, "evaluation batch").permutation(held_out)
        m = trial.score.images
        return cls(*(_on(device, data.images[part]) for part in (drawn, held_out[:m], held_out[m : 2 * m])))


def train(
    trial: Trial,
    data: Patches,
    *,
    horizons: Sequence[int],  # epochs after which images are kept; training ends at the longest
    sampler: Sampler | None = None,  # runs a quantum prior's circuits instead of its backend's own
    checkpoint: Path | None = None,  # continued where it exists, kept up to date
    checkpoint_every: int = 50,  # epochs; horizons always
    device: torch.device | str = "cpu",
) -> Iterator[Epoch]:
    """Train one WGAN with its prior and yield every epoch from the first on.

    A resumed trial yields the epochs of its checkpoint again, without training them, then goes on as if it had
    never stopped: bit for bit on a CPU with the same number of threads.

    Raises InputError where trial and data do not fit, CheckpointError where the checkpoint cannot be continued,
    Diverged where a loss is not finite.
    """
    return _Run(trial, data, sorted(horizons), sampler, torch.device(device)).epochs(checkpoint, checkpoint_every)


class _Run:
    """The state of one training run."""

    def __init__(
        self, trial: Trial, data: Patches, horizons: list[int], sampler: Sampler | None, device: torch.device
    ) -> None:
        self.trial = trial
        self.horizons = horizons
        self.batches = Batches.of(trial, data, device)
        self.wgan = Wgan(trial, tuple(self.batches.training.shape[1:]), device, self.batches.training)  # type: ignore[arg-type]
        self.prior = priors.build(trial, device, sampler)
        self.order = seeds.torch_stream(trial, "batch order", device)
        real = _unit(self.batches.evaluation)
        self.mmd = MmdTo(real)
        self.floor = self.mmd(_unit(self.batches.floor))
        self.critic_steps = 0
        self.done: list[Epoch] = []
        self.seconds = 0.0

    def epochs(self, checkpoint: Path | None, checkpoint_every: int) -> Iterator[Epoch]:
        if checkpoint is not None and checkpoint.exists():
            self.load(checkpoint)
            yield from self.done
        last = self.horizons[-1]
        for epoch in range(len(self.done) + 1, last + 1):
            row = self.run_epoch(epoch)
            self.done.append(row)
            if checkpoint is not None and (epoch in self.horizons or epoch % checkpoint_every == 0):
                self.save(checkpoint)
                row = dataclasses.replace(row, checkpointed=True)
            yield row

    def run_epoch(self, epoch: int) -> Epoch:
        start = time.perf_counter()
        critic_loss, generator_loss = self.train_networks()
        if not (math.isfinite(critic_loss) and math.isfinite(generator_loss)):
            raise Diverged(self.divergence(epoch))
        update = self.update_prior(epoch)
        scored = epoch % self.trial.score.every == 0
        mmd = images = distinct = None
        if scored:
            codes = self.prior.sample(self.trial.score.images)
            generated = self.wgan.generate(codes)
            mmd = self.mmd(generated)
            distinct = len(torch.unique(codes, dim=0))
            if epoch in self.marked_epochs():
                k = IMAGES_KEPT
                bytes_ = (generated[:k] * 255).round().to(torch.uint8)
                images = Images(self.batches.evaluation[:k].cpu(), bytes_.cpu(), codes[:k].cpu())
        self.seconds += time.perf_counter() - start
        return Epoch(
            epoch=epoch,
            seconds=self.seconds,
            critic_loss=critic_loss,
            generator_loss=generator_loss,
            mmd_v=mmd.v if mmd else None,
            mmd_u=mmd.u if mmd else None,
            floor_v=self.floor.v,
            floor_u=self.floor.u,
            distinct_codes=distinct,
            prior_loss=update.loss if update else None,
            prior_gradient_norm=update.gradient_norm if update else None,
            circuits=update.circuits if update else 0,
            shots=update.shots if update else 0,
            scores=update.scores if update else 0,
            prior_entropy=update.codes.entropy if update else None,
            prior_perplexity=update.codes.perplexity if update else None,
            prior_distinct_codes=update.codes.distinct_codes if update else None,
            prior_total_variation=update.codes.total_variation if update else None,
            prior_mutual_information=update.codes.mutual_information if update else None,
            warning=update.warning if update else None,
            images=images,
        )

    def train_networks(self) -> tuple[float, float]:
        """One pass over the training images; returns the mean losses of critic and generator."""
        training, settings = self.batches.training, self.trial.train
        size = min(settings.batch_size, len(training))
        shuffled = torch.randperm(len(training), generator=self.order, device=training.device)
        critic_losses, generator_losses = [], []
        # the remainder of a pass is left out, another one each time: every batch has the same size
        for batch in shuffled[: len(training) // size * size].split(size):
            critic_losses.append(self.wgan.critic_step(_unit(training[batch]), self.prior.sample(size)))
            self.critic_steps += 1
            if self.critic_steps % settings.critic_steps == 0:
                generator_losses.append(self.wgan.generator_step(self.prior.sample(size)))
        return float(torch.stack(critic_losses).mean()), float(torch.stack(generator_losses).mean())

    def update_prior(self, epoch: int) -> PriorUpdate | None:
        settings = self.trial.prior
        if not (isinstance(self.prior, TrainablePrior) and settings.due(epoch)):  # type: ignore[union-attr]
            return None
        try:
            return self.prior.update(self.wgan)
        except Diverged as error:
            raise Diverged(f"at epoch {epoch} {error}") from None

    def marked_epochs(self) -> list[int]:
        """First and middle scored epoch, and the horizons."""
        every = self.trial.score.every
        middle = max(1, round(self.horizons[-1] / 2 / every)) * every
        return [every, middle, *self.horizons]

    def divergence(self, epoch: int) -> str:
        before = self.done[-1] if self.done else None
        last = f"{before.critic_loss:.4g} and {before.generator_loss:.4g}" if before else "none"
        return (
            f"the losses of critic and generator are no longer finite at epoch {epoch} (last finite ones: {last}); "
            f"lower train.learning_rate (now {self.trial.train.learning_rate:g})"
        )

    def save(self, path: Path) -> None:
        """Write the whole state under a temporary name, then rename: a kill leaves the old or the new one."""
        state = {
            "schema": CHECKPOINT_SCHEMA,
            "key": self.trial.key,
            "wgan": self.wgan.state_dict(),
            "prior": self.prior.state_dict(),
            "order": self.order.get_state(),
            "critic_steps": self.critic_steps,
            "epochs": [_plain(row) for row in self.done],
        }
        with whole_file(path) as temporary:
            torch.save(state, temporary)

    def load(self, path: Path) -> None:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            schema, key = state["schema"], state["key"]
        except Exception as error:  # torch raises many kinds for a file that is not its own
            raise CheckpointError(
                f"{path}: not a whole checkpoint ({type(error).__name__}); remove it to start anew"
            ) from None
        if (schema, key) != (CHECKPOINT_SCHEMA, self.trial.key):
            raise CheckpointError(
                f"{path}: checkpoint of trial {key}, schema {schema}; this is trial {self.trial.key}, "
                f"schema {CHECKPOINT_SCHEMA}; remove it to start anew"
            )
        self.wgan.load_state_dict(state["wgan"])
        self.prior.load_state_dict(state["prior"])
        self.order.set_state(state["order"])
        self.critic_steps = state["critic_steps"]
        self.done = [_row(values) for values in state["epochs"]]
        self.seconds = self.done[-1].seconds


def _plain(row: Epoch) -> dict[str, Any]:
    """An epoch as values that a checkpoint holds without pickled classes."""
    values = dict(vars(row))
    if row.images is not None:
        values["images"] = vars(row.images)
    return values


def _row(values: dict[str, Any]) -> Epoch:
    images = values.pop("images")
    return Epoch(**values, images=Images(**images) if images else None)


def _unit(images: Tensor) -> Tensor:
    """uint8 pixels as float32 in [0, 1]."""
    return images.float() / 255


def _on(device: torch.device, images: "np.ndarray[Any, np.dtype[np.uint8]]") -> Tensor:
    # the copy is needed: patches are read-only memory, which torch cannot wrap
    return torch.from_numpy(np.array(images)).to(device)
