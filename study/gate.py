"""Whether a further trial may start: budgets, the share of failures, Ctrl-C, the lease, the results folder."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from analysis.records import TrialRecord
from study.exit_codes import BUDGET, FAILED_TRIALS, INPUT
from study.lease import Lease
from study.sections import Budget
from study.spending import Spent, spent

_FEWEST_FAILURES = 5  # before their share says anything


@dataclass(frozen=True)
class Closed:
    """Why no further trial starts."""

    reason: str
    exit_code: int


class Gate:
    """Open until something closes it for good; trials that run already go on to their end."""

    def __init__(self, budget: Budget, gpus: float, records: Mapping[str, TrialRecord], lease: Lease) -> None:
        self.budget, self.gpus, self.lease = budget, gpus, lease
        self.cost = {key: self._cost(record) for key, record in records.items()}
        self.total = sum(self.cost.values(), Spent())
        self.running: dict[str, float] = {}  # key -> start, s, monotonic clock
        self.ended = self.failed = 0  # trials of this launch
        self.closed: Closed | None = None

    def close(self, reason: str, exit_code: int) -> None:
        """Start nothing more; the first reason stays."""
        self.closed = self.closed or Closed(reason, exit_code)

    def check(self) -> bool:
        """Whether a further trial may start now."""
        if self.closed is None:
            found = self._over_budget() or self._too_many_failures() or self._lost()
            if found is not None:
                self.close(*found)
        return self.closed is None

    def started(self, key: str) -> None:
        """A process has taken up the trial."""
        self.running[key] = time.monotonic()

    def stopped(self, key: str, record: TrialRecord | None) -> None:
        """The trial's process has ended, whatever it came to."""
        self.running.pop(key, None)
        if record is None:
            return
        before, now = self.cost.get(key, Spent()), self._cost(record)
        self.cost[key] = now
        self.total += Spent(now.gpu_hours - before.gpu_hours, now.usd - before.usd)
        attempt = record.attempts[-1]
        if self.budget.usd is not None and attempt.get("gpus") and attempt.get("usd_per_hour") is None:
            kind = attempt.get("gpu") or "a GPU of unknown kind"
            self.close(f"budget.usd: no price is known for {kind}; set budget.usd_per_gpu_hour", INPUT)

    def counted(self, failed: bool) -> None:
        """A trial of this launch is done or failed."""
        self.ended += 1
        self.failed += failed

    def spent(self) -> Spent:
        """All attempts in the ledger, and what runs now."""
        now = time.monotonic()
        running = sum(now - start for start in self.running.values()) / 3600 * self.gpus
        return self.total + Spent(running, running * (self.budget.usd_per_gpu_hour or self._rate()))

    def _rate(self) -> float:
        """US dollars per GPU-hour so far."""
        return self.total.usd / self.total.gpu_hours if self.total.gpu_hours else 0.0

    def _cost(self, record: TrialRecord) -> Spent:
        return spent(record.attempts, self.gpus, self.budget.usd_per_gpu_hour)

    def _over_budget(self) -> tuple[str, int] | None:
        if self.budget.gpu_hours is None and self.budget.usd is None:
            return None
        now = self.spent()
        if self.budget.gpu_hours is not None and now.gpu_hours >= self.budget.gpu_hours:
            cap, unit, used = self.budget.gpu_hours, "gpu_hours", f"{now.gpu_hours:.3g} GPU-hours"
        elif self.budget.usd is not None and now.usd >= self.budget.usd:
            cap, unit, used = self.budget.usd, "usd", f"{now.usd:,.2f} US dollars"
        else:
            return None
        return f"budget.{unit} = {cap:g} is used up: {used} spent over all attempts; raise it to go on", BUDGET

    def _too_many_failures(self) -> tuple[str, int] | None:
        if self.failed < _FEWEST_FAILURES or self.failed <= self.budget.failed_share * self.ended:
            return None
        told = (
            f"{self.failed} of {self.ended} trials failed, more than budget.failed_share = {self.budget.failed_share:g}"
        )
        return told, FAILED_TRIALS

    def _lost(self) -> tuple[str, int] | None:
        if self.lease.held:
            return None
        if self.lease.number is None:
            return "another `study run` has taken this study over while this one did not answer", INPUT
        silence = f"the results could not be written for {self.lease.ttl_s:g} s"
        return f"{silence}, so that another `study run` may have taken this study over", INPUT
