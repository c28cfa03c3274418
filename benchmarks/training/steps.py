"""Steps per second beside the reference, and how much of the device's matrix-product rate a step uses."""

import time
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.clock import shown, timed
from benchmarks.training.reference import Reference
from qgan.batches import unit
from qgan.device import keep_freed_memory
from qgan.prior_settings import BernoulliSettings
from qgan.settings import DataSettings, ScoreSettings, TrainSettings
from qgan.trial import Trial
from qgan.wgan import Wgan

N = 12
SHAPE = (5, 60, 60)


def make(device: str, batch: int, **train: Any) -> tuple[Wgan, tuple[Tensor, Tensor, Tensor]]:
    """A pair of nets and the inputs of one step: real, inputs, share."""
    settings = TrainSettings(batch_size=batch, **train)
    trial = Trial(DataSettings("benchmark", 4), N, batch, 0, BernoulliSettings(), settings, ScoreSettings(2))
    stream = torch.Generator(device).manual_seed(0)
    real = torch.randint(256, (batch, *SHAPE), generator=stream, device=device, dtype=torch.uint8)
    inputs = torch.randint(2, (batch, N), generator=stream, device=device) * 2.0 - 1
    return Wgan(trial, SHAPE, torch.device(device)), (real, inputs, torch.rand(batch, 1, 1, 1, device=device))


def report(repeats: int, device: str, sizes: list[tuple[int, int]]) -> None:
    """Prints a table for each (width, batch): both sides in turns, with the allocator kept warm for both."""
    keep_freed_memory()
    for width, batch in sizes:
        runs: dict[str, Any] = {}
        reference = Reference(N, width, device)
        for precision in ("float32", "tf32", "bfloat16") if device == "cuda" else ("float32", "bfloat16"):
            wgan, given = make(device, batch, width=width, precision=precision)
            runs[f"ours, {precision}"] = lambda wgan=wgan, given=given: wgan.step(*given, None, generator=True)
        real, z, flops = unit(given[0]), given[1], step_flops(width, batch)
        plain = partial(reference.step, real, z)
        runs = {"reference, float32": plain, **runs}
        for _ in range(5):  # past the capture of graphs
            for run in runs.values():
                run()
        took = timed(runs, repeats)
        baseline = took["reference, float32"][0]
        print(f"\n| width {width}, batch {batch} | ms | steps per s | times the reference | of matrix-product rate |")
        print("|---|---|---|---|---|")
        for name, each in took.items():
            precision = name.split(", ")[1]
            share = ""
            if name.startswith("ours") and device == "cuda":
                share = f"{flops / (each[0] / 1e3) / product_rate(device, precision):.0%}"
            print(f"| {name} | {shown(each)} | {1e3 / each[0]:.1f} | {baseline / each[0]:.2f} | {share} |")
        best = min(each[0] for name, each in took.items() if name.startswith("ours"))
        speed = 1e3 / (best * (3000 // batch))
        print(f"\n{flops / 1e9:.0f} GFLOP a step; 3,000 images: {speed:.3f} epochs per s, scores left out")


def step_flops(width: int, batch: int) -> float:
    """Operations in the products of one step of both nets, as `qgan.wgan` takes it."""
    generator = [N * 4 * width * 15**2, 4 * width * 4 * 2 * width * 4 * 16**2, 2 * width * 4 * 5 * 4 * 31**2]
    first, *others = [5 * 16 * width * 30**2, width * 16 * 2 * width * 15**2, 2 * width * 9 * 4 * width * 15**2]
    others.append(4 * width * 15**2)
    # D forward: fake, real, between, G's step; tangent. Back: between and G's step to the image, fake, real
    # and tangent to the first map. Its weights: fake, real, tangent. G: forward, back, weights
    multiplications = 3 * sum(generator) + (5 + 2 + 3) * first + (5 + 5 + 3) * sum(others)
    return 2.0 * batch * multiplications


def product_rate(device: str, precision: str, size: int = 4096) -> float:
    """FLOP/s of one large square product in this precision, the best of five."""
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    torch.backends.cuda.matmul.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    a, b = torch.randn(2, size, size, device=device).to(kind)
    best = float("inf")
    for _ in range(6):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        a @ b
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best
