"""Clock, machine and problem that all quantum benchmarks share."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from statistics import median

import numpy as np
import torch

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.exact import StateVector

Run = Callable[[], object]


def machine(device: str) -> str:
    """Where the numbers come from, in one line."""
    try:
        with open("/proc/cpuinfo") as lines:
            name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    if device == "cuda":
        name = f"{torch.cuda.get_device_name()} ({name})"
    packages = ", ".join(f"{each} {version(each)}" for each in ("torch", "qiskit", "qiskit-aer"))
    threads, load = torch.get_num_threads(), os.getloadavg()[0]
    return f"{name}, {os.cpu_count()} cores, {threads} torch threads, load {load:.1f}; {packages}"


def timed(runs: dict[str, Run], repeats: int) -> dict[str, tuple[float, float]]:
    """Median and shortest wall time of each run, ms, after a warm-up; in turns, so that a busy machine hits all."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            run()  # the rival before it has taken caches and threads
            start = time.perf_counter()
            run()
            if repeat > 0:
                seconds[name].append(time.perf_counter() - start)
    return {name: (1e3 * median(each), 1e3 * min(each)) for name, each in seconds.items()}


def shown(took: tuple[float, float]) -> str:
    """Median (shortest) in ms."""
    return f"{took[0]:.2f} ({took[1]:.2f})"


@dataclass
class Problem:
    """The gradient of L(theta) = sum_z p_theta(z) f(z) with f known on all codes: one layer, full, RXX, complex64."""

    n: int
    device: str = "cpu"

    def __post_init__(self) -> None:
        stream = torch.Generator(self.device).manual_seed(0)
        self.ansatz = Ansatz(self.n)
        self.theta = self.ansatz.initial_angles(0.5, stream)
        self.f = torch.randn(2**self.n, generator=stream, device=self.device)
        self.sampler = StateVector(self.ansatz, stream)

    def ours(self) -> np.ndarray:
        """dL/dtheta (P,) by one forward and one reverse pass."""
        theta = self.theta.requires_grad_()
        (gradient,) = torch.autograd.grad(self.sampler.probabilities(theta[None])[0] @ self.f, theta)
        return gradient.cpu().numpy()

    def require_equal(self, gradient: np.ndarray, tolerance: float = 1e-5) -> None:
        """Ends the benchmark where a rival's gradient is not ours."""
        apart = float(np.abs(gradient - self.ours()).max())
        if apart > tolerance:
            raise SystemExit(f"the gradients of n = {self.n} differ by {apart:.1e}: nothing to time")
