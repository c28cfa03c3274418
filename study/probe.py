"""`study plan --probe`: a few steps of each network of the study on this machine. Writes nothing."""

import time
from collections.abc import Callable, Sequence

import torch

from qgan.device import keep_freed_memory, memory_for
from qgan.metrics.mmd import MmdTo
from qgan.settings import TrainSettings
from qgan.trial import Trial
from qgan.wgan import Wgan
from study.pace import Pace, cells_by_name
from study.plan import Planned
from study.spec import Study

STEPS = 20
_WARM_UP = 5  # steps before the clock starts: a GPU captures its graphs in them


def probe(study: Study, planned: Sequence[Planned], shape: tuple[int, int, int], say: Callable[[str], None]) -> Pace:
    """Seconds per epoch of every cell from `STEPS` steps and one score on random images of `shape` (C, H, W).

    The baseline's trial stands for all arms: update events of priors and full scores at horizons are not in it.
    Raises OutOfMemory where a step does not fit.
    """
    keep_freed_memory()
    device = torch.device("cuda" if study.resources.gpu and torch.cuda.is_available() else "cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, int(study.resources.cpu)))
    try:
        first = {each.cell_name: each.trial for each in reversed(planned) if each.arm == study.baseline}
        timed: dict[tuple[TrainSettings, int, int], tuple[float, float]] = {}
        seconds = {}
        for name, trial in first.items():
            size = min(trial.train.batch_size, trial.images)
            alike = trial.train, size, trial.latent_dim
            if alike not in timed:
                say(f"probe: {STEPS} steps of width {trial.train.width}, batch {size}, {trial.latent_dim} bits ...")
                timed[alike] = _time(trial, size, shape, device)
            step, score = timed[alike]
            seconds[name, study.baseline] = trial.images // size * step + score / trial.score.every
    finally:
        torch.set_num_threads(threads)
    gpu = torch.cuda.get_device_name() if device.type == "cuda" else None
    where = gpu or f"this machine's CPU, {max(1, int(study.resources.cpu))} thread(s)"
    return Pace(
        source=f"a probe of {STEPS} steps on {where}; update events of priors and full scores come on top",
        seconds=seconds,
        cells=cells_by_name(planned, study.cells),
        gpu=gpu,
        usd_per_gpu_hour=None,
    )


def _time(trial: Trial, size: int, shape: tuple[int, int, int], device: torch.device) -> tuple[float, float]:
    """Seconds of one step, and of one score."""
    train, m = trial.train, trial.score.images
    labels = torch.arange(size, device=device) % 2 if train.conditional else None
    with memory_for("probing a step", f"train.batch_size (now {train.batch_size}) or train.width (now {train.width})"):
        wgan = Wgan(trial, shape, device, labels=labels)
        real = torch.randint(256, (size, *shape), dtype=torch.uint8, device=device)
        codes = torch.randint(2, (max(size, m), trial.latent_dim), device=device).float()
        noise = torch.randn(max(size, m), train.gaussian_dims, device=device)
        inputs = wgan.inputs(codes[:size], noise[:size], labels)
        share = torch.rand(size, 1, 1, 1, device=device)

        def steps(count: int) -> float:
            start = time.perf_counter()
            for number in range(1, count + 1):
                losses = wgan.step(real, inputs, share, labels, generator=number % train.critic_steps == 0)
            losses.tolist()  # waits for the device
            return (time.perf_counter() - start) / count

        steps(_WARM_UP)
        step = steps(STEPS)
    with memory_for("probing a score", f"score.images (now {m})"):
        mmd = MmdTo(torch.rand(m, *shape, device=device), trial.score.beta)
        start = time.perf_counter()
        classes = torch.arange(m, device=device) % 2 if train.conditional else None
        assert mmd.with_channels(wgan.generate(codes[:m], noise[:m], classes)).joint.v >= 0
        return step, time.perf_counter() - start
