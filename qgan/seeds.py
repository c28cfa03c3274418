"""Named random streams: the only source of randomness.

A stream is named by what the arms of a pair share (`Trial.pairing`) and by its purpose; arm names seed nothing.
Two arms of one cell and replicate therefore see the same data subset, initial networks and batch order.
"""

import hashlib

import numpy as np
import torch

from qgan.trial import Trial


def seed(*name: object) -> int:
    """A 63-bit seed from a name of any parts, the same on every machine."""
    text = "\x1f".join(str(part) for part in name)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def numpy_stream(trial: Trial, purpose: str) -> np.random.Generator:
    """The pair's stream for one purpose, for index arithmetic on the host."""
    return np.random.default_rng(seed(trial.pairing, purpose))


def torch_stream(trial: Trial, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """The pair's stream for one purpose, on a device (streams differ between CPU and GPU)."""
    return torch.Generator(device=device).manual_seed(seed(trial.pairing, purpose))
