"""The epoch loop: one trial from its patches to a curve, resumable at every checkpoint."""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from qgan import checkpoint as checkpoints
from qgan import priors, seeds
from qgan.batches import Batches, rounded, unit
from qgan.checkpoint import CheckpointError
from qgan.circuits import Sampler
from qgan.curve import Epoch, Images, plain, row_of
from qgan.device import arithmetic, keep_freed_memory, memory_for
from qgan.ebsd.dataset import Patches
from qgan.errors import Diverged
from qgan.metrics.mmd import ChannelMmd, MmdTo
from qgan.priors import PriorUpdate, TrainablePrior
from qgan.scoring import FullScores, Score
from qgan.trial import Trial
from qgan.wgan import Wgan

__all__ = ["CheckpointError", "Epoch", "Images", "Run", "generate", "train"]

IMAGES_KEPT = 16  # real and generated images kept at each marked epoch
LARGEST_LOSS = 1e6  # images of 18,000 pixels in [0, 1] are at most 134 apart, and so are their judgements at slope 1


def train(
    trial: Trial,
    data: Patches,
    *,
    horizons: Sequence[int],  # epochs after which images are kept; training ends at the longest
    sampler: Sampler | None = None,  # runs a quantum prior's circuits instead of its backend's own; may cost money
    checkpoint: Path | None = None,  # continued where it exists, kept up to date
    checkpoint_every: int = 50,  # epochs; horizons always, and before every update event on `sampler`
    checkpoint_minutes: float = 10.0,  # at most so long after the last one, at the end of an epoch
    features: Path | None = None,  # folder of the feature network; without it there are no full scores
    device: torch.device | str = "cpu",
) -> Iterator[Epoch]:
    """Train one WGAN with its prior and yield every epoch from the first on.

    A resumed trial yields the epochs of its checkpoint again, without training them, then goes on as if it had
    never stopped: bit for bit on a CPU with the same number of threads.

    Raises InputError where trial and data do not fit, CheckpointError where the checkpoint cannot be continued,
    Diverged where a loss runs away, OutOfMemory where an allocation fails.
    """
    run = Run(trial, data, sorted(horizons), sampler, torch.device(device), checkpoint, features)
    return run.epochs(checkpoint_every, 60 * checkpoint_minutes)


def generate(
    trial: Trial,
    data: Patches,
    checkpoint: Path,
    count: int,
    microstructure: str | None = None,  # of a conditional model's images; None: as they are among the training patches
    device: torch.device | str = "cpu",
) -> Tensor:
    """Images (count, channels, height, width) uint8 of a trained trial; the same ones every time.

    Raises CheckpointError where the checkpoint is not this trial's.
    """
    run = Run(trial, data, [1], None, torch.device(device), None, None)
    run.load(checkpoint)
    labels = run.batches.training.labels
    if labels is not None:
        labels = labels[torch.arange(count, device=run.device) % len(labels)]
        if microstructure is not None:
            labels = torch.full_like(labels, run.batches.classes.index(microstructure))
    codes, noise = run.prior.sample(count), run.noise(count)
    with arithmetic("float32", run.device):
        return run.wgan.images(codes, noise, labels).cpu()


