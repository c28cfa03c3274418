"""The feature network: one per data set, the same numbers whoever trains it, and worth its training."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from qgan.errors import InputError
from qgan.metrics.features import FeatureNetwork, load_or_train
from qgan.metrics.kid import kid
from qgan.metrics.mmd import MmdTo


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 3, 8), (2, 20, 13)])
def test_any_shape_trains_once_and_is_the_same_for_everyone(shape: tuple[int, int, int], tmp_path: Path) -> None:
    images = noise(40, *shape)
    trained = load_or_train(images, "a hash", tmp_path / "new" / "folder")
    (file,) = (tmp_path / "new" / "folder").iterdir()
    stamp = file.stat().st_mtime_ns
    loaded = load_or_train(images, "a hash", tmp_path / "new" / "folder")
    assert file.stat().st_mtime_ns == stamp
    features = trained.features(images)
    assert features.shape == (40, 4)  # one direction per ten images
    assert torch.isfinite(features).all()
    assert torch.equal(loaded.features(images), features)


def test_numbers_depend_on_the_images_alone(tmp_path: Path) -> None:
    images = noise(20, 2, 6, 6)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = load_or_train(images, "a hash", tmp_path / "first").features(images)
        torch.manual_seed(2)
        torch.set_num_threads(2)
        try:
            second = load_or_train(images, "a hash", tmp_path / "second")
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(1)
        assert torch.initial_seed() == 2
    assert torch.equal(first, second.features(images))
    assert not torch.equal(
        first, load_or_train(noise(20, 2, 6, 6, seed=1), "other", tmp_path / "first").features(images)
    )
    assert len(list((tmp_path / "first").iterdir())) == 2


TRAIN = """
import sys, torch
from pathlib import Path
from qgan.metrics import features
train, trained = features._train, []
features._train = lambda *words: (trained.append(1), train(*words))
images = torch.arange(20 * 32).reshape(20, 2, 4, 4).to(torch.uint8)
found = features.load_or_train(images, "a hash", Path(sys.argv[1])).features(images).double().sum(0).tolist()
print(found, len(trained), sep="\\n")
"""


@pytest.mark.parametrize("hosts", [1, 2])
def test_processes_at_the_same_time_train_once_per_host_and_get_the_same_numbers(tmp_path: Path, hosts: int) -> None:
    started = []
    for number in range(3):
        own = tmp_path / f"host {number % hosts}"  # what two hosts do not share
        own.mkdir(exist_ok=True)
        command = [sys.executable, "-c", TRAIN, str(tmp_path / "shared")]
        environment = {**os.environ, "TMPDIR": str(own)}
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
    told = [each.communicate()[0].split("\n") for each in started]
    assert [each.returncode for each in started] == [0, 0, 0]
    assert len({numbers for numbers, *_ in told}) == 1
    assert 1 <= sum(int(trained) for _, trained, *_ in told) <= hosts
    assert len(list((tmp_path / "shared").iterdir())) == 1


def test_damaged_file_is_made_again(tmp_path: Path) -> None:
    images = noise(20, 1, 4, 4)
    whole = load_or_train(images, "a hash", tmp_path).features(images)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:500])
    assert torch.equal(load_or_train(images, "a hash", tmp_path).features(images), whole)
    assert [each.name for each in tmp_path.iterdir()] == [file.name]


def test_features_of_the_training_images_are_white(network: FeatureNetwork, training: torch.Tensor) -> None:
    features = network.features(training).double()
    assert features.shape == (400, 40)
    torch.testing.assert_close(features.mean(0), torch.zeros(40, dtype=torch.double), atol=1e-3, rtol=0)
    torch.testing.assert_close(features.T.cov(), torch.eye(40, dtype=torch.double), atol=5e-3, rtol=0)


def test_an_image_has_its_features_in_any_company(network: FeatureNetwork, training: torch.Tensor) -> None:
    together = network.features(training)
    torch.testing.assert_close(network.features(training[7:8]), together[7:8], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(network.features(training.flip(0)), together.flip(0), atol=1e-3, rtol=1e-3)


def test_features_separate_what_pixel_mmd_cannot(
    network: FeatureNetwork, textures: Callable[..., torch.Tensor]
) -> None:
    """Stripes along or across: the same means, nearly the same distances; and not a damage the network was shown."""

    def scores(seed: int, horizontal: bool) -> tuple[float, float]:
        real, fake = textures(40, 2 * seed + 1000), textures(40, 2 * seed + 1001, horizontal)
        return MmdTo(real.float() / 255)(fake.float() / 255).u, kid(network.features(real), network.features(fake))

    null, striped = (np.array([scores(seed, kind) for seed in range(12)]) for kind in (True, False))
    pixel, feature = (striped.mean(0) - null.mean(0)) / null.std(0, ddof=1)
    assert feature > 10
    assert feature > 5 * abs(pixel)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (noise(1, 3, 16, 16), "1 real image"),
        (noise(4, 3, 16, 16).float(), "float32"),
        (noise(4, 16, 16), "channels"),
        (noise(0, 3, 16, 16), "shape"),
    ],
)
def test_bad_images_get_one_sentence(images: torch.Tensor, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        load_or_train(images, "a hash", tmp_path)
    assert not list(tmp_path.iterdir())


def test_images_of_another_size_or_type_are_refused(network: FeatureNetwork) -> None:
    with pytest.raises(InputError, match="3 x 16 x 17"):
        network.features(noise(4, 3, 16, 17))
    with pytest.raises(InputError, match="float32"):
        network.features(noise(4, 3, 16, 16).float())
