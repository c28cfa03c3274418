"""One exact update of the Born machine against one step of the WGAN that it feeds.

The update is the gradient of `qgan.gradients.Exact` at n = 16: 256 codes, scored by the WGAN. The step is one critic
and one generator step on 64 images of 5 x 60 x 60 pixels; both at width 64.
"""

import torch

from benchmarks.clock import shown, timed
from qgan.circuits.ansatz import Ansatz
from qgan.circuits.exact import StateVector
from qgan.gradients import Exact
from qgan.prior_settings import BernoulliSettings
from qgan.settings import DataSettings, ScoreSettings, TrainSettings
from qgan.trial import Trial
from qgan.wgan import Wgan

N, SHOTS = 16, 256


def report(repeats: int, device: str) -> None:
    """Prints both times."""
    train = TrainSettings(batch_size=64, width=64)
    data = DataSettings("benchmark", evaluation=4)
    trial = Trial(data, N, 64, 0, BernoulliSettings(), train, ScoreSettings(images=2))
    wgan = Wgan(trial, (5, 60, 60), torch.device(device))
    stream = torch.Generator(device).manual_seed(0)
    real = torch.randint(256, (train.batch_size, 5, 60, 60), generator=stream, device=device, dtype=torch.uint8)
    inputs = torch.randint(2, (train.batch_size, N), generator=stream, device=device) * 2.0 - 1
    share = torch.rand(train.batch_size, 1, 1, 1, generator=stream, device=device)
    ansatz = Ansatz(N)
    sampler, theta = StateVector(ansatz, stream), ansatz.initial_angles(0.5, stream)
    estimator = Exact(SHOTS)

    def step() -> float:
        return float(wgan.step(real, inputs, share, None, generator=True)[1])

    def circuit() -> float:
        leaf = theta.clone().requires_grad_()
        p = sampler.probabilities(leaf[None])[0]
        drawn = sampler.sample(theta[None], SHOTS)
        return float(torch.autograd.grad(p[: drawn.shape[1]].sum(), leaf)[0][0])

    def update() -> float:
        return estimator(sampler, theta, wgan.score).loss

    print(f"| n = {N}, {SHOTS} shots, width {train.width}, batch {train.batch_size} | ms |\n|---|---|")
    names = {"update of theta": update, "its circuits alone": circuit, "WGAN step": step}
    for name, took in timed(names, repeats).items():
        print(f"| {name} | {shown(took)} |")
