"""What stops a launch: budgets over all attempts, the share of failures, Ctrl-C, a lease that was lost."""

import time
from pathlib import Path
from typing import Any

import pytest

from analysis.records import TrialRecord
from study.exit_codes import BUDGET, FAILED_TRIALS, INPUT, INTERRUPTED
from study.gate import Gate
from study.lease import Lease
from study.sections import Budget
from study.spending import Spent, hours, spent, usd_per_hour
from study.storage import Folder


def attempt(lasted_h: float, gpus: float = 0.5, usd: float | None = 1.0, **more: Any) -> dict[str, Any]:
    return {
        "start": "2026-01-01T00:00:00.000+00:00",
        "last_seen": f"2026-01-01T{int(lasted_h):02}:{round(lasted_h % 1 * 60):02}:00.000+00:00",
        "gpu": "NVIDIA A100-SXM4-80GB",
        "gpus": gpus,
        "usd_per_hour": usd,
        **more,
    }


def record(*attempts: dict[str, Any], status: str = "done") -> TrialRecord:
    return TrialRecord("key", status, 1, 1, list(attempts), None, [], "study trial", {}, {})


@pytest.fixture
def lease(tmp_path: Path) -> Lease:
    found = Lease(Folder(tmp_path))
    assert found.acquire()
    return found


def gate(lease: Lease, budget: Budget, *records: TrialRecord) -> Gate:
    return Gate(budget, 0.5, {str(number): each for number, each in enumerate(records)}, lease)


def test_what_attempts_cost() -> None:
    assert hours(attempt(1.5)) == 1.5
    assert hours({"start": "2026-01-01T00:00:00", "last_seen": None}) == 0
    assert spent([attempt(1.5), attempt(2, gpus=1.0, usd=4.0)], 0.25, None) == Spent(0.75 + 2, 1.5 + 8)
    assert spent([attempt(2, usd=None)], 0.25, 3.0) == Spent(1.0, 3.0)
    assert usd_per_hour("NVIDIA A100-SXM4-80GB", 0.5, None) == pytest.approx(2.4984 / 2)
    assert usd_per_hour("GT 710", 0.5, None) is None
    assert usd_per_hour("GT 710", 0.5, 3.0) == 1.5
    assert usd_per_hour(None, 0.0, 3.0) is None


@pytest.mark.parametrize(("budget", "opens"), [(Budget(), True), (Budget(gpu_hours=2.1), True), (Budget(usd=4.1), True),
                                               (Budget(gpu_hours=2), False), (Budget(usd=4), False)])  # fmt: skip
def test_budgets_count_the_attempts_of_all_trials(lease: Lease, budget: Budget, opens: bool) -> None:
    found = gate(lease, budget, record(attempt(1), attempt(1)), record(attempt(2), status="failed"))
    assert found.check() == opens
    assert (found.closed is None) == opens
    if found.closed is not None:
        assert found.closed.exit_code == BUDGET
        assert "is used up" in found.closed.reason


def test_a_running_trial_is_counted_once(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    found = gate(lease, Budget(gpu_hours=3), record(attempt(2)))
    found.started("0")
    found.started("new")
    now = 3600.0
    assert found.spent().gpu_hours == pytest.approx(1 + 2 * 0.5)
    found.stopped("0", record(attempt(2), attempt(1)))
    found.stopped("new", None)  # it never began
    assert found.spent().gpu_hours == pytest.approx(1.5)
    assert found.check()
    found.started("0")
    now += 3 * 3600
    assert not found.check()


def test_money_without_a_price_is_refused(lease: Lease) -> None:
    found = gate(lease, Budget(usd=10))
    found.stopped("0", record(attempt(1, usd=None, gpu="GT 710")))
    assert not found.check()
    assert found.closed is not None
    assert found.closed.exit_code == INPUT
    assert "GT 710; set budget.usd_per_gpu_hour" in found.closed.reason


@pytest.mark.parametrize(("failures", "others", "opens"), [(4, 0, True), (5, 0, False), (5, 5, True), (6, 5, False)])
def test_the_share_of_failures(lease: Lease, failures: int, others: int, opens: bool) -> None:
    found = gate(lease, Budget())
    for number in range(failures + others):
        found.counted(failed=number < failures)
    assert found.check() == opens
    if found.closed is not None:
        assert found.closed.exit_code == FAILED_TRIALS


def test_the_first_reason_stays(lease: Lease) -> None:
    found = gate(lease, Budget())
    found.close("stopped by Ctrl-C", INTERRUPTED)
    found.close("disk full", INPUT)
    assert not found.check()
    assert found.closed is not None
    assert found.closed.exit_code == INTERRUPTED


def test_a_launcher_that_lost_its_lease_starts_nothing(lease: Lease) -> None:
    found = gate(lease, Budget())
    assert found.check()
    lease.release()
    assert not found.check()
    assert found.closed is not None and "another `study run` has taken" in found.closed.reason


def test_a_lease_that_could_not_be_renewed_is_not_another_launcher(lease: Lease) -> None:
    lease.ttl_s = 0.0
    found = gate(lease, Budget())
    assert not found.check()
    assert found.closed is not None and "could not be written for 0 s" in found.closed.reason
