"""The downstream test: toys with a known answer, maps never shared, bad input."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from qgan.downstream.augmentation import Accuracy, accuracies, augmentation, split_by_map, warning
from qgan.downstream.settings import DownstreamSettings
from qgan.ebsd.dataset import Patches, assemble
from qgan.ebsd.splitting import split
from qgan.errors import InputError

SETTINGS = DownstreamSettings(k=(8,), synthetic=40, seeds=2, steps=60, width=4, quantum=True, qubits=3, layers=1)
HELD_OUT = {"bainite": 30, "ferrite": 30}
SIZE = 12


def toy(classes: NDArray[Any], seed: int, noise: float = 0.1) -> NDArray[np.uint8]:
    """Class 0 is bright above, class 1 below, in each channel: one mean for both."""
    ramp = np.linspace(0.25, 0.75, SIZE)[:, None] * np.ones(SIZE)
    clean = np.where(classes[:, None, None, None] == 1, ramp, ramp[::-1])
    noisy = clean + noise * np.random.default_rng(seed).standard_normal((len(classes), 5, SIZE, SIZE))
    return (noisy.clip(0, 1) * 255).astype(np.uint8)


def make(
    images: NDArray[np.uint8], labels: NDArray[Any], map_id: NDArray[Any], row: NDArray[Any] | None = None
) -> Patches:
    count = len(images)
    columns = {
        "microstructure": [None if label < 0 else ("bainite", "ferrite", "pearlite")[label] for label in labels],
        "source": ["toy"] * count,
        "map_id": map_id,
        "grain_id": np.arange(count),
        "row": np.zeros(count) if row is None else row,
        "column": np.zeros(count),
        "step_um": np.ones(count),
    }
    return assemble(images, columns, settings={}, cleaning=())


def toys(noise: float = 0.1, shuffled: bool = False, count: int = 200) -> Patches:
    """`count` patches of two microstructures, ten maps each."""
    labels, maps = np.arange(count) % 2, np.arange(count) % 20
    shown = np.random.default_rng(5).permutation(labels) if shuffled else labels
    return make(toy(shown, 0, noise), labels, maps)


def generated(noise: float = 0.1, swapped: bool = False, count: int = 40) -> dict[str, Tensor]:
    return {
        name: torch.from_numpy(toy(np.full(count, label != swapped), 100 + label, noise))
        for label, name in enumerate(("bainite", "ferrite"))
    }


def mean(rows: list[Accuracy], classifier: str, arm: str) -> float:
    return float(np.mean([row.balanced_accuracy for row in rows if (row.classifier, row.arm) == (classifier, arm)]))


@pytest.fixture(scope="module")
def separable() -> list[Accuracy]:
    return list(augmentation(toys(), generated(), HELD_OUT, SETTINGS))


def test_every_row_once(separable: list[Accuracy]) -> None:
    names = [(row.k, row.seed, row.arm, row.classifier) for row in separable]
    arms = [(0, "synthetic"), (8, "real"), (8, "real+synthetic")]
    assert sorted(names) == sorted(
        (k, seed, arm, classifier)
        for seed in (0, 1)
        for k, arm in arms
        for classifier in ("channel_means", "cnn", "quantum", "mlp")
    )


def test_separable_toy_is_learned_by_all_but_the_channel_means(separable: list[Accuracy]) -> None:
    for arm in ("real", "real+synthetic", "synthetic"):
        assert {mean(separable, classifier, arm) for classifier in ("cnn", "quantum", "mlp")} == {1.0}
        assert 0.3 < mean(separable, "channel_means", arm) < 0.7
    assert warning(separable) is None


def test_same_seed_same_rows_whatever_else_is_asked_for(separable: list[Accuracy]) -> None:
    torch.manual_seed(99)  # the global stream must not matter
    first = [row for row in separable if row.seed == 0]
    assert list(augmentation(toys(), generated(), HELD_OUT, replace(SETTINGS, seeds=1))) == first
    fewer = list(augmentation(toys(), generated(), HELD_OUT, replace(SETTINGS, seeds=1, quantum=False)))
    assert fewer == [row for row in first if row.classifier in ("channel_means", "cnn")]


def test_labels_that_say_nothing_give_chance() -> None:
    settings = replace(SETTINGS, k=(40,))
    rows = list(augmentation(toys(shuffled=True), generated(), HELD_OUT, settings))
    for classifier in ("cnn", "quantum", "mlp"):
        assert mean(rows, classifier, "real") == pytest.approx(0.5, abs=0.15)
        assert mean(rows, classifier, "synthetic") == pytest.approx(0.5, abs=0.15)


def test_swapped_labels_of_generated_images_are_felt(separable: list[Accuracy]) -> None:
    rows = list(augmentation(toys(), generated(swapped=True), HELD_OUT, SETTINGS))
    for classifier in ("cnn", "quantum", "mlp"):
        assert mean(rows, classifier, "synthetic") == 0
        assert mean(rows, classifier, "real+synthetic") < 1
    real = [row for row in rows if row.arm == "real"]
    assert real == [row for row in separable if row.arm == "real"]  # which never saw them


def test_generated_like_real_does_no_harm_and_helps_where_real_is_scarce() -> None:
    settings = replace(SETTINGS, k=(1, 20))
    rows = list(augmentation(toys(noise=0.6), generated(noise=0.6), HELD_OUT, settings))
    for classifier in ("cnn", "quantum", "mlp"):
        few, many = ([row for row in rows if row.k in (0, k)] for k in (1, 20))
        assert mean(few, classifier, "real+synthetic") > mean(few, classifier, "real") + 0.05
        assert mean(many, classifier, "real+synthetic") > mean(many, classifier, "real") - 0.03


def test_trivial_task_is_named() -> None:
    data = toys()
    brighter = data.images // 2 + (100 * (np.arange(len(data)) % 2)).astype(np.uint8)[:, None, None, None]
    patches = make(brighter, np.arange(len(data)) % 2, data.index.map_id)
    rows = list(augmentation(patches, generated(), HELD_OUT, replace(SETTINGS, quantum=False, seeds=1)))
    assert mean(rows, "channel_means", "real") == 1
    sentence = warning(rows)
    assert sentence is not None and "trivial: with 8 real patches" in sentence and "1.000" in sentence
    assert warning([replace(row, balanced_accuracy=0.94) for row in rows]) is None


def test_hidden_channels_are_not_seen() -> None:
    data = toys(shuffled=True)
    images = data.images.copy()
    images[:, 1] = toy(np.arange(len(data)) % 2, 3)[:, 1]  # only the phase channel tells the microstructures apart
    patches = make(images, np.arange(len(data)) % 2, data.index.map_id)
    settings = replace(SETTINGS, k=(40,), quantum=False, seeds=1)
    seen, hidden = (
        list(augmentation(patches, generated(), HELD_OUT, each))
        for each in (settings, replace(settings, hidden=("phase",)))
    )
    assert mean(seen, "cnn", "real") > 0.95
    assert mean(hidden, "cnn", "real") == pytest.approx(0.5, abs=0.15)


@given(
    st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 11)), min_size=60, max_size=90),
    st.lists(st.integers(1, 6), min_size=3, max_size=3),
)
def test_maps_are_never_shared(rows: list[tuple[int, int]], counts: list[int]) -> None:
    labels, maps = np.array(rows).T
    index = make(np.zeros((len(rows), 5, 8, 8), np.uint8), labels, maps).index  # maps may hold several labels
    there = list(index.footer.microstructures)
    evaluation = dict(zip(there, counts, strict=False))
    try:
        training, test = split_by_map(index, evaluation)
    except InputError:
        return
    tested = set(index.map_id[np.concatenate(list(test.values()))])
    for label, chosen in test.items():
        pool, held_out = split(index, evaluation[label], label)  # a trial's own
        assert len(chosen) >= evaluation[label] and set(held_out) <= set(chosen) and not set(pool) & set(chosen)
        assert not set(index.map_id[training[label]]) & tested
        assert set(index.microstructure[chosen]) == {label} >= set(index.microstructure[training[label]])


def test_test_patches_are_those_no_generator_saw_where_a_smaller_split_takes_other_maps() -> None:
    """Two maps of 10 and 100 patches: 50 fit into the large one only, 5 into either."""
    maps = np.repeat([0, 1, 2, 3], [10, 100, 10, 100])
    trained_on_tested = 0
    for seed in range(8):  # the order of maps follows the content's hash
        images = np.full((220, 5, 8, 8), seed, np.uint8)
        index = make(images, np.repeat([0, 1], 110), maps).index
        for label in ("bainite", "ferrite"):
            pool, _ = split(index, 50, label)
            _, test = split_by_map(index, {"bainite": 50, "ferrite": 50})
            assert not set(test[label]) & set(pool)
            _, smaller = split_by_map(index, {"bainite": 5, "ferrite": 5})
            trained_on_tested += bool(set(smaller[label]) & set(pool))
    assert trained_on_tested > 0  # which is why the number is the trial's own


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
def test_accuracies_by_hand(pairs: list[tuple[int, int]]) -> None:
    predicted, labels = np.array(pairs).T
    plain, balanced = accuracies(torch.from_numpy(predicted.copy()), torch.from_numpy(labels.copy()))
    assert plain == pytest.approx(np.mean(predicted == labels))
    assert balanced == pytest.approx(np.mean([np.mean(predicted[labels == each] == each) for each in set(labels)]))


def test_always_the_same_answer_is_chance_when_balanced() -> None:
    labels = torch.tensor([0] * 90 + [1] * 10)
    assert accuracies(torch.zeros(100, dtype=torch.long), labels) == (0.9, 0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": (90,)}, "k asks for 90 training patches, but outside the test maps there are 70 of bainite"),
        ({"synthetic": 41}, "there are 40 of bainite; generate more or ask for fewer"),
        ({"hidden": ("phases",)}, "hidden must be some of the channels iq, phase, kam, ks_deviation, mask, not"),
        ({"hidden": ("iq", "phase", "kam", "ks_deviation", "mask")}, "hidden must be some of"),
    ],
)
def test_settings_that_do_not_fit_the_patches(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):  # before the first row is asked for
        augmentation(toys(), generated(), HELD_OUT, replace(SETTINGS, **changes))


def test_data_that_cannot_be_used() -> None:
    images, held_out = toys().images, dict.fromkeys(HELD_OUT, 5)
    labels = np.arange(len(images)) % 2
    for patches, message in (
        (make(images, 0 * labels, np.arange(200)), "two or more microstructures, but there are bainite"),
        (make(images, 0 * labels - 1, np.arange(200)), "two or more microstructures, but there are none"),
        (
            make(images, labels, labels, SIZE * np.arange(200)),
            "all patches of bainite are from one map, but a classifier is tested on other",
        ),
    ):
        with pytest.raises(InputError, match=message):
            augmentation(patches, generated(), held_out, SETTINGS)
    for synthetic, message in (
        ({"ferrite": generated()["ferrite"]}, "generated images must be of bainite, ferrite as the patches"),
        ({name: each.float() for name, each in generated().items()}, "must be uint8 of shape"),
        ({name: each[:, :4] for name, each in generated().items()}, "must be uint8 of shape"),
    ):
        with pytest.raises(InputError, match=message):
            augmentation(toys(), synthetic, held_out, SETTINGS)


@pytest.mark.parametrize(
    "changes",
    [{"k": ()}, {"k": (0,)}, {"k": (2, 2)}, {"seeds": 0}, {"batch_size": 3}, {"qubits": 11}, {"learning_rate": 1.0}],
)
def test_settings_out_of_range(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(changes))} must be"):
        DownstreamSettings(**changes)
