"""Would several replicates train faster as one batched model? Per replicate, forward and backward of both nets.

Nets of the reference, since vmap knows no channels last; it turns convolutions into grouped ones. The penalty is left
out on both sides, which flatters the batched model.
"""

from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap

from benchmarks.clock import shown, timed
from benchmarks.training import reference
from qgan.device import keep_freed_memory


def report(repeats: int, device: str, sizes: list[tuple[int, int]], replicates: tuple[int, ...] = (1, 2, 4, 8)) -> None:
    """Prints the time per replicate of both ways."""
    keep_freed_memory()
    print("| width, batch | replicates | one after the other, ms each | as one model, ms each |\n|---|---|---|---|")
    for width, batch in sizes:
        for count in replicates:
            separate, together = _ways(count, width, batch, device)
            took = timed({"separate": separate, "together": together}, repeats)
            each = {name: (times[0] / count, times[1] / count) for name, times in took.items()}
            print(f"| {width}, {batch} | {count} | {shown(each['separate'])} | {shown(each['together'])} |", flush=True)


def _ways(count: int, width: int, batch: int, device: str) -> tuple[Any, Any]:
    nets = [_Pair(width).to(device) for _ in range(count)]
    codes = torch.randint(2, (count, batch, 12), device=device) * 2.0 - 1
    real = torch.rand(count, batch, 5, 60, 60, device=device)
    parameters, buffers = stack_module_state(nets)  # type: ignore[arg-type]

    def loss(weights: dict[str, Tensor], codes: Tensor, real: Tensor) -> Tensor:
        return functional_call(nets[0], (weights, buffers), (codes, real))

    batched = vmap(grad(loss))

    def separate() -> None:
        for net, z, x in zip(nets, codes, real, strict=True):
            net(z, x).backward()

    return separate, lambda: batched(parameters, codes, real)


class _Pair(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.generator, self.critic = reference.generator(12, width), reference.critic(width)

    def forward(self, codes: Tensor, real: Tensor) -> Tensor:
        return self.critic(self.generator(codes)).mean() - self.critic(real).mean()
