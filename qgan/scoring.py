"""What is scored only now and then because it is dear: a trained generator by every number that has a meaning.

Value and floor go together: the floor is the same score of a second batch of real images in the place of the generated
ones. Names and groups of the scores: `NAMES`.
"""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from qgan import seeds
from qgan.batches import Batches, pools, unit
from qgan.circuits.codes import all_bits
from qgan.ebsd.dataset import Patches
from qgan.metrics.codes import Generalisation, expected_generalisation, passes_as_real
from qgan.metrics.features import FeatureNetwork, load_or_train
from qgan.metrics.kid import kid
from qgan.metrics.memorisation import Memorisation, Nearest, copies, distinct_images, memorisation, nearest_training
from qgan.metrics.mmd import Mmd, MmdTo
from qgan.metrics.neighbours import K, Neighbours, neighbours
from qgan.metrics.physics import NAMES as PHYSICS
from qgan.metrics.physics import Physics
from qgan.metrics.swap import codes_of, swapped
from qgan.priors import Prior
from qgan.trial import Trial
from qgan.wgan import Wgan

_CODES_UP_TO = 12  # bits: so many that an image of every code can be made
_SWAPPED_UP_TO = 20  # bits: so many that their probabilities fit a table
_CODES = ("code_fidelity", "code_rate", "code_coverage")
NAMES = (
    *(f"mmd_{estimator}" for estimator in Mmd._fields),
    "kid",
    *(each.name for each in dataclasses.fields(Neighbours)),
    *(each.name for each in dataclasses.fields(Memorisation)),
    *PHYSICS,
    "distinct_share",  # different images among `score.draws`, over their number
    *_CODES,
)


@dataclass(frozen=True)
class Score:
    """One number of one generator."""

    prior: str  # own, or what stands in for it: one of `metrics.swap.SWAPS`
    name: str  # of NAMES
    value: float  # NaN where it has no meaning
    floor: float  # NaN where real images have no such score


@runtime_checkable
class _Distributed(Protocol):
    """A prior of bits whose probabilities are known, or estimated from its pool."""

    def distribution(self) -> Tensor: ...


