"""A trial: everything that changes one WGAN's numbers, as a value with a key. Imports no torch."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, get_type_hints

from qgan.errors import InputError
from qgan.prior_settings import PriorSettings
from qgan.settings import DataSettings, ScoreSettings, TrainSettings, require

SCHEMA = 1  # bump when a default or the meaning of a field changes: every key changes with it


@dataclass(frozen=True)
class Trial:
    """One WGAN with one prior on one training subset.

    Horizons, paths, arm names, resources and git state are not in it: they do not change its numbers.
    """

    data: DataSettings
    latent_dim: int  # bits of a code, qubits of a circuit
    images: int  # training images
    replicate: int  # paired across arms
    prior: PriorSettings
    train: TrainSettings = field(default_factory=TrainSettings)
    score: ScoreSettings = field(default_factory=ScoreSettings)

    def __post_init__(self) -> None:
        require(1 <= self.latent_dim <= 26, "latent_dim", "from 1 to 26 bits", self.latent_dim)
        require(self.images >= 2, "images", "2 or more training images", self.images)
        require(self.replicate >= 0, "replicate", "0 or more", self.replicate)
        if 2 * self.score.images > self.data.evaluation:
            raise InputError(
                f"score.images is {self.score.images}, but score and floor need two disjoint batches out of "
                f"data.evaluation = {self.data.evaluation}; use at most {self.data.evaluation // 2}",
                "images",
            )
        self.prior.require_fit(self.latent_dim, self.train)

    @property
    def key(self) -> str:
        """16 hex digits that name this trial: the hash of its canonical JSON."""
        return _hash(canonical(self))[:16]

    @property
    def pairing(self) -> str:
        """Hash of all that the arms of a pair share: everything but the prior and how the result is scored."""
        return _hash({name: value for name, value in canonical(self).items() if name not in ("prior", "score")})


@cache
def _hints(settings: type) -> dict[str, Any]:
    return get_type_hints(settings)


def canonical(settings: Any) -> dict[str, Any]:
    """A settings dataclass as JSON values cast to their declared types, fields at their default left out."""
    hints = _hints(type(settings))  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for each in dataclasses.fields(settings):
        value = getattr(settings, each.name)
        if dataclasses.is_dataclass(value):
            nested = _nested(value)  # type: ignore[arg-type]
            if nested:
                values[each.name] = dict(nested)
            continue
        value = float(value) if hints[each.name] is float else value
        # the prior's name stays: it decides which defaults were left out
        if value != each.default or each.name == "prior":
            values[each.name] = value
    return values


@lru_cache(maxsize=4096)  # the trials of a study share their settings
def _nested(settings: Any) -> dict[str, Any]:
    return canonical(settings)


def _hash(values: dict[str, Any]) -> str:
    text = json.dumps({"schema": SCHEMA, **values}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
