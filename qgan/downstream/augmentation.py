"""Augmentation: classifiers trained on k real patches with and without generated images, tested on other maps."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from qgan import seeds
from qgan.downstream.classifiers import build, fit, names, parameters, predict
from qgan.downstream.settings import DownstreamSettings
from qgan.ebsd.channels import CHANNELS
from qgan.ebsd.dataset import Patches, PatchIndex
from qgan.ebsd.splitting import Indices, split
from qgan.errors import InputError

_TRIVIAL = 0.95  # balanced accuracy of the channel means above which nothing is left to learn from images

Source = tuple[Tensor, Tensor]  # images (m, C, H, W) uint8 and labels (m,)


@dataclass(frozen=True)
class Accuracy:
    """One classifier, trained once and tested on real patches of other maps."""

    k: int  # real training patches per microstructure; 0 for the arm `synthetic`
    seed: int  # 0, 1, ...: the same real patches, images and initial weights in all arms
    arm: str  # real | real+synthetic | synthetic
    classifier: str  # channel_means | cnn | quantum | mlp
    accuracy: float  # share of the test patches with the right label
    balanced_accuracy: float  # mean over microstructures of the share with the right label; chance is 1 / their number
    test: int  # test patches
    parameters: int  # of the classifier


def augmentation(
    patches: Patches,
    synthetic: Mapping[str, Tensor],  # microstructure -> generated images (m, C, H, W) uint8
    held_out: Mapping[str, int],  # microstructure -> `evaluation` of the split by which its generator was trained
    settings: DownstreamSettings,
    device: torch.device | str = "cpu",
) -> Iterator[Accuracy]:
    """The accuracy of every seed, k, arm and classifier, one after the other.

    All arms of a seed share the real patches (those of a smaller k are among those of a larger), the generated
    images, the initial weights and the number of steps. Training and test patches never share a map, and no
    generator has seen a test patch of its microstructure: the test maps are those of the split that `held_out` names,
    as a smaller one may choose other maps. But the generators were trained on real patches of their own, more than a
    small k: what they add is in part what they remember of those.

    Raises InputError unless there are two or more microstructures with two or more maps each, and enough patches and
    images of each.
    """
    seen = _seen(settings.hidden)
    training, test = pools_of(patches, held_out, settings)
    labels = _require_fit(patches, synthetic, settings)

    def real(pools: Iterable[Indices]) -> Source:
        return _source(torch.from_numpy(patches.images[pool][:, seen]).to(device) for pool in pools)

    def rows() -> Iterator[Accuracy]:
        tested, truth = real(test[label] for label in labels)
        for seed in range(settings.seeds):
            name = ("downstream", patches.footer.content_hash, seed)
            drawn = [_shuffled(training[label], *name, "real patches", label) for label in labels]
            taken = [_shuffled(np.arange(len(synthetic[label])), *name, "generated images", label) for label in labels]
            generated = _source(
                synthetic[label][torch.from_numpy(each[: settings.synthetic])][:, seen].to(device)
                for label, each in zip(labels, taken, strict=True)
            )
            for k in (0, *settings.k):
                few = real(pool[:k] for pool in drawn)
                arms = {"synthetic": [generated]} if k == 0 else {"real": [few], "real+synthetic": [few, generated]}
                for (arm, sources), classifier in product(arms.items(), names(settings)):
                    images = torch.cat([images for images, _ in sources])
                    model = build(classifier, images, len(labels), settings, seeds.seed(*name, "weights", classifier))
                    stream = torch.Generator(device).manual_seed(seeds.seed(*name, "batches", k))
                    fit(model, sources, settings, stream)
                    plain, balanced = accuracies(predict(model, tested), truth)
                    yield Accuracy(k, seed, arm, classifier, plain, balanced, len(truth), parameters(model))

    return rows()


def pools_of(
    patches: Patches, held_out: Mapping[str, int], settings: DownstreamSettings
) -> tuple[dict[str, Indices], dict[str, Indices]]:
    """Training pool and test patches as in `split_by_map`; to be asked before a generator is trained.

    Raises InputError where there are not two microstructures, or they have too few patches or maps for the settings.
    """
    _seen(settings.hidden)
    labels = list(patches.footer.microstructures)
    if len(labels) < 2:
        raise InputError(
            f"a classifier needs patches of two or more microstructures, but there are {', '.join(labels) or 'none'}; "
            "build one file of the scans of all",
            "microstructure",
        )
    training, test = split_by_map(patches.index, held_out)
    for label, pool in training.items():
        if max(settings.k) > len(pool):
            raise InputError(
                f"k asks for {max(settings.k)} training patches, but outside the test maps there are {len(pool)} of "
                f"{label}; ask for fewer, lower data.evaluation or add scans",
                "k",
            )
    return training, test


def split_by_map(index: PatchIndex, evaluation: Mapping[str, int]) -> tuple[dict[str, Indices], dict[str, Indices]]:
    """Indices of the training pool and of the test patches of every microstructure, ascending.

    The test patches of a microstructure are all those in the maps of its own split, `evaluation` of it or more; no
    training patch of any microstructure is in any of these maps. InputError where a microstructure has one map only.
    """
    held_out = {}
    for label in sorted(evaluation):
        pool, chosen = split(index, evaluation[label], label)
        held_out[label] = np.unique(index.map_id[chosen])
        if np.isin(index.map_id[pool], held_out[label]).any():
            raise InputError(
                f"all patches of {label} are from one map, but a classifier is tested on other maps than it is "
                "trained on; add scans",
                "evaluation",
            )
    tested = np.isin(index.map_id, np.concatenate(list(held_out.values())))
    return (
        {label: np.flatnonzero((index.microstructure == label) & ~tested) for label in held_out},
        {
            label: np.flatnonzero((index.microstructure == label) & np.isin(index.map_id, maps))
            for label, maps in held_out.items()
        },
    )


def warning(rows: Iterable[Accuracy]) -> str | None:
    """One sentence where channel means tell the microstructures apart, so that accuracies say little of the images."""
    by_k: dict[int, list[float]] = {}
    for row in rows:
        if row.classifier == "channel_means" and row.arm == "real":
            by_k.setdefault(row.k, []).append(row.balanced_accuracy)
    reached, k = max(((fmean(values), k) for k, values in by_k.items()), default=(0.0, 0))
    if reached < _TRIVIAL:
        return None
    return (
        f"the task is trivial: with {k} real patches per microstructure, logistic regression on the channel means "
        f"reaches a balanced accuracy of {reached:.3f}, so accuracies say little about the quality of generated "
        "images; hide the channels that give the microstructure away (hidden)"
    )


def accuracies(predicted: Tensor, labels: Tensor) -> tuple[float, float]:
    """Accuracy (1/m) sum_i [p_i = y_i] and balanced accuracy, the mean over labels of that label's accuracy.

    Source: Brodersen et al., ICPR (2010) 3121.
    """
    right = (predicted == labels).double()
    recall = [right[labels == label].mean() for label in labels.unique()]
    return float(right.mean()), float(torch.stack(recall).mean())


def _require_fit(patches: Patches, synthetic: Mapping[str, Tensor], settings: DownstreamSettings) -> list[str]:
    labels = list(patches.footer.microstructures)
    if sorted(synthetic) != labels:
        raise InputError(
            f"generated images must be of {', '.join(labels)} as the patches, not of {', '.join(synthetic) or 'none'}",
            "microstructure",
        )
    for label, images in synthetic.items():
        if images.dtype != torch.uint8 or images.shape[1:] != patches.images.shape[1:]:
            raise InputError(
                f"generated images of {label} must be uint8 of shape {patches.images.shape[1:]} as the patches, not "
                f"{images.dtype} of {tuple(images.shape[1:])}"
            )
        if len(images) < settings.synthetic:
            raise InputError(
                f"synthetic asks for {settings.synthetic} generated images per microstructure, but there are "
                f"{len(images)} of {label}; generate more or ask for fewer",
                "synthetic",
            )
    return labels


def _source(images: Iterable[Tensor]) -> Source:
    """Images of label 0, of label 1, ... as one batch with its labels."""
    parts = list(images)
    labels = [torch.full((len(part),), label, device=part.device) for label, part in enumerate(parts)]
    return torch.cat(parts), torch.cat(labels)


def _shuffled(indices: Indices, *name: object) -> Indices:
    return np.random.default_rng(seeds.seed(*name)).permutation(indices)


def _seen(hidden: tuple[str, ...]) -> list[int]:
    names = [channel.name for channel in CHANNELS]
    if not set(hidden) < set(names):
        raise InputError(f"hidden must be some of the channels {', '.join(names)}, not {hidden!r}", "hidden")
    return [number for number, name in enumerate(names) if name not in hidden]
