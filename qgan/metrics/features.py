"""A small network whose features do not depend on any critic: trained on real patches alone, once per data set.

Its task needs no labels: which damage did a patch suffer? To answer, it must know how real patches look in detail
and how their channels go together, and that is what a generator gets wrong. Features are the last layer's means
over the patch, whitened on the training images: unwhitened, a few directions of brightness drown the rest.
Source: damaged patches as negatives, Sinha et al., ICLR 2021 (negative data augmentation).
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from qgan import checkpoint, seeds
from qgan.batches import unit
from qgan.errors import InputError
from qgan.files import locked

RECIPE = 1  # bump when any number of a trained network changes
WIDTH = 16  # maps of the first layer
DIRECTIONS = 64  # features at most; fewer where images are few
DAMAGES = 5  # kinds, the intact patch among them
BATCH = 24  # patches per damage and step
PASSES = 40  # over the training images; at least STEPS[0] and at most STEPS[1] steps
STEPS = 50, 1000
_LEARNING_RATE = 1e-3
_AT_ONCE = 256  # images per forward pass


class FeatureNetwork(nn.Module):
    """Features of images of one shape."""

    def __init__(self, shape: tuple[int, int, int], directions: int) -> None:
        """`shape` is (channels, height, width) of an image, any size."""
        super().__init__()
        self.shape = shape
        maps = [shape[0], WIDTH, 2 * WIDTH, 4 * WIDTH, 8 * WIDTH]
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, kernel_size=3, stride=stride, padding=1)
            for before, after, stride in zip(maps, maps[1:], (2, 2, 2, 1), strict=False)
        )
        self.mean = nn.Buffer(torch.zeros(maps[-1]))
        self.whitening = nn.Buffer(torch.zeros(maps[-1], directions))

    def forward(self, images: Tensor) -> Tensor:
        """Raw features (k, 8 * WIDTH) of images (k, channels, height, width) in [0, 1]."""
        x = 2 * images - 1
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        return x.mean((2, 3))

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Features (k, d) float32 of `images` (k, channels, height, width) uint8, on the network's device.

        On the training images they have mean 0, variance 1 and no correlation. Raises InputError.
        """
        _require_bytes(images)
        if tuple(images.shape[1:]) != self.shape:
            raise InputError(
                f"images are {_size(images.shape[1:])}, the feature network's {_size(self.shape)}; "
                "train one for this size"
            )
        parts = [self(unit(part.to(self.mean.device))) for part in images.split(_AT_ONCE)]
        return (torch.cat(parts) - self.mean) @ self.whitening


def load_or_train(images: Tensor, content_hash: str, folder: Path) -> FeatureNetwork:
    """The feature network of real `images` (n, channels, height, width) uint8, n >= 2, on the CPU.

    It lies in `folder`, named by `content_hash` (of exactly these images), their shape and the recipe, and is trained
    where it is missing or damaged: on one thread, from a stream of its own, so two processes that train it at the
    same time, or with other resources, write the same numbers. Raises InputError.
    """
    _require_bytes(images)
    if len(images) < 2:
        raise InputError(f"{len(images)} real image, but a feature network needs 2 or more to train on")
    shape = tuple(images.shape[1:])
    name = hashlib.sha256(repr((RECIPE, content_hash, shape, len(images))).encode()).hexdigest()[:16]
    path = folder / f"features-{name}.pt"
    network = FeatureNetwork(shape, min(DIRECTIONS, max(1, len(images) // 10)))  # type: ignore[arg-type]
    if not _loaded(network, path):
        # trials that begin together on one node wait for the first one, and load
        with locked(Path(tempfile.gettempdir()) / f"qgan-{os.getuid()}-{path.stem}.lock"):
            if not _loaded(network, path):
                with _one_thread(), torch.enable_grad(), torch.random.fork_rng(devices=[]):
                    _train(network, images.cpu())
                folder.mkdir(parents=True, exist_ok=True)
                checkpoint.write(path, network.state_dict())
    return network.requires_grad_(False).eval()


def _loaded(network: FeatureNetwork, path: Path) -> bool:
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception:  # missing, or torch's many kinds for a file that is not whole: it can be made again
        return False
    return True


def _train(network: FeatureNetwork, images: Tensor) -> None:
    """Damage recognition, then the whitening of the features of `images`."""
    start = seeds.seed("feature network", RECIPE)
    torch.manual_seed(start)  # torch initialises from its global stream only
    for layer in network.layers:
        assert isinstance(layer, nn.Conv2d)
        nn.init.kaiming_normal_(layer.weight, a=0.2)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    raw = len(network.mean)
    head = nn.Sequential(nn.Linear(raw, raw), nn.ReLU(), nn.Linear(raw, DAMAGES))
    adam = torch.optim.Adam([*network.parameters(), *head.parameters()], lr=_LEARNING_RATE)
    stream = torch.Generator().manual_seed(start)
    damage = torch.arange(DAMAGES).repeat_interleave(BATCH)
    for _ in range(min(max(PASSES * len(images) // len(damage), STEPS[0]), STEPS[1])):
        drawn = torch.randint(len(images), (DAMAGES * BATCH,), generator=stream)
        batch = _window(_damaged(unit(images[drawn]), stream), stream)
        loss = F.cross_entropy(head(network(batch)), damage)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
    with torch.no_grad():
        raw_features = torch.cat([network(unit(part)) for part in images.split(_AT_ONCE)]).double()
        mean = raw_features.mean(0)
        variance, axes = torch.linalg.eigh((raw_features - mean).T @ (raw_features - mean) / (len(images) - 1))
        directions = network.whitening.shape[1]
        variance, axes = variance[-directions:], axes[:, -directions:]
        # a direction in which the images do not differ says nothing; divided by its rounding it would say anything
        scale = torch.where(variance > 1e-7 * variance[-1], variance.rsqrt(), 0)
        network.mean.copy_(mean)
        network.whitening.copy_(axes * scale)


def _damaged(x: Tensor, stream: torch.Generator) -> Tensor:
    """A batch in `DAMAGES` equal parts: intact; each channel from one of two patches; blurred; two patches blended;
    with pixel noise.
    """
    intact, exchanged, blurred, blended, noisy = x.chunk(DAMAGES)
    pick = torch.rand(*exchanged.shape[:2], 1, 1, generator=stream) < 0.5
    noise = torch.randn(noisy.shape, generator=stream)
    return torch.cat(
        [
            intact,
            torch.where(pick, exchanged.roll(1, 0), exchanged),
            F.avg_pool2d(blurred, kernel_size=3, stride=1, padding=1, count_include_pad=False),
            torch.lerp(blended, blended.roll(1, 0), 0.3),
            (noisy + 0.1 * noise).clamp(0, 1),
        ]
    )


def _window(x: Tensor, stream: torch.Generator) -> Tensor:
    """A random window of seven eighths of the patch, mirrored at random: more patches from few."""
    height, width = (max(1, side * 7 // 8) for side in x.shape[2:])
    rows, columns, mirrored = torch.rand(3, generator=stream).tolist()
    top, left = int(rows * (x.shape[2] - height + 1)), int(columns * (x.shape[3] - width + 1))
    x = x[..., top : top + height, left : left + width]
    return x.flip(3) if mirrored < 0.5 else x


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums of a convolution's gradient depend on the number of threads, and training multiplies the difference."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _require_bytes(images: Tensor) -> None:
    if images.dtype != torch.uint8 or images.dim() != 4 or not images.numel():
        raise InputError(
            f"images are {images.dtype} of shape {tuple(images.shape)}; give uint8 pixels (k, channels, height, width)"
        )


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
