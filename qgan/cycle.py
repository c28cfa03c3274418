"""Cycles of SPSA at a trained WGAN whose networks stand still: what gains are worth, without training again."""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from qgan import priors
from qgan.circuits.codes import to_integers
from qgan.device import arithmetic
from qgan.ebsd.dataset import Patches
from qgan.errors import InputError
from qgan.prior_settings import Gains, PriorSettings, TrainedSettings
from qgan.priors.objectives import OncePerCode
from qgan.priors.optimizers import SpsaCycles
from qgan.priors.trained import TrainedPrior
from qgan.seeds import seed
from qgan.training import Run
from qgan.trial import Trial


@dataclass(frozen=True)
class Cycle:
    """One update event of optimizer spsa, and what training made of it."""

    gains: Gains  # those that the event itself calibrated where it was given none
    losses: tuple[float, ...]  # of its 2 iterations + 1 evaluations, in order; those of a calibration are not in it
    start_loss: float  # of the codes that the checkpoint's prior gives
    circuits: int  # run, those of a calibration included
    seconds: float  # of the event
    mmds: tuple[float, ...]  # mmd_v of the scored epochs of the continuation


class FrozenWgan:
    """The networks and the theta of a checkpoint, from which any number of cycles begin.

    As the networks stand still, a code is judged once for all cycles.
    """

    def __init__(self, trial: Trial, data: Patches, checkpoint: Path, device: torch.device | str = "cpu") -> None:
        """`trial` is the checkpoint's own, its prior one that a cycle's prior has the circuit of.

        Raises CheckpointError where the checkpoint is not this trial's, InputError where trial and data do not fit.
        """
        self.run = Run(trial, data, [1], None, torch.device(device), None, None)
        self.run.load(checkpoint)
        self.start = self.run.prior.state_dict()
        self._f = OncePerCode(self.run.wgan.score, trial.latent_dim, self.run.device)

    def score(self, codes: Tensor) -> Tensor:
        """f(z) (k,) of codes (k, n_bits)."""
        return self._f(codes)

    def critic_codes(self, codes: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
        """See `Wgan.critic_codes`."""
        return self.run.wgan.critic_codes(codes, threshold)

    def cycle(self, prior: TrainedSettings, name: str, continuation: int = 0) -> Cycle:
        """One update event of `prior` with random streams of its own, named `name`.

        With a `continuation` the networks then train for so many epochs, the prior standing still: no other cycle
        can follow. Raises Diverged.
        """
        if prior.optimizer != "spsa":
            raise InputError("a cycle needs optimizer: spsa", "optimizer")
        trial = dataclasses.replace(self.run.trial, prior=cast(PriorSettings, prior))
        built = priors.build(trial, self.run.device)
        assert isinstance(built, TrainedPrior)
        assert isinstance(built.optimizer, SpsaCycles)
        built.load_state_dict({**self.start, "optimizer": built.optimizer.state_dict(), "spent": (0, 0)})
        built.stream.manual_seed(seed(trial.pairing, "prior", name))
        built.optimizer.stream = np.random.default_rng(seed(trial.pairing, "prior SPSA", name))
        start = time.perf_counter()
        with arithmetic("float32", self.run.device):
            codes = built.pool if built.pool is not None else to_integers(built.sample(prior.shots))
            start_loss = built.objective(self).measured(built.theta, codes)
            update = built.update(self)
        seconds = time.perf_counter() - start
        assert built.optimizer.gains is not None
        mmds = []
        if continuation:
            first = len(self.run.done) + 1
            self.run.prior = built  # the checkpoint's trial, and so its schedule, is without update events
            self.run.horizons = [first + continuation - 1]
            epochs = [self.run.run_epoch(epoch) for epoch in range(first, first + continuation)]
            mmds = [each.mmd_v for each in epochs if each.mmd_v is not None]
        return Cycle(built.optimizer.gains, update.losses, start_loss, update.circuits, seconds, tuple(mmds))
