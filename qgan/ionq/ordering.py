"""One job for one order, whatever the service answers and whenever a process dies.

An order is sent once. What leaves a doubt whether it arrived is followed by a look for its key in the service's job
list, until the list must show a job that was created; only then may it be sent again, and not often.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from qgan.errors import InputError, Stopped
from qgan.ionq.client import Busy, Ionq, NotNow, Uncertain
from qgan.ionq.journal import Journal, Order
from qgan.ionq.native_gates import NativeCircuit
from qgan.ionq.patience import Waiting

_NOTHING = ("failed", "canceled")  # states of a job that costs nothing


class Orders:
    """Places and calls off the orders of a journal."""

    def __init__(
        self, journal: Journal, service: Ionq, waiting: Waiting, debiasing: bool, say: Callable[[str], None]
    ) -> None:
        self.journal = journal
        self.service = service
        self.waiting = waiting
        self.debiasing = debiasing
        self.say = say

    def place(self, order: Order, circuit: NativeCircuit, shots: int) -> None:
        """Have one job for an order whose intent is in the journal.

        Raises InputError where the service refuses, Stopped where it stays uncertain whether there is a job.
        """
        started, sent, uncertain = time.monotonic(), 0, 0
        for seconds in self.waiting.polls():
            self.waiting.pause(0)
            try:
                job_id = self.service.submit(
                    circuit, shots=shots, debiasing=self.debiasing, name=order.point, key=self.key(order)
                )
            except InputError as error:
                if not self.adopt(order, settle_s=0):
                    self.void(order, "refused", str(error))
                    raise
                return
            except NotNow as error:  # it never left this machine
                self.waiting.require_patience(started, error)
                self.waiting.pause(max(seconds, error.wait_s))
            except Uncertain as error:
                sent += 1
                self.say(f"{order.name}: {error}; looking for the job before anything else")
                if self.adopt(order):
                    self._call_off_others(order, sent)
                    return
                if isinstance(error, Busy):
                    self.waiting.require_patience(started, error)
                    self.waiting.pause(max(seconds, error.wait_s))
                    continue
                uncertain += 1
                if uncertain >= self.waiting.patience.orders:
                    raise Stopped(
                        f"{uncertain} orders of {order.name} had no proper answer ({error}), and no job with run_key "
                        f"{self.key(order)} is in the job list: look for it there yourself; the same command looks "
                        "again and goes on"
                    ) from None
            else:
                self.journal.write(order, "job", {"time": now(), "id": job_id})
                self._call_off_others(order, sent + 1)
                return

    def adopt(self, order: Order, settle_s: float | None = None) -> bool:
        """Look for the order's key until the job list must show it; whether there is a job."""
        settle_s = self.waiting.patience.settle_s if settle_s is None else settle_s
        deadline, seconds = time.monotonic() + settle_s, settle_s / 16
        while not (jobs := self.waiting.ask(lambda: self.service.find(self.key(order)))):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.waiting.pause(min(seconds, left))
            seconds *= 2
        # the newest first; one that came to nothing is as good as none
        alive = [job for job in jobs if job.get("status") not in _NOTHING] or jobs
        self.journal.write(order, "job", {"time": now(), "id": alive[-1]["id"], "adopted": True})
        return True

    def cancel(self) -> list[str]:
        """Call off what has not begun; the ids of jobs that run on, or are done. Nothing is lost either way."""
        running = []
        for order in list(self.journal.open_orders()):
            if "job" not in self.journal.orders[order] and not self.adopt(order):
                self.void(order, "canceled", "never ordered")
                continue
            job_id = self.journal.orders[order]["job"]["id"]
            if self._call_off(job_id).get("status") == "canceled":
                self.void(order, "canceled", "called off")
            else:
                running.append(job_id)
        return running

    def void(self, order: Order, reason: str, message: str) -> None:
        """Write down that an order has come to nothing and costs nothing."""
        self.journal.write(order, "void", {"time": now(), "reason": reason, "message": message})

    def key(self, order: Order) -> str:
        """What the job's metadata carry."""
        run = self.journal.run
        assert run is not None
        return order.key(run["id"])

    def _call_off_others(self, order: Order, sent: int) -> None:
        """Where an order had to be sent more than once, see that one job alone runs."""
        if sent < 2:
            return
        self.waiting.pause(self.waiting.patience.settle_s)
        for job in self.waiting.ask(lambda: self.service.find(self.key(order))):
            if job["id"] != self.journal.orders[order]["job"]["id"] and job.get("status") not in _NOTHING:
                self.say(f"{order.name}: a second job {job['id']} has its key, and is called off")
                self._call_off(job["id"])

    def _call_off(self, job_id: str) -> dict[str, Any]:
        """The job's record after the attempt."""
        self.waiting.ask(lambda: self.service.cancel(job_id))
        return self.waiting.ask(lambda: self.service.job(job_id))


def now() -> str:
    """For records: the time, UTC."""
    return datetime.now(UTC).isoformat()
