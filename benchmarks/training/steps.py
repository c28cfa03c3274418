"""Steps per second beside the reference, and how much of the device's matrix-product rate a step uses."""

import time
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

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
        flops = {}
        for precision in ("float32", "tf32", "bfloat16") if device == "cuda" else ("float32", "bfloat16"):
            wgan, given = make(device, batch, width=width, precision=precision)
            runs[f"ours, {precision}"] = lambda wgan=wgan, given=given: wgan.step(*given, None, generator=True)
            with FlopCounterMode(display=False) as counter:
                wgan.step(*given, None, generator=True)
            flops[precision] = counter.get_total_flops()
        real, z = unit(given[0]), given[1]
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
            if name.startswith("ours"):
                share = f"{flops[precision] / (each[0] / 1e3) / product_rate(device, precision):.0%}"
            print(f"| {name} | {shown(each)} | {1e3 / each[0]:.1f} | {baseline / each[0]:.2f} | {share} |")
        best = min(each[0] for name, each in took.items() if name.startswith("ours"))
        speed = 1e3 / (best * (3000 // batch))
        print(f"\n{flops['float32'] / 1e9:.0f} GFLOP a step; 3,000 images: {speed:.3f} epochs per s, scores left out")


def product_rate(device: str, precision: str, size: int = 4096) -> float:
    """FLOP/s of one large square product in this precision, the best of five."""
    if device == "cpu":
        size = 2048
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
