"""One trial: pairing, resume bit for bit, horizons, and what is refused."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from qgan.batches import Batches
from qgan.circuits.ansatz import Ansatz
from qgan.circuits.exact import StateVector
from qgan.ebsd.dataset import Patches
from qgan.errors import Diverged, InputError
from qgan.prior_settings import PRIOR_SETTINGS, BernoulliSettings, PriorSettings, QcbmSettings, TrainedSettings
from qgan.seeds import torch_stream
from qgan.settings import DataSettings, ScoreSettings, TrainSettings
from qgan.training import IMAGES_KEPT, Epoch, train
from qgan.trial import Trial

CPU = torch.device("cpu")
QCBM = QcbmSettings(gradient="exact", update_every=2, train_epochs=4)
PRIORS = [BernoulliSettings(), QCBM, dataclasses.replace(QCBM, gradient="finite_difference", shots=32)]


def make_trial(prior: PriorSettings, replicate: int = 0, **train_settings: Any) -> Trial:
    return Trial(
        data=DataSettings(patches="test", evaluation=40),
        latent_dim=3,
        images=20,
        replicate=replicate,
        prior=prior,
        train=TrainSettings(**{"batch_size": 8, "width": 4, **train_settings}),
        score=ScoreSettings(images=20),
    )


def comparable(epoch: Epoch) -> dict[str, Any]:
    """All that an epoch says but how long it took, where it was saved and which run trained it."""
    left_out = ("seconds", "checkpointed", "resumed", "images")
    values = {name: value for name, value in vars(epoch).items() if name not in left_out}
    if epoch.images is not None:
        values["images"] = [each.tolist() if hasattr(each, "tolist") else each for each in vars(epoch.images).values()]
    return values


@pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: str(vars(prior).get("gradient", prior.prior)))
def test_resumed_equals_uninterrupted_bit_for_bit(prior: PriorSettings, patches: Patches, tmp_path: Path) -> None:
    trial = make_trial(prior)
    whole = [comparable(epoch) for epoch in train(trial, patches, horizons=[6])]
    checkpoint = tmp_path / "checkpoint.pt"
    for epoch in train(trial, patches, horizons=[6], checkpoint=checkpoint, checkpoint_every=3):
        if epoch.epoch == 5:  # killed two epochs after its checkpoint
            break
    resumed = list(train(trial, patches, horizons=[6], checkpoint=checkpoint, checkpoint_every=3))
    assert [comparable(epoch) for epoch in resumed] == whole
    assert [epoch.resumed for epoch in resumed] == [True] * 3 + [False] * 3
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint.pt"]


OPTIONS: list[dict[str, Any]] = [
    {"objective": "wgan_clip"},
    {"objective": "gan"},
    {"conditional": True, "gaussian_dims": 2},
    {"code": "bits", "depth": 2, "ema": 0.9},
    {"critic_steps": 2},
    {"precision": "bfloat16"},
    {"critic_qubits": 3, "precision": "bfloat16"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options)))
def test_every_option_trains_and_resumes_bit_for_bit(options: dict[str, Any], patches: Patches, tmp_path: Path) -> None:
    trial, checkpoint = make_trial(QCBM, **options), tmp_path / "checkpoint.pt"
    whole = [comparable(epoch) for epoch in train(trial, patches, horizons=[4])]
    plain = [comparable(epoch) for epoch in train(make_trial(QCBM), patches, horizons=[4])]
    assert [row["critic_loss"] for row in whole] != [row["critic_loss"] for row in plain]
    # a conditional model scores two labels, an extra number changes the images: all of it in the resumed rows too
    list(train(trial, patches, horizons=[3], checkpoint=checkpoint))
    resumed = [comparable(epoch) for epoch in train(trial, patches, horizons=[4], checkpoint=checkpoint)]
    assert [row["mmd_u"] for row in resumed] == [row["mmd_u"] for row in whole]


def test_a_conditional_model_makes_every_class_and_says_which(patches: Patches) -> None:
    epochs = list(train(make_trial(QCBM, conditional=True), patches, horizons=[2]))
    images = epochs[-1].images
    assert images is not None
    assert set(images.classes or []) == {"bainite", "ferrite"}
    batches = Batches.of(make_trial(QCBM, conditional=True), patches, CPU)
    assert batches.classes == ("bainite", "ferrite")
    label_of = {
        image.tobytes(): label for image, label in zip(patches.images, patches.index.microstructure, strict=True)
    }
    assert batches.training.labels is not None
    for image, label in zip(batches.training.images, batches.training.labels.tolist(), strict=True):
        assert label_of[image.numpy().tobytes()] == batches.classes[label]


def test_a_conditional_model_needs_two_classes(patches: Patches) -> None:
    trial = make_trial(QCBM, conditional=True)
    trial = dataclasses.replace(
        trial, data=dataclasses.replace(trial.data, microstructure="ferrite", evaluation=20), score=ScoreSettings(10)
    )
    with pytest.raises(InputError, match="two or more microstructures, and all are ferrite"):
        next(iter(train(trial, patches, horizons=[1])))


@pytest.mark.parametrize("name", sorted(PRIOR_SETTINGS))
def test_every_prior_trains_and_resumes(name: str, patches: Patches, tmp_path: Path) -> None:
    settings = PRIOR_SETTINGS[name]
    schedule = {"update_every": 1, "train_epochs": 2} if issubclass(settings, TrainedSettings) else {}
    trial = make_trial(settings(**schedule), critic_latent=name == "qcbm_aan")
    whole = [comparable(epoch) for epoch in train(trial, patches, horizons=[3])]
    assert [row["prior_entropy"] is not None for row in whole] == [bool(schedule), bool(schedule), False]
    list(train(trial, patches, horizons=[1], checkpoint=tmp_path / "checkpoint.pt"))
    resumed = list(train(trial, patches, horizons=[3], checkpoint=tmp_path / "checkpoint.pt"))
    assert [row["mmd_v"] for row in map(comparable, resumed)] == [row["mmd_v"] for row in whole]


def test_a_longer_horizon_continues_the_checkpoint(patches: Patches, tmp_path: Path) -> None:
    trial, checkpoint = make_trial(QCBM), tmp_path / "checkpoint.pt"
    first = list(train(trial, patches, horizons=[3], checkpoint=checkpoint))
    assert [epoch.checkpointed for epoch in first] == [False, False, True]
    longer = list(train(trial, patches, horizons=[3, 5], checkpoint=checkpoint))
    direct = list(train(trial, patches, horizons=[5]))
    assert [each.mmd_v for each in longer] == [each.mmd_v for each in direct]


def test_same_seed_same_numbers_other_replicate_other_numbers(patches: Patches) -> None:
    runs = [[each.mmd_v for each in train(make_trial(QCBM, r), patches, horizons=[2])] for r in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]


def test_nothing_depends_on_global_random_state(patches: Patches) -> None:
    runs = []
    for global_seed in (0, 1):
        torch.manual_seed(global_seed)
        np.random.seed(global_seed)  # the global state is what is tested
        runs.append([comparable(each) for each in train(make_trial(QCBM), patches, horizons=[3])])
    assert runs[0] == runs[1]


def test_arms_of_a_pair_share_patches_networks_and_evaluation(patches: Patches) -> None:
    one, other = make_trial(BernoulliSettings()), make_trial(QCBM)
    a, b = (Batches.of(trial, patches, CPU) for trial in (one, other))
    for name in ("training", "evaluation", "floor"):
        assert torch.equal(getattr(a, name).images, getattr(b, name).images)
    assert not torch.equal(a.training.images, Batches.of(make_trial(QCBM, 1), patches, CPU).training.images)
    first = [next(iter(train(trial, patches, horizons=[1]))) for trial in (one, other)]
    assert first[0].floor_v == first[1].floor_v
    assert torch.equal(first[0].images.real, first[1].images.real)  # type: ignore[union-attr]


def test_evaluation_patches_come_from_other_maps_and_are_disjoint(patches: Patches) -> None:
    batches = Batches.of(make_trial(QCBM), patches, CPU)
    origin = {image.tobytes(): i for i, image in enumerate(patches.images)}
    rows = {
        name: [origin[image.numpy().tobytes()] for image in getattr(batches, name).images]
        for name in ("training", "evaluation", "floor")
    }
    assert {name: len(each) for name, each in rows.items()} == {"training": 20, "evaluation": 20, "floor": 20}
    assert not set(rows["evaluation"]) & set(rows["floor"])
    maps = {name: set(patches.index.map_id[each].tolist()) for name, each in rows.items()}
    assert not maps["training"] & (maps["evaluation"] | maps["floor"])


def test_images_are_kept_at_first_middle_and_horizons(patches: Patches) -> None:
    epochs = list(train(make_trial(QCBM), patches, horizons=[4, 10]))
    assert [epoch.epoch for epoch in epochs if epoch.images] == [1, 4, 5, 10]
    images = epochs[-1].images
    assert images is not None
    assert images.generated.shape == images.real.shape == (IMAGES_KEPT, 5, 12, 12)
    assert images.generated.dtype == torch.uint8
    assert set(images.codes.unique().tolist()) <= {0.0, 1.0}


def test_prior_is_updated_on_schedule_then_frozen(patches: Patches) -> None:
    epochs = list(train(make_trial(QCBM), patches, horizons=[8]))
    assert [epoch.epoch for epoch in epochs if epoch.prior_loss is not None] == [2, 4]


def test_scores_every_so_many_epochs(patches: Patches) -> None:
    trial = dataclasses.replace(make_trial(QCBM), score=ScoreSettings(images=20, every=3))
    epochs = list(train(trial, patches, horizons=[6]))
    assert [epoch.mmd_v is not None for epoch in epochs] == [False, False, True] * 2


def test_training_moves_towards_the_data(patches: Patches) -> None:
    trial = make_trial(BernoulliSettings(), learning_rate=3e-3, width=8)
    epochs = list(train(trial, patches, horizons=[60]))
    assert epochs[-1].mmd_v < 0.6 * epochs[0].mmd_v  # type: ignore[operator]


def test_too_many_images_are_refused(patches: Patches) -> None:
    trial = dataclasses.replace(make_trial(QCBM), images=1000)
    with pytest.raises(InputError, match="training pool holds 80"):
        next(iter(train(trial, patches, horizons=[1])))


def test_a_checkpoint_of_another_trial_or_half_a_file_is_refused(patches: Patches, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    list(train(make_trial(QCBM), patches, horizons=[1], checkpoint=checkpoint))
    with pytest.raises(InputError, match="checkpoint of trial"):
        list(train(make_trial(QCBM, 1), patches, horizons=[1], checkpoint=checkpoint))
    checkpoint.write_bytes(checkpoint.read_bytes()[: checkpoint.stat().st_size // 2])
    with pytest.raises(InputError, match="not a whole checkpoint"):
        list(train(make_trial(QCBM), patches, horizons=[1], checkpoint=checkpoint))


def test_a_diverging_trial_ends_with_its_epoch(patches: Patches) -> None:
    trial = make_trial(BernoulliSettings(), gradient_penalty=1e39)
    with pytest.raises(Diverged, match=r"epoch \d+"):
        list(train(trial, patches, horizons=[50]))


def test_a_finite_loss_out_of_all_measure_ends_the_trial_too(patches: Patches) -> None:
    trial = make_trial(BernoulliSettings(), learning_rate=0.9, objective="wgan_gp", gradient_penalty=0.0)
    with pytest.raises(Diverged, match=r"ran away at epoch \d+: .*\(last ones before: .* at epoch \d+\)"):
        list(train(trial, patches, horizons=[100]))


OUT_OF_MEMORY = """
import resource, sys
import torch
from qgan.ebsd.dataset import read_patches
from qgan.prior_settings import BernoulliSettings
from qgan.settings import DataSettings, ScoreSettings, TrainSettings
from qgan.training import train
from qgan.trial import Trial

