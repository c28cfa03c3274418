"""What the bytes of a channel can mean, and which bytes no real patch can hold: tables over all 256."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd.channels import Channel

# Bytes that a generated pixel may be off an allowed value: 0.07 deg of KAM, 0.4 deg of the Kurdjumov-Sachs
# deviation, 2 % of a mask. A sigmoid never quite reaches the bytes that real patches hold exactly.
TOLERANCE = 5
_BYTES = np.arange(256)


@dataclass(frozen=True, eq=False)
class Levels:
    """A channel of whole numbers 0, 1, ...: phase or mask."""

    nearest: NDArray[np.uint8]  # (256,) the number whose byte is nearest
    gap: NDArray[np.bool_]  # (256,) further than the tolerance from every allowed byte

    @classmethod
    def of(cls, channel: Channel) -> "Levels":
        """All whole numbers up to the channel's limit."""
        allowed = channel.encode(np.arange(round(channel.limit) + 1.0)).astype(np.int64)
        distance = np.abs(_BYTES[:, None] - allowed)
        return cls(distance.argmin(axis=1).astype(np.uint8), distance.min(axis=1) > TOLERANCE)


@dataclass(frozen=True, eq=False)
class Measurements:
    """A channel of measurements: a byte is a measured value, the sentinel, or in the gap and thus neither."""

    values: NDArray[np.float64]  # (256,) in the channel's unit, never above its limit
    measured: NDArray[np.bool_]  # (256,) up to the limit, with the tolerance
    sentinel: NDArray[np.bool_]  # (256,) the sentinel, with the tolerance
    gap: NDArray[np.bool_]  # (256,) the rest: 3 to 3.5 deg of KAM, 15 to 20 deg of the deviation, without their ends

    @classmethod
    def of(cls, channel: Channel) -> "Measurements":
        """By the channel's own full scale, limit and sentinel; without a sentinel none is read."""
        top = int(channel.encode(np.array([channel.limit]))[0])
        sentinel = np.zeros(256, np.bool_)
        if channel.sentinel is not None:
            sentinel = np.abs(_BYTES - int(channel.encode(np.array([np.nan]))[0])) <= TOLERANCE
        measured = (top + TOLERANCE >= _BYTES) & ~sentinel
        values = channel.decode(np.minimum(_BYTES, top).astype(np.uint8)).astype(np.float64)
        return cls(values, measured, sentinel, ~measured & ~sentinel)
