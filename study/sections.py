"""The sections of a study file that are the platform's own; a trial's are in `qgan.settings`."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from qgan.errors import InputError
from qgan.settings import STRICT, ScoreSettings


@dataclass(frozen=True)
class SyntheticSource:
    """Patches cut from synthetic maps, made on first use."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    source: str
    microstructure: str  # ferrite | bainite
    count: int
    evaluation: int
    seed: int = 0
    patch: int = 60  # pixels

    def __post_init__(self) -> None:
        if self.microstructure not in ("ferrite", "bainite"):
            raise InputError(f"is {self.microstructure!r}; synthetic maps are ferrite or bainite", "microstructure")
        if not 8 <= self.patch <= 256:
            raise InputError(f"is {self.patch}; patches have 8 to 256 pixels", "patch")
        if not 4 <= self.evaluation < self.count:
            raise InputError(f"is {self.evaluation}; at least 4 and fewer than count = {self.count}", "evaluation")


@dataclass(frozen=True)
class FileSource:
    """Patches of a Parquet file written by `study data`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    source: str
    evaluation: int
    microstructure: str | None = None


@dataclass(frozen=True)
class Replicates:
    """Which paired seeds to run: first, first + 1, ..."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    count: int
    first: int = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError(f"is {self.count}; at least one replicate is needed", "count")
        if self.first < 0:
            raise InputError(f"is {self.first}; replicates count from 0", "first")

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.first + self.count))


@dataclass(frozen=True)
class Resources:
    """What one trial occupies."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    cpu: float = 1.0
    gpu: float = 0.0  # a share of a GPU, or whole GPUs

    def __post_init__(self) -> None:
        if not 0 < self.cpu <= 1024:
            raise InputError(f"is {self.cpu:g}; a trial needs some CPU", "cpu")
        if not 0 <= self.gpu <= 1:
            raise InputError(f"is {self.gpu:g}; a trial uses from 0 to 1 GPU", "gpu")


@dataclass(frozen=True)
class Score:
    """The section `score:`; the window is analysis, the rest is the trial's."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    images: int = ScoreSettings.images
    every: int = ScoreSettings.every
    beta: float = ScoreSettings.beta
    full_every: int = ScoreSettings.full_every
    draws: int = ScoreSettings.draws
    window: int = 100

    @property
    def of_trial(self) -> dict[str, Any]:
        """What enters the trial's own settings."""
        return {each.name: getattr(self, each.name) for each in fields(ScoreSettings)}

    def __post_init__(self) -> None:
        if self.window < 1:
            raise InputError(f"is {self.window}; the final window holds at least 1 epoch", "window")
