"""What attempts at trials have cost: hours of whole GPUs, and US dollars."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from study.prices import list_price


@dataclass(frozen=True)
class Spent:
    """A sum of money and of what it buys."""

    gpu_hours: float = 0.0  # a trial with gpu: 0.25 spends a quarter of its own hours
    usd: float = 0.0  # of the attempts whose price is known

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.gpu_hours + other.gpu_hours, self.usd + other.usd)


def usd_per_hour(gpu: str | None, gpus: float, own: float | None) -> float | None:
    """Price of `gpus` GPUs of a kind: the study's own per GPU-hour, else the list price; None where none is known."""
    if not gpus:
        return None
    price = list_price(gpu) if gpu else None
    rate = own if own is not None else price.usd_per_hour if price else None
    return None if rate is None else rate * gpus


def hours(attempt: Mapping[str, Any]) -> float:
    """From start to last seen; 0 where that is not recorded."""
    try:
        start, end = (datetime.fromisoformat(attempt[name]) for name in ("start", "last_seen"))
        return max(0.0, (end - start).total_seconds() / 3600)
    except (KeyError, TypeError, ValueError):
        return 0.0


def spent(attempts: Iterable[Mapping[str, Any]], gpus: float, own: float | None) -> Spent:
    """What the attempts cost; `gpus` and the price `own` per GPU-hour stand in where an attempt does not say."""
    total = Spent()
    for attempt in attempts:
        lasted = hours(attempt)
        share = attempt.get("gpus", gpus)
        rate = attempt.get("usd_per_hour")
        if rate is None:
            rate = usd_per_hour(attempt.get("gpu"), share, own)
        total += Spent(lasted * share, lasted * (rate or 0.0))
    return total
