"""Clock and machine of all benchmarks."""

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from statistics import median

import torch

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
    packages = ", ".join(filter(None, map(_version, ("torch", "qiskit", "qiskit-aer"))))
    threads, load = torch.get_num_threads(), os.getloadavg()[0]
    return f"{name}, {os.cpu_count()} cores, {threads} torch threads, load {load:.1f}; {packages}"


def timed(runs: dict[str, Run], repeats: int) -> dict[str, tuple[float, float]]:
    """Median and shortest wall time of each run, ms, after a warm-up; in turns, so that a busy machine hits all."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            run()  # the rival before it has taken caches and threads
            _wait()
            start = time.perf_counter()
            run()
            _wait()
            if repeat > 0:
                seconds[name].append(time.perf_counter() - start)
    return {name: (1e3 * median(each), 1e3 * min(each)) for name, each in seconds.items()}


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def shown(took: tuple[float, float]) -> str:
    """Median (shortest) in ms."""
    return f"{took[0]:.2f} ({took[1]:.2f})"


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""
