"""Every parameter of the way from a scan to patches; all of them are written into the Parquet footer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from qgan.errors import InputError

SMALLEST = 8  # patch, pixels


@dataclass(frozen=True)
class Settings:
    """How a scan is cleaned, measured and cut. Angles in degrees, lengths in pixels unless the name says um."""

    patch: int = 60  # height and width of a patch
    centre: Literal["bcc", "fcc", "any"] = "bcc"  # phase of the central grain
    edge: Literal["skip", "clamp"] = "skip"  # windows that leave the map: left out, or shifted inside
    resample_step_um: float | None = None  # every map is brought to this step; None: as measured
    noise: Literal["rules", "network"] = "rules"  # what finds the noise among the indexed points
    min_confidence: float = 0.1  # below: noise (only where the scan has a true confidence index)
    min_region: int = 3  # smaller regions of one orientation are wild spikes: noise
    min_neighbours: int = 3  # valid 8-neighbours that fill a noise pixel; 3 = paper-like, 5 = conservative
    max_passes: int = 10  # of the filling
    grain_angle_deg: float = 5.0  # a larger disorientation is a grain boundary
    min_grain_share: float = 1 / 72  # smallest grain that gets a patch: 50 pixels of 60 x 60, and never under 10
    kam_order: int = 1  # 1 = 3x3 kernel
    kam_shape: Literal["square", "circle"] = "square"  # all of the square, or distances up to the order
    kam_periphery: bool = False  # only the kernel's outermost pixels
    kam_angle_deg: float = 5.0  # larger disorientations are not averaged
    ks_relation: str = "KS"  # "KS", "NW" or Bunge angles "phi1,Phi,phi2" from austenite to ferrite
    ks_reference: Literal["neighbour"] = "neighbour"
    ks_min_boundary: int = 3  # shortest shared boundary of a reference neighbour
    ks_min_grain: int = 5  # smallest grain that has, or is, a reference neighbour
    iq_scale: Literal["map", "fixed"] = "map"  # from the map's percentiles, or 0 to 255 as band contrast is
    iq_low_percentile: float = 0.5  # byte 0 of the IQ channel, per map
    iq_high_percentile: float = 99.5  # byte 255

    @property
    def min_grain(self) -> int:
        """Smallest grain that gets a patch, pixels."""
        return max(10, math.ceil(self.min_grain_share * self.patch**2 - 1e-9))

    def __post_init__(self) -> None:
        for field in fields(self):
            if (words := get_args(field.type)) and all(isinstance(word, str) for word in words):
                value = getattr(self, field.name)
                _require(value in words, field.name, " or ".join(words), value)
        for key, (low, high, unit) in _RANGES.items():
            value = getattr(self, key)
            if value is not None:
                _require(low <= value <= high, key, f"from {low:g} to {high:g}{unit}", value)
        low, high = self.iq_low_percentile, self.iq_high_percentile
        _require(low < high, "iq_low_percentile", f"below iq_high_percentile ({high:g})", low)
        from qgan.ebsd.crystal import relationship

        relationship(self.ks_relation)  # says what is wrong with it


_RANGES = {
    "patch": (SMALLEST, 512, " pixels"),
    "resample_step_um": (1e-3, 1e4, " um"),
    "min_confidence": (0, 1, ""),
    "min_region": (1, 1000, " pixels"),
    "min_neighbours": (1, 8, ""),
    "max_passes": (0, 1000, ""),
    "grain_angle_deg": (2, 15, ""),
    "min_grain_share": (0, 1, ""),
    "kam_order": (1, 30, ""),
    "kam_angle_deg": (0.1, 62.8, ""),
    "ks_min_boundary": (1, 1000, " pixels"),
    "ks_min_grain": (1, 100000, " pixels"),
    "iq_low_percentile": (0, 100, ""),
    "iq_high_percentile": (0, 100, ""),
}


def parsed(words: Sequence[str]) -> dict[str, Any]:
    """Settings from words such as "kam_order=2"; `InputError` for an unknown name or a value of another kind."""
    defaults = {field.name: field.default for field in fields(Settings)}
    values: dict[str, Any] = {}
    for word in words:
        name, sign, text = word.partition("=")
        name, text = name.strip(), text.strip()
        if not sign or name not in defaults:
            raise InputError(f"{word!r} sets nothing; write NAME=VALUE with one of {', '.join(defaults)}", name)
        values[name] = _value(name, defaults[name], text)
    return values


def _value(name: str, default: object, text: str) -> object:
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(default, int):
            return int(text)
        if isinstance(default, float) or default is None:
            return float(text)
    except (ValueError, KeyError):
        kind = (
            "true or false"
            if isinstance(default, bool)
            else "a whole number"
            if isinstance(default, int)
            else "a number"
        )
        raise InputError(f"{name} must be {kind}, not {text!r}", name) from None
    return text


def _require(ok: bool, key: str, rule: str, value: object) -> None:
    if not ok:
        raise InputError(f"{key} must be {rule}, not {value!r}", key)
