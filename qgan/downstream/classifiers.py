"""Classifiers of patches, small enough to train in a second: all map images (k, C, H, W) in [0, 1] to logits.

name           what it reads                          what it is
channel_means  the mean of every channel              logistic regression: where it suffices, the task is trivial
cnn            the pixels                             three convolutions, global mean, linear
quantum        pooling x pooling means per channel    linear to n angles, ansatz, <Z_q>, linear
mlp            the same                               linear to n numbers, one hidden layer with as many parameters
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from qgan.batches import unit
from qgan.circuits.ansatz import Ansatz
from qgan.downstream.settings import DownstreamSettings
from qgan.quantum_layer import QuantumLayer

_LEAST = 0.01  # smallest deviation that is standardised, of pixels in [0, 1]: a constant stays near a constant
_BATCH = 512  # images per forward pass where no gradient is kept


class Standardise(nn.Module):
    """x (k, features, ...) less the mean and over the standard deviation of each feature in the training images."""

    def __init__(self, training: Tensor) -> None:
        super().__init__()
        others = [dim for dim in range(training.ndim) if dim != 1]
        deviation, mean = torch.std_mean(training, dim=others, keepdim=True, correction=0)
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation.clamp(min=_LEAST))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation  # type: ignore[operator]


def names(settings: DownstreamSettings) -> tuple[str, ...]:
    """The classifiers of a test: the trivial one always, and none with a circuit without its classical equal."""
    return ("channel_means", "cnn", "quantum", "mlp") if settings.quantum else ("channel_means", "cnn")


def build(name: str, training: Tensor, labels: int, settings: DownstreamSettings, seed: int) -> nn.Module:
    """A classifier of so many labels on the device of the training images (m, C, H, W) uint8.

    The seed fixes its initial weights; the training images only say what to standardise by.
    """
    images, channels = unit(training), training.shape[1]
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1 if name == "channel_means" else settings.pooling), nn.Flatten())
    seen = Standardise(images if name == "cnn" else pool(images))
    features, ansatz = channels * settings.pooling**2, Ansatz(settings.qubits, settings.layers)
    with torch.random.fork_rng(devices=[]):  # torch initialises from its global stream only
        torch.manual_seed(seed)
        match name:
            case "channel_means":
                model = nn.Sequential(pool, seen, nn.Linear(channels, labels))
            case "cnn":
                model = nn.Sequential(seen, *_convolutions(channels, settings.width, labels))
            case "quantum":
                model = nn.Sequential(pool, seen, QuantumLayer(features, ansatz, labels))
            case _:
                model = nn.Sequential(pool, seen, *_mlp(features, ansatz, labels))
    return model.to(training.device)


def parameters(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(each.numel() for each in model.parameters())


def fit(
    model: nn.Module, sources: Sequence[tuple[Tensor, Tensor]], settings: DownstreamSettings, stream: torch.Generator
) -> None:
    """Train by cross entropy. `sources` are images (m, C, H, W) uint8 and labels (m,), each an equal part of a batch.

    Equal parts keep a few real patches from drowning in many generated ones.
    """
    adam = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    share = settings.batch_size // len(sources)
    for _ in range(settings.steps):
        batch = []
        for images, labels in sources:
            drawn = torch.randint(len(labels), (share,), generator=stream, device=stream.device)
            batch.append((images[drawn], labels[drawn]))
        images, labels = (torch.cat(parts) for parts in zip(*batch, strict=True))
        adam.zero_grad(set_to_none=True)
        cross_entropy(model(unit(images)), labels).backward()
        adam.step()


@torch.no_grad()
def predict(model: nn.Module, images: Tensor) -> Tensor:
    """The likeliest label (m,) of each image (m, C, H, W) uint8."""
    return torch.cat([model(unit(part)).argmax(1) for part in images.split(_BATCH)])


def _convolutions(channels: int, width: int, labels: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for features, wider in ((channels, width), (width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv2d(features, wider, kernel_size=3, stride=2, padding=1), nn.ReLU()]
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, labels)]


def _mlp(features: int, ansatz: Ansatz, labels: int) -> list[nn.Module]:
    """The quantum layer's two linear maps with hidden units between them in place of its angles.

    n hidden + hidden + hidden labels parameters come as near as they can to the P - n + n labels of the circuit.
    """
    n = ansatz.n_qubits
    hidden = max(1, round((ansatz.n_parameters - n + n * labels) / (n + 1 + labels)))
    first, last = nn.Linear(features, n, bias=False), nn.Linear(hidden, labels)
    return [first, nn.Tanh(), nn.Linear(n, hidden), nn.Tanh(), last]
