"""Every parameter of the way from a scan to patches; all of them are written into the Parquet footer."""

import math
from dataclasses import dataclass
from typing import Literal

from qgan.errors import InputError


@dataclass(frozen=True)
class Settings:
    """How a scan is cleaned, measured and cut. Angles in degrees, lengths in pixels."""

    patch: int = 60  # height and width of a patch
    centre: Literal["bcc", "fcc", "any"] = "bcc"  # phase of the central grain
    edge: Literal["skip", "clamp"] = "skip"  # windows that leave the map: left out, or shifted inside
    min_confidence: float = 0.1  # below: noise (only where the scan has a true confidence index)
    min_region: int = 3  # smaller regions of one orientation are wild spikes: noise
    min_neighbours: int = 3  # valid 8-neighbours that fill a noise pixel; 3 = paper-like, 5 = conservative
    max_passes: int = 10  # of the filling
    grain_angle_deg: float = 5.0  # a larger disorientation is a grain boundary
    min_grain_share: float = 1 / 72  # smallest grain that gets a patch: 50 pixels of 60 x 60, and never under 10
    kam_order: int = 1  # 1 = 3x3 kernel
    kam_angle_deg: float = 5.0  # larger disorientations are not averaged
    ks_relation: Literal["KS", "NW"] = "KS"
    ks_reference: Literal["neighbour"] = "neighbour"
    ks_min_boundary: int = 3  # shortest shared boundary of a reference neighbour
    ks_min_grain: int = 5  # smallest grain that has, or is, a reference neighbour
    iq_low_percentile: float = 0.5  # byte 0 of the IQ channel, per map
    iq_high_percentile: float = 99.5  # byte 255

    @property
    def min_grain(self) -> int:
        """Smallest grain that gets a patch, pixels."""
        return max(10, math.ceil(self.min_grain_share * self.patch**2 - 1e-9))

    def __post_init__(self) -> None:
        _require(8 <= self.patch <= 512, "patch", "from 8 to 512 pixels", self.patch)
        _require(self.centre in ("bcc", "fcc", "any"), "centre", "bcc, fcc or any", self.centre)
        _require(self.edge in ("skip", "clamp"), "edge", "skip or clamp", self.edge)
        _require(1 <= self.min_neighbours <= 8, "min_neighbours", "from 1 to 8", self.min_neighbours)
        _require(2 <= self.grain_angle_deg <= 15, "grain_angle_deg", "from 2 to 15", self.grain_angle_deg)
        _require(1 <= self.kam_order <= 30, "kam_order", "from 1 to 30", self.kam_order)


def _require(ok: bool, key: str, rule: str, value: object) -> None:
    if not ok:
        raise InputError(f"{key} must be {rule}, not {value!r}", key)
