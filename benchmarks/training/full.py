"""What full scores cost: 10,000 generated images of 5 x 60 x 60 pixels against as many real ones, part by part."""

from time import perf_counter, process_time

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from benchmarks.training.steps import SHAPE
from qgan.batches import rounded, unit
from qgan.ebsd.channels import CHANNELS
from qgan.metrics.features import DIRECTIONS, FeatureNetwork
from qgan.metrics.kid import kid
from qgan.metrics.memorisation import distinct_images, memorisation, nearest_training
from qgan.metrics.mmd import MmdTo
from qgan.metrics.neighbours import neighbours
from qgan.metrics.physics import Physics

IMAGES, TRAINING, STEP_UM = 10_000, 3000, 0.25


def report(repeats: int, device: str, sizes: list[tuple[int, int]]) -> None:
    """Prints wall and processor time of each score, once; what is computed once per trial of real images is apart."""
    del repeats, sizes
    real, generated, training = (blobs(count, seed).to(device) for seed, count in enumerate((IMAGES, IMAGES, TRAINING)))
    network = FeatureNetwork(SHAPE, DIRECTIONS).to(device)
    torch.nn.init.normal_(network.whitening, generator=torch.Generator(device).manual_seed(0))
    network.requires_grad_(False)
    real_points, held_out = network.features(real[:1000]), nearest_training(real[:1000], training)
    physics = Physics.of(real[:1000], CHANNELS)
    few, all_real = MmdTo(unit(real[:1000])), lambda: MmdTo(unit(real))(unit(generated))
    points = network.features(generated)
    runs = {
        "features": lambda: network.features(generated),
        "MMD to 1,000 real": lambda: few(unit(generated)),
        "KID to 1,000 real": lambda: kid(real_points, points),
        "precision, recall, density, coverage": lambda: neighbours(real_points, points),
        "memorisation, 3,000 training images": lambda: memorisation(nearest_training(generated, training), held_out),
        "physics": lambda: Physics.of(generated, CHANNELS).scores(physics, STEP_UM),
        "distinct images": lambda: distinct_images(generated),
    }
    print("| part | wall, s | processor, s |")
    print("|---|---|---|")
    total = [0.0, 0.0]
    for name, run in runs.items():
        wall, processor = perf_counter(), process_time()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        took = perf_counter() - wall, process_time() - processor
        total = [whole + part for whole, part in zip(total, took, strict=True)]
        print(f"| {name} | {took[0]:.1f} | {took[1]:.1f} |", flush=True)
    print(f"| all | {total[0]:.1f} | {total[1]:.1f} |", flush=True)
    wall, processor = perf_counter(), process_time()
    all_real()
    print(f"| MMD to 10,000 real, theirs among themselves too | {perf_counter() - wall:.1f} | "
          f"{process_time() - processor:.1f} |", flush=True)  # fmt: skip


def blobs(count: int, seed: int) -> Tensor:
    """Images with regions of a few pixels, as physics labels their pieces: (count, *SHAPE) uint8."""
    stream = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, SHAPE[0], SHAPE[1] // 10, SHAPE[2] // 10, generator=stream)
    images = interpolate(coarse, SHAPE[1:], mode="bilinear")
    images[:, 4] = (images[:, 4] > 0.5).float()  # the mask
    images[:, 1] = (images[:, 1] * 3).round() / 3  # phases
    return rounded(images)
