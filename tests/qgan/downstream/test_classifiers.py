"""The classifiers one by one: what they start from, what they see, and what they learn."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from qgan.circuits.ansatz import Ansatz
from qgan.downstream.classifiers import Standardise, build, fit, names, parameters, predict
from qgan.downstream.settings import DownstreamSettings

SETTINGS = DownstreamSettings(quantum=True, qubits=3, pooling=2, steps=60, width=4)
ALL = names(SETTINGS)


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (count, 5, 12, 12), generator=stream(seed), dtype=torch.uint8)


def test_a_circuit_never_comes_without_its_classical_equal() -> None:
    assert names(DownstreamSettings()) == ("channel_means", "cnn")
    assert ALL == ("channel_means", "cnn", "quantum", "mlp")


@pytest.mark.parametrize("name", ALL)
def test_initial_weights_follow_the_seed_alone(name: str) -> None:
    one, same, other = (
        build(name, training, 2, SETTINGS, seed) for training, seed in ((noise(9), 1), (noise(4, 7), 1), (noise(9), 2))
    )
    weights = [nn.utils.parameters_to_vector(model.parameters()) for model in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("name", ALL)
def test_global_stream_is_left_alone_and_not_used(name: str) -> None:
    training, labels, after = noise(20), torch.arange(20) % 2, []
    for seed in (3, 4):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        model = build(name, training, 2, SETTINGS, 0)
        fit(model, [(training, labels)], SETTINGS, stream())
        assert torch.equal(torch.get_rng_state(), before)
        after.append(nn.utils.parameters_to_vector(model.parameters()))
    assert torch.equal(*after)


@pytest.mark.parametrize("name", ALL)
def test_an_image_is_classified_alone(name: str) -> None:
    model, images = build(name, noise(20), 3, SETTINGS, 0), noise(6, 1)
    with torch.no_grad():
        together = model(images.float() / 255)
        apart = torch.cat([model(each[None].float() / 255) for each in images])
    assert torch.allclose(together, apart, atol=1e-5)
    assert torch.equal(predict(model, images), together.argmax(1))


@pytest.mark.parametrize("labels", [2, 3, 5])
@pytest.mark.parametrize(("qubits", "layers"), [(2, 1), (4, 3), (6, 2), (8, 1), (10, 2)])
def test_quantum_and_classical_classifier_have_as_many_parameters(qubits: int, layers: int, labels: int) -> None:
    settings = DownstreamSettings(qubits=qubits, layers=layers)
    quantum, mlp = (parameters(build(name, noise(4), labels, settings, 0)) for name in ("quantum", "mlp"))
    assert quantum == 80 * qubits + Ansatz(qubits, layers).n_parameters - qubits + (qubits + 1) * labels
    assert abs(quantum - mlp) <= (qubits + 1 + labels) / 2


def test_three_microstructures_by_their_means() -> None:
    labels = torch.arange(60) % 3
    images = (noise(60) // 4 + (60 * labels[:, None, None, None]).to(torch.uint8)).to(torch.uint8)
    for name in ALL:
        model = build(name, images, 3, SETTINGS, 0)
        fit(model, [(images, labels)], replace(SETTINGS, steps=150), stream())
        assert (predict(model, images) == labels).float().mean() > 0.95, name


def test_standardised_training_features_have_mean_0_and_deviation_1() -> None:
    x = torch.rand(200, 3, 4, 4, generator=stream()) * torch.tensor([1.0, 0.5, 0.1])[:, None, None]
    scaled = Standardise(x)(x)
    assert scaled.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    assert (scaled.std(dim=(0, 2, 3), correction=0) - 1).abs().max() < 1e-5
    assert torch.isfinite(Standardise(torch.ones(1, 3))(torch.zeros(1, 3))).all()  # one patch of one value


def test_each_source_is_an_equal_part_of_every_batch() -> None:
    class Recorder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(2))
            self.seen: list[Tensor] = []

        def forward(self, x: Tensor) -> Tensor:
            self.seen.append(x.mean(dim=(1, 2, 3)))
            return self.bias.expand(len(x), -1)

    black, white = torch.zeros(3, 5, 2, 2, dtype=torch.uint8), torch.full((400, 5, 2, 2), 255, dtype=torch.uint8)
    zeros = torch.zeros(400, dtype=torch.long)
    model = Recorder()
    fit(model, [(black, zeros[:3]), (white, zeros)], SETTINGS, stream())
    assert len(model.seen) == SETTINGS.steps
    assert all(len(batch) == SETTINGS.batch_size and batch.mean() == 0.5 for batch in model.seen)