class Run:
    """The state of one training run."""

    def __init__(
        self,
        trial: Trial,
        data: Patches,
        horizons: list[int],
        sampler: Sampler | None,
        device: torch.device,
        checkpoint: Path | None,
        features: Path | None,
    ) -> None:
        keep_freed_memory()
        self.trial = trial
        self.horizons = horizons
        self.device = device
        self.checkpoint = checkpoint
        self.paid = sampler is not None
        with memory_for("loading the patches", "images, data.evaluation or score.images"):
            self.batches = Batches.of(trial, data, device)
            training = self.batches.training
            shape: tuple[int, int, int] = tuple(training.images.shape[1:])  # type: ignore[assignment]
            self.wgan = Wgan(trial, shape, device, training.images, training.labels)
            self.prior = priors.build(trial, device, sampler)
        self.streams = {
            purpose: seeds.torch_stream(trial, purpose, device)
            for purpose in ("batch order", "gradient-penalty mixing", "extra noise")
        }
        with arithmetic("float32", device), memory_for("scoring", f"score.images (now {trial.score.images})"):
            self.mmd = MmdTo(unit(self.batches.evaluation.images), trial.score.beta)
            self.floor = self.mmd.with_channels(unit(self.batches.floor.images))
        self.full = None if features is None else FullScores(trial, data, self.batches, self.mmd, features)
        self.critic_steps = 0
        self.trained: list[float] | None = None  # losses of an epoch whose networks are trained, its prior not yet
        self.done: list[Epoch] = []
        self.seconds = 0.0

    def epochs(self, checkpoint_every: int, checkpoint_seconds: float) -> Iterator[Epoch]:
        """Every epoch up to the longest horizon; those that the checkpoint holds come again, and are not trained.

        The checkpoint is written at horizons, after every `checkpoint_every` epochs, and where the last one is
        `checkpoint_seconds` old, each time before the epoch is yielded. Raises what `train` raises.
        """
        if self.checkpoint is not None and self.checkpoint.exists():
            self.load(self.checkpoint)
            yield from (dataclasses.replace(row, resumed=True) for row in self.done)
        saved = time.monotonic()
        for epoch in range(len(self.done) + 1, self.horizons[-1] + 1):
            row = self.run_epoch(epoch)
            self.done.append(row)
            due = epoch in self.horizons or epoch % checkpoint_every == 0
            if self.checkpoint is not None and (due or time.monotonic() - saved >= checkpoint_seconds):
                self.save(self.checkpoint)
                saved = time.monotonic()
                row = dataclasses.replace(row, checkpointed=True)
            yield row

    def run_epoch(self, epoch: int) -> Epoch:
        """One epoch: the networks, then the prior and the scores where they are due. The caller adds it to `done`.

        Raises Diverged where a loss runs away, OutOfMemory where an allocation fails.
        """
        start = time.perf_counter()
        critic_loss, generator_loss = self.train_networks(epoch)
        update = self.update_prior(epoch)
        mmd, distinct, images = self.score(epoch) if epoch % self.trial.score.every == 0 else (None, None, None)
        full = self.full_scores(epoch)
        self.seconds += time.perf_counter() - start
        return Epoch(
            epoch=epoch,
            seconds=self.seconds,
            critic_loss=critic_loss,
            generator_loss=generator_loss,
            mmd_v=mmd.joint.v if mmd else None,
            mmd_u=mmd.joint.u if mmd else None,
            floor_v=self.floor.joint.v,
            floor_u=self.floor.joint.u,
            channel_mmd_v=[each.v for each in mmd.per_channel] if mmd else None,
            channel_mmd_u=[each.u for each in mmd.per_channel] if mmd else None,
            channel_floor_v=[each.v for each in self.floor.per_channel],
            channel_floor_u=[each.u for each in self.floor.per_channel],
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
            full_scores=full,
        )

    def train_networks(self, epoch: int) -> list[float]:
        """One pass over the training images; returns the mean losses of critic and generator."""
        if self.trained is not None:  # a checkpoint was made between the pass and the prior's update
            return self.trained
        settings, training = self.trial.train, self.batches.training
        size = min(settings.batch_size, len(training.images))
        steps = len(training.images) // size
        lower = f"train.batch_size (now {settings.batch_size}) or train.width (now {settings.width})"
        with memory_for(f"training the networks at epoch {epoch}", f"{lower}, or give each trial more of the GPU"):
            # the remainder of a pass is left out, another one each time: every batch has the same size
            order = torch.randperm(len(training.images), generator=self.streams["batch order"], device=self.device)
            order = order[: steps * size]
            labels = None if training.labels is None else training.labels[order]
            inputs = self.wgan.inputs(self.prior.sample(steps * size), self.noise(steps * size), labels)
            shares = self.uniform(steps * size)
            losses = torch.zeros(2, device=self.device)
            generator_steps = 0
            for batch in torch.arange(steps * size, device=self.device).split(size):
                self.critic_steps += 1
                both = self.critic_steps % settings.critic_steps == 0
                generator_steps += both
                found = self.wgan.step(
                    training.images[order[batch]],
                    inputs[batch],
                    shares[batch],
                    None if labels is None else labels[batch],
                    generator=both,
                )
                losses[: len(found)] += found
        critic_loss, generator_loss = losses.tolist()  # waits for the device, once
        self.trained = [critic_loss / steps, generator_loss / generator_steps]
        if not all(abs(loss) < LARGEST_LOSS for loss in self.trained):  # not true of NaN either
            raise Diverged(self.divergence(epoch))
        return self.trained

    def noise(self, count: int) -> Tensor:
        """The generator's extra normal numbers (count, gaussian_dims)."""
        return torch.randn(
            count, self.trial.train.gaussian_dims, generator=self.streams["extra noise"], device=self.device
        )

    def uniform(self, count: int) -> Tensor:
        """Places (count, 1, 1, 1) on the lines between real and generated images."""
        stream = self.streams["gradient-penalty mixing"]
        return torch.rand(count, 1, 1, 1, generator=stream, device=self.device)

    def update_prior(self, epoch: int) -> PriorUpdate | None:
        prior, settings = self.prior, self.trial.prior
        if not (isinstance(prior, TrainablePrior) and settings.due(epoch)):  # type: ignore[union-attr]
            self.trained = None
            return None
        if self.paid and self.checkpoint is not None:
            self.save(self.checkpoint)
        lower = f"latent_dim (now {self.trial.latent_dim}) or the prior's shots"
        try:
            with arithmetic("float32", self.device), memory_for(f"updating the prior at epoch {epoch}", lower):
                update = prior.update(self.wgan)
        except Diverged as error:
            raise Diverged(f"at epoch {epoch} {error}") from None
        self.trained = None
        return update

    def score(self, epoch: int) -> tuple[ChannelMmd, int, Images | None]:
        """MMD of as many generated images as there are in the evaluation batch, and a few of them."""
        evaluation, m = self.batches.evaluation, self.trial.score.images
        with arithmetic("float32", self.device), memory_for("scoring", f"score.images (now {m})"):
            codes = self.prior.sample(m)
            generated = self.wgan.generate(codes, self.noise(m), evaluation.labels)
            mmd = self.mmd.with_channels(generated)
        distinct = len(torch.unique(codes, dim=0))
        if epoch not in self.marked_epochs():
            return mmd, distinct, None
        k = IMAGES_KEPT
        pixels = rounded(generated[:k])
        labels = None if evaluation.labels is None else evaluation.labels[:k].tolist()
        classes = None if labels is None else [self.batches.classes[label] for label in labels]
        return mmd, distinct, Images(evaluation.images[:k].cpu(), pixels.cpu(), codes[:k].cpu(), classes)

    def full_scores(self, epoch: int) -> list[Score] | None:
        every = self.trial.score.full_every
        if self.full is None or not (epoch in self.horizons or (every and epoch % every == 0)):
            return None
        with arithmetic("float32", self.device), memory_for("scoring in full", "score.images or score.draws"):
            return self.full.of(self.wgan, self.prior, epoch)

    def marked_epochs(self) -> list[int]:
        """First and middle scored epoch, and the horizons."""
        every = self.trial.score.every
        middle = max(1, round(self.horizons[-1] / 2 / every)) * every
        return [every, middle, *self.horizons]

    def divergence(self, epoch: int) -> str:
        assert self.trained is not None
        now = " and ".join(f"{loss:.4g}" for loss in self.trained)
        before = self.done[-1] if self.done else None
        last = f"{before.critic_loss:.4g} and {before.generator_loss:.4g} at epoch {before.epoch}" if before else "none"
        return (
            f"the losses of critic and generator ran away at epoch {epoch}: {now} (last ones before: {last}); "
            f"lower train.learning_rate (now {self.trial.train.learning_rate:g})"
        )

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all: all that a run needs to go on bit for bit, its epochs included."""
        state = {
            "wgan": self.wgan.state_dict(),
            "prior": self.prior.state_dict(),
            "streams": {purpose: stream.get_state() for purpose, stream in self.streams.items()},
            "critic_steps": self.critic_steps,
            "trained": self.trained,
            "seconds": self.seconds,
            "epochs": [plain(row) for row in self.done],
        }
        checkpoints.save(path, self.trial, state)

    def load(self, path: Path) -> None:
        """Take the state that `save` wrote; raises CheckpointError where it is not whole or another trial's."""
        state = checkpoints.load(path, self.trial)
        self.wgan.load_state_dict(state["wgan"])
        self.prior.load_state_dict(state["prior"])
        for purpose, stream in self.streams.items():
            stream.set_state(state["streams"][purpose])
        self.critic_steps = state["critic_steps"]
        self.trained = state["trained"]
        self.seconds = state["seconds"]
        self.done = [row_of(values) for values in state["epochs"]]
