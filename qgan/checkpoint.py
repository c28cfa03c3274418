"""The one checkpoint of a trial: whole or absent, and only for the trial that it was made for."""

import io
from pathlib import Path
from typing import Any

import torch

from qgan.errors import InputError
from qgan.files import whole_file
from qgan.trial import Trial

SCHEMA = 2


class CheckpointError(InputError):
    """A checkpoint is another trial's, of another schema or half a file; the message says what to remove."""


def save(path: Path, trial: Trial, state: dict[str, Any]) -> None:
    """Write under a temporary name, then rename: a kill leaves the old checkpoint or the new one."""
    write(path, {"schema": SCHEMA, "key": trial.key, **state})


def write(path: Path, state: dict[str, Any]) -> None:
    """A file of torch's, whole or absent; OSError where it cannot be kept, of which torch makes a RuntimeError."""
    written = io.BytesIO()
    torch.save(state, written)
    with whole_file(path) as temporary:
        temporary.write_bytes(written.getbuffer())


def load(path: Path, trial: Trial) -> dict[str, Any]:
    """The state as it was saved, on the CPU; raises CheckpointError."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        schema, key = state["schema"], state["key"]
    except Exception as error:  # torch raises many kinds for a file that is not its own
        raise CheckpointError(
            f"{path}: not a whole checkpoint ({type(error).__name__}); remove it to start anew"
        ) from None
    if (schema, key) != (SCHEMA, trial.key):
        raise CheckpointError(
            f"{path}: checkpoint of trial {key}, schema {schema}; this is trial {trial.key}, schema {SCHEMA}; "
            "remove it to start anew"
        )
    return state