def run(width):
    train_settings = TrainSettings(batch_size=20, width=width)
    trial = Trial(DataSettings("test", 40), 3, 20, 0, BernoulliSettings(), train_settings, ScoreSettings(20))
    return train(trial, read_patches(sys.argv[1]), horizons=[1])

list(run(4))
wide = run(512)
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 50 * 2**20,) * 2)
next(wide)
"""


def test_out_of_memory_names_the_settings_to_lower(patches_file: Path) -> None:
    # in a process of its own, which will not be of much use afterwards
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY, str(patches_file)], capture_output=True, text=True, check=False
    )
    told = r"qgan.errors.OutOfMemory: out of memory while training the networks at epoch 1; lower train.batch_size "
    assert re.search(told + r"\(now 20\) or train.width \(now 512\)", done.stderr), done.stderr


class Interrupted(Exception):
    """Stands for anything that ends the process in the middle of a paid update."""


def test_a_paid_update_finds_the_networks_saved(patches: Patches, tmp_path: Path) -> None:
    """Killed in the update: the networks of that epoch are not trained again, and the curve is the same."""
    trial, checkpoint = make_trial(QCBM), tmp_path / "checkpoint.pt"

    def sampler() -> StateVector:
        return StateVector(Ansatz(3), torch_stream(trial, "prior", "cpu"))

    class Broken(StateVector):
        def probabilities(self, theta: torch.Tensor) -> torch.Tensor:
            if checkpoint.exists():  # the first update has begun
                raise Interrupted
            return super().probabilities(theta)

    whole = [comparable(row) for row in train(trial, patches, horizons=[5], sampler=sampler())]
    broken = Broken(Ansatz(3), torch_stream(trial, "prior", "cpu"))
    rows = []
    with pytest.raises(Interrupted):
        for row in train(trial, patches, horizons=[5], sampler=broken, checkpoint=checkpoint):
            rows.append(row)
    assert len(rows) == 1  # QCBM updates every 2 epochs
    state = torch.load(checkpoint, weights_only=True)
    assert state["trained"] == pytest.approx([whole[1]["critic_loss"], whole[1]["generator_loss"]])
    resumed = [comparable(row) for row in train(trial, patches, horizons=[5], sampler=sampler(), checkpoint=checkpoint)]
    assert resumed == whole


def test_minutes_between_checkpoints(patches: Patches, tmp_path: Path) -> None:
    rows = train(make_trial(QCBM), patches, horizons=[4], checkpoint=tmp_path / "checkpoint.pt", checkpoint_minutes=0.0)
    assert [row.checkpointed for row in rows] == [True] * 4
