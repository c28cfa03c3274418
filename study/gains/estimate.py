"""What a search will do and about how long it takes, said before it begins."""

import time
from collections.abc import Callable

import torch

from qgan import priors
from qgan.priors.trained import TrainedPrior
from study import patches, trainable
from study.gains.start import arm_trial, required, searched_prior
from study.plan import trials
from study.probe import probe
from study.spec import Study

_CIRCUITS = 5  # timed


def estimate(
    study: Study, start: trainable.Job, at_once: int, trained: bool, tried: int, say: Callable[[str], None]
) -> list[str]:
    """Lines for the user, where `tried` candidates are behind us, and the checkpoint if it is `trained`.

    At most: a candidate that is given up needs fewer cycles.
    """
    search, prior = required(study), searched_prior(study)
    cycles = max(0, search.candidates - tried) * search.seeds + 2 * search.fresh_seeds + 1
    circuits = 2 * prior.iterations + 1
    epochs = search.start_epoch * (not trained) + search.continuation * cycles / at_once
    epoch_s = 0.0
    if epochs:
        pace = probe(study, trials(study), patches.shape(study), say)
        epoch_s = pace.seconds[arm_trial(study).cell_name, study.baseline]
    cycle_s = circuits * _circuit_seconds(study)
    seconds = epochs * epoch_s + cycles / at_once * cycle_s
    training = f"{epochs:.0f} epochs of {epoch_s:.2g} s and " if epochs else ""
    return [
        f"{search.candidates} candidates x {search.seeds} seeds, {tried} tried so far; then the best and "
        f"SPSA's calibration on {search.fresh_seeds} fresh seeds each",
        f"about {_time(seconds)} at most: {training}{cycles} cycles of {circuits} circuits, {cycle_s:.2g} s each, "
        f"{at_once} at once (a probe of {_CIRCUITS} circuits on this machine)",
    ]


def _circuit_seconds(study: Study) -> float:
    """Seconds of one circuit with the arm's shots."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, int(study.resources.cpu)))
    try:
        prior = priors.build(arm_trial(study).trial, "cpu")
        assert isinstance(prior, TrainedPrior)
        prior.measure(prior.theta)
        began = time.perf_counter()
        for _ in range(_CIRCUITS):
            prior.measure(prior.theta)
        return (time.perf_counter() - began) / _CIRCUITS
    finally:
        torch.set_num_threads(threads)


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
