"""From a backend's name to the sampler that runs circuits there."""

import torch

from qgan.circuits import Sampler
from qgan.circuits.ansatz import Ansatz
from qgan.circuits.exact import StateVector
from qgan.circuits.noisy import NoisyStateVector
from qgan.errors import InputError, nearest
from qgan.ionq.noise import NAMED, Noise
from qgan.prior_settings import BACKENDS


def make_sampler(backend: str, ansatz: Ansatz, stream: torch.Generator) -> Sampler:
    """The sampler of a backend, on the device of `stream` and drawing from it alone.

    `exact` is our state vector, `aer` is Aer's. `exact:aria-2` and `aer:aria-2` have the noise of that machine, with
    `+spam` its errors of preparation and measurement too; both measure the same distribution, ours faster.
    Raises InputError for any other name.
    """
    noise = _noise(backend)
    if backend.startswith("exact"):
        return NoisyStateVector(ansatz, stream, noise) if noise else StateVector(ansatz, stream)
    from qgan.circuits.aer import AerSampler

    return AerSampler(ansatz, stream, noise, device="GPU" if stream.device.type == "cuda" else "CPU")


def _noise(backend: str) -> Noise | None:
    if backend not in BACKENDS:
        hint = nearest(backend, BACKENDS)
        raise InputError(f"backend must be {', '.join(BACKENDS)}, not {backend!r}{hint}", "backend")
    _, colon, noise = backend.partition(":")
    return NAMED[noise] if colon else None
