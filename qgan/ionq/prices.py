"""What IonQ's machines cost: a dated table of list prices. A contract's own prices go in as `Rates`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from qgan.errors import InputError, nearest

STALE_DAYS = 90  # a price read longer ago is told with a warning


@dataclass(frozen=True)
class Rates:
    """Prices of one machine, US dollars."""

    pulse: float  # per gate on one qubit and shot
    two_qubit: float  # per gate on two qubits and shot
    job: float  # per job
    debiased_job: float  # per job with error mitigation
    read: date  # when
    source: str

    def usd(self, pulses: int, entanglers: int, shots: int, debiasing: bool) -> float:
        """Most that a job may cost: the vendor's pages call `job` a minimum, but their formula adds it."""
        gates = (pulses * self.pulse + entanglers * self.two_qubit) * shots
        return gates + (self.debiased_job if debiasing else self.job)

    def warning(self, today: date) -> str | None:
        """A sentence where the prices are older than 90 days."""
        days = (today - self.read).days
        if days <= STALE_DAYS:
            return None
        return (
            f"the prices were read on {self.read} from {self.source}, {days} days ago: look them up and give your own"
        )


_AZURE = "Azure Quantum's price list of IonQ"
_AZURE_DATE = date(2026, 8, 1)
_ARIA = Rates(0.000220, 0.000975, 12.4166, 97.50, _AZURE_DATE, _AZURE)
_FORTE = Rates(0.0001645, 0.001121, 25.7899, 168.195, _AZURE_DATE, _AZURE)

RATES = {
    "qpu.aria-1": _ARIA,
    "qpu.aria-2": _ARIA,  # never listed on its own
    "qpu.forte-1": _FORTE,
    "qpu.forte-enterprise-1": _FORTE,
}


def rates(machine: str) -> Rates:
    """The list prices of a machine; raises InputError where none is known."""
    if machine not in RATES:
        hint = nearest(machine, RATES)
        raise InputError(f"no price is known for {machine}{hint}: give the prices of your contract", "backend")
    return RATES[machine]


def quoted(answer: Mapping[str, Any], source: str, today: date) -> Rates | None:
    """The prices in a service's answer to `GET /jobs/estimate`; None where it names none that we can read.

    Ask with the debiasing that is wanted: the answer names one price per job. A price of zero is no price: a contract
    that is billed by time has such cards, and a cap of money would hold nothing back.
    """
    card = answer.get("rate_information") or {}
    try:
        pulse, two_qubit, job = (float(card[key]) for key in ("cost_1q_gate", "cost_2q_gate", "job_cost_minimum"))
    except (KeyError, TypeError, ValueError):
        return None
    if not all(math.isfinite(price) and price > 0 for price in (pulse, two_qubit, job)):
        return None
    return Rates(pulse, two_qubit, job, job, today, source)
