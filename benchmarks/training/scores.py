"""What an epoch of 3,000 images spends on its score of 1,000: the kernel sums, and the images made for them."""

import torch

from benchmarks.clock import shown, timed
from benchmarks.training.steps import SHAPE, make
from qgan.metrics.mmd import MmdTo

IMAGES, SCORED, BATCH = 3000, 1000, 64


def report(repeats: int, device: str, sizes: list[tuple[int, int]]) -> None:
    """Prints the shares at each width."""
    print(f"| width | {IMAGES // BATCH} steps, s | kernel part, ms | share | {SCORED} images, ms | share |")
    print("|---|---|---|---|---|---|")
    for width in dict.fromkeys(width for width, _ in sizes):
        for precision in ("tf32", "bfloat16"):
            wgan, given = make(device, BATCH, width=width, precision=precision)
            real = torch.rand(SCORED, *SHAPE, device=device)
            codes = torch.randint(2, (SCORED, 12), device=device).float()
            noise = torch.empty(SCORED, 0, device=device)
            mmd, generated = MmdTo(real), wgan.generate(codes, noise)
            runs = {
                "step": lambda wgan=wgan, given=given: wgan.step(*given, None, generator=True),
                "kernel": lambda mmd=mmd, generated=generated: mmd(generated),
                "images": lambda wgan=wgan, codes=codes, noise=noise: wgan.generate(codes, noise),
            }
            for _ in range(4):
                runs["step"]()
            took = timed(runs, repeats)
            epoch = took["step"][0] * (IMAGES // BATCH)
            shares = [f"{shown(took[name])} | {took[name][0] / epoch:.1%}" for name in ("kernel", "images")]
            print(f"| {width}, {precision} | {epoch / 1e3:.2f} | {shares[0]} | {shares[1]} |")
