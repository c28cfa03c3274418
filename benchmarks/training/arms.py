"""What a QCBM prior adds to a trial: its codes in every epoch, and its updates on the paper's schedule.

n = 16, 3,000 images, batch 64; 10 update events (bainite: every 10 epochs, the first 100 epochs). The networks are
the same in both arms, so the parts are timed by themselves: 3 % of an epoch is less than its noise.
"""

from typing import Any

import torch

from benchmarks.clock import timed
from benchmarks.training.steps import SHAPE, make
from qgan import priors
from qgan.prior_settings import BernoulliSettings, QcbmSettings
from qgan.settings import DataSettings, ScoreSettings, TrainSettings
from qgan.trial import Trial
from qgan.wgan import Wgan

N, IMAGES, BATCH, EVENTS = 16, 3000, 64, 10


def report(repeats: int, device: str, sizes: list[tuple[int, int]]) -> None:
    """Prints how much dearer each gradient makes the quantum arm, in its first 100 epochs and over 2,000."""
    print("| width, gradient | epoch, s | codes of an epoch, ms | one update, s | dearer, 100 epochs | 2,000 epochs |")
    print("|---|---|---|---|---|---|")
    for width in dict.fromkeys(width for width, _ in sizes):
        train = TrainSettings(batch_size=BATCH, width=width)
        nets, given = make(device, BATCH, width=width)

        def trial(settings: Any, train: TrainSettings = train) -> Trial:
            return Trial(DataSettings("benchmark", 4), N, BATCH, 0, settings, train, ScoreSettings(2))

        bernoulli = priors.build(trial(BernoulliSettings()), device)
        for gradient in ("exact", "finite_difference"):
            prior: Any = priors.build(trial(QcbmSettings(gradient=gradient)), device)
            wgan = Wgan(trial(prior.settings), SHAPE, torch.device(device))
            runs = {
                "step": lambda nets=nets, given=given: nets.step(*given, None, generator=True),
                "bernoulli": lambda bernoulli=bernoulli: bernoulli.sample(IMAGES),
                "qcbm": lambda prior=prior: prior.sample(IMAGES),
                "update": lambda prior=prior, wgan=wgan: prior.update(wgan),
            }
            for _ in range(4):
                runs["step"]()
            ms = {name: each[0] for name, each in timed(runs, repeats).items()}
            epoch = ms["step"] * (IMAGES // BATCH) + ms["bernoulli"]
            codes = ms["qcbm"] - ms["bernoulli"]
            dearer = [(codes * epochs + ms["update"] * EVENTS) / (epoch * epochs) for epochs in (100, 2000)]
            print(
                f"| {width}, {gradient} | {epoch / 1e3:.1f} | {ms['qcbm']:.1f} against {ms['bernoulli']:.1f} "
                f"| {ms['update'] / 1e3:.2f} | {dearer[0]:.2%} | {dearer[1]:.3%} |"
            )