class FullScores:
    """Scores against the real images of one trial, whose own numbers are computed once, at the first call."""

    def __init__(self, trial: Trial, data: Patches, batches: Batches, mmd: MmdTo, folder: Path) -> None:
        """`folder` keeps the feature network, which all trials on the same real patches share."""
        self.trial = trial
        self.data = data
        self.batches = batches
        self.mmd = mmd
        self.folder = folder

    def of(self, wgan: Wgan, prior: Prior, epoch: int) -> list[Score]:
        """All scores of the generator under its own prior and under every swap of it.

        Random streams of its own: a trial's curve does not depend on when it is scored in full.
        """
        stream = seeds.torch_stream(self.trial, f"full scores of epoch {epoch}", wgan.device)
        evaluation, m = self.batches.evaluation, len(self.batches.evaluation.images)
        count = max(m, self.trial.score.draws)
        noise = torch.randn(count, self.trial.train.gaussian_dims, generator=stream, device=wgan.device)

        def images(codes: Tensor) -> Tensor:
            """As many as there are real ones, for scores that depend on the number."""
            return wgan.images(codes, noise[: len(codes)], evaluation.labels)

        with _untouched(prior):
            codes = prior.sample(count)
        values = self._values(images(codes[:m]))
        values["distinct_share"] = self._distinct(
            wgan, codes[: self.trial.score.draws], noise[: self.trial.score.draws]
        )
        known = isinstance(prior, _Distributed) and self.trial.latent_dim <= _SWAPPED_UP_TO
        p = prior.distribution() if known else None  # type: ignore[attr-defined]
        if p is not None:
            values.update(self._codes(wgan, p))
        found = {"own": values}
        if p is not None:
            permutation = seeds.torch_stream(self.trial, "prior permutation")
            for name, other in swapped(p, permutation).items():
                found[name] = self._values(images(codes_of(other, m, stream)))
        return [
            Score(prior_name, name, value, self.floors.get(name, float("nan")))
            for prior_name, values in found.items()
            for name, value in values.items()
        ]

    def _values(self, images: Tensor) -> dict[str, float]:
        """Scores of images (k, channels, height, width) uint8, k as many as there are real ones to compare with."""
        points = self.network.features(images)
        copying = memorisation(nearest_training(images, self.batches.training.images), self.held_out)
        return {
            **{f"mmd_{name}": value for name, value in self.mmd(unit(images))._asdict().items()},
            "kid": kid(self.real_points, points),
            **self._neighbours(points),
            **vars(copying),
            **Physics.of(images, self.data.footer.channels).scores(self.physics, self.data.footer.step_um),
        }

    def _neighbours(self, points: Tensor) -> dict[str, float]:
        """Precision, recall, density and coverage; without a meaning where an image has no K other ones."""
        if len(self.real_points) <= K:
            return dict.fromkeys((each.name for each in dataclasses.fields(Neighbours)), float("nan"))
        return vars(neighbours(self.real_points, points, K))

    def _distinct(self, wgan: Wgan, codes: Tensor, noise: Tensor) -> float:
        labels = self.batches.training.labels
        if labels is not None:
            labels = labels[torch.arange(len(codes), device=codes.device) % len(labels)]
        return distinct_images(wgan.images(codes, noise, labels)) / len(codes)

    def _codes(self, wgan: Wgan, p: Tensor) -> dict[str, float]:
        """Fidelity, rate and coverage of `metrics.codes`, by the feature distances d1 <= d2 of a code's image to its
        nearest two training images.

        valid: d1 is no larger than that of 95 % of the floor batch. seen: d1 <= d2 / 3, a copy. Only where a code has
        one image, and there are few enough codes to make all.
        """
        n_bits = self.trial.latent_dim
        if n_bits > _CODES_UP_TO or self.trial.train.gaussian_dims or self.trial.train.conditional:
            return dict.fromkeys(_CODES, float("nan"))
        codes = all_bits(n_bits, p.device).float()
        points = self.network.features(wgan.images(codes, torch.empty(len(codes), 0, device=p.device), None))
        nearest = self._nearest(points)
        valid = passes_as_real(nearest.first, self._nearest(self.floor_points).first).to(p.device)
        seen = copies(nearest).to(p.device)
        found: Generalisation = expected_generalisation(p, valid, seen, self.trial.score.draws)
        return dict(zip(_CODES, (found.fidelity, found.rate, found.coverage), strict=True))

    @cached_property
    def network(self) -> FeatureNetwork:
        """Trained on the pool from which the trials of a study draw: the evaluation patches are not in it."""
        rows, _ = pools(self.trial, self.data.index)
        images = torch.from_numpy(self.data.images[rows])
        which = self.batches.classes or self.trial.data.microstructure
        name = f"{self.data.footer.content_hash} {which} without {self.trial.data.evaluation}"
        return load_or_train(images, name, self.folder).to(self.batches.training.images.device)

    @cached_property
    def real_points(self) -> Tensor:
        return self.network.features(self.batches.evaluation.images)

    @cached_property
    def floor_points(self) -> Tensor:
        return self.network.features(self.batches.floor.images)

    @cached_property
    def training_points(self) -> Tensor:
        return self.network.features(self.batches.training.images)

    @cached_property
    def held_out(self) -> Nearest:
        return nearest_training(self.batches.evaluation.images, self.batches.training.images)

    @cached_property
    def physics(self) -> Physics:
        return Physics.of(self.batches.evaluation.images, self.data.footer.channels)

    @cached_property
    def floors(self) -> dict[str, float]:
        return {**self._values(self.batches.floor.images), "distinct_share": self._distinct_real()}

    def _distinct_real(self) -> float:
        """Of as many real images as there are draws, or of all patches of the data set where it has fewer."""
        rows = np.concatenate(pools(self.trial, self.data.index))
        chosen = seeds.numpy_stream(self.trial, "distinct real images").permutation(rows)[: self.trial.score.draws]
        return distinct_images(torch.from_numpy(self.data.images[np.sort(chosen)])) / len(chosen)

    def _nearest(self, points: Tensor) -> Nearest:
        return nearest_training(points, self.training_points)


@contextmanager
def _untouched(prior: Prior) -> Iterator[None]:
    """Leave a prior, its random stream above all, as it was."""
    state = prior.state_dict()
    try:
        yield
    finally:
        prior.load_state_dict(state)
