"""Circuits as jobs that are paid once: each step is in the journal before the next.

A point that has a result is answered from the journal. One with a job is waited for. One with an intent alone may have
been ordered by a process that died: its key is looked for in the service's job list before it is ordered again, as it
is after every answer that leaves a doubt. Codes therefore never cost money twice, and none that were paid for are lost.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import Any, Protocol, TypeVar

from qgan.circuits.ansatz import Ansatz
from qgan.errors import InputError, Stopped
from qgan.ionq.client import Busy, Ionq, NotNow, Uncertain
from qgan.ionq.compiler import compile_ansatz
from qgan.ionq.journal import Journal, Order
from qgan.ionq.machines import Machine, choose
from qgan.ionq.native_gates import NativeCircuit
from qgan.ionq.prices import Rates

T = TypeVar("T")

MOST_SHOTS = 10_000  # per job on a machine
LEAST_DEBIASED = 500  # shots that debiasing needs
_SAME = 1e-6  # radians; angles nearer than this are the same point, computed on another machine


class Measures(Protocol):
    """What an `IonqSampler` needs: jobs on a machine, their replay, or a proxy of either in another process."""

    def measure(self, call: int, theta: list[list[float]], shots: int) -> list[list[int]]:
        """Codes (batch, shots) of the circuits with angles theta (batch, P), radians: the sampler's call number."""
        ...

    def remember(self, call: int, losses: list[float]) -> list[float]:
        """What a call's points were worth: the first time as given, and the same ever after."""
        ...

    def begin_cycle(self, number: int) -> None:
        """Update event `number` begins."""
        ...


@dataclass(frozen=True)
class Patience:
    """How long to wait for what, seconds."""

    first_poll_s: float = 5.0  # between two looks at a job; doubled up to
    longest_poll_s: float = 60.0
    settle_s: float = 60.0  # a job that was created is in the job list after so long
    give_up_s: float = 3600.0  # without any proper answer from the service
    drift_s: float = 600.0  # between two looks at the machine's calibration
    orders: int = 2  # of one point, each of uncertain fate and not in the list, before a person has to look


class PaidJobs:
    """The jobs of one run on one machine. Holds the run's folder from `open` to `close`."""

    def __init__(
        self,
        folder: Path,
        service: Ionq,
        ansatz: Ansatz,
        rates: Rates,
        *,
        max_usd: float,  # cap of all that is ordered in this run, over all processes
        debiasing: bool = False,
        degraded: bool = False,  # accept a machine that is in a bad state
        retry_failed: bool = False,  # order anew what the service let fail; it was not charged
        patience: Patience | None = None,
        say: Callable[[str], None] = lambda line: None,  # what a person should know while it happens
    ) -> None:
        self.journal = Journal(folder)
        self.service = service
        self.ansatz = ansatz
        self.rates = rates
        self.max_usd = max_usd
        self.debiasing = debiasing
        self.degraded = degraded
        self.retry_failed = retry_failed
        self.patience = patience or Patience()
        self.say = say
        self.cycle: int | None = None
        self._machine: Machine | None = None
        self._stopped = Event()
        self._held: AbstractContextManager[None] | None = None
        self._looked = 0.0  # when, at the calibration

    def open(self) -> None:
        """Take the folder, look at the machine, begin the run or find it as it was left.

        Raises InputError where the machine cannot run the circuit now, or the folder holds another run or is in use.
        """
        self.service.require_token()
        held = self.journal.exclusive()
        held.__enter__()
        self._held = held
        try:
            self._machine = self._choose()
            described = {
                "machine": self.service.machine,
                "service": "rehearsal" if self.service.loopback else self.service.url,
                "ansatz": {**asdict(self.ansatz), "pairs": [list(pair) for pair in self.ansatz.pairs]},
                "profile": self._machine.profile,
                "debiasing": self.debiasing,
            }
            before = self.journal.run
            if before is None:
                self.journal.begin(
                    {
                        "id": str(uuid.uuid4()),
                        "created": _now(),
                        **described,
                        "rates": {**vars(self.rates), "read": self.rates.read.isoformat()},
                        "versions": {name: version(name) for name in ("qiskit", "qiskit-ionq", "torch", "numpy")},
                    }
                )
            else:
                for key, value in described.items():
                    if before[key] != _plain(value):
                        raise InputError(
                            f"{self.journal.folder} holds a run with {key} {before[key]}, not {value}: choose another "
                            "folder, or the run's own settings"
                        )
        except BaseException:
            self.close()
            raise
        warning = self.rates.warning(date.today())
        if warning:
            self.say(warning)

    def close(self) -> None:
        """Give the folder back."""
        if self._held is not None:
            self._held.__exit__(None, None, None)
            self._held = None

    def __enter__(self) -> "PaidJobs":
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stop(self) -> None:
        """Let a `measure` in another thread end with Stopped: the jobs go on, and the journal knows them."""
        self._stopped.set()

    def begin_cycle(self, number: int) -> None:
        """Update event `number` begins: record the machine and its calibration, once."""
        self._read_costs()
        self.cycle, self._looked = number, time.monotonic()
        if self.journal.cycle(number) is None:
            self._machine = self._choose()
            self.journal.write_cycle(number, self._snapshot())

    def measure(self, call: int, theta: list[list[float]], shots: int) -> list[list[int]]:
        """Codes (batch, shots) of the circuits with angles theta (batch, P), radians; all are ordered, then waited for.

        Raises InputError where the service refuses, Stopped where a person has to decide.
        """
        self._require_shots(shots)
        points = {Order(call, row): angles for row, angles in enumerate(theta)}
        orders = {point: self._known(point, angles, shots) for point, angles in points.items()}
        new = {point: self._circuit(points[point]) for point, order in orders.items() if order is None}
        price = {point: self._price(circuit, shots) for point, circuit in new.items()}
        self._require_budget(sum(price.values()))
        for point, circuit in new.items():
            last = self.journal.last(point.call, point.row)
            order = Order(point.call, point.row, 1 + (last.number if last else 0))
            self._intend(order, points[point], circuit, shots, price[point])
            self._order(order, circuit, shots)
            orders[point] = order
        for point, known in orders.items():
            assert known is not None
            order = known
            if not self.journal.orders[order].keys() & {"job", "result"}:  # a process died between intent and job
                self.say(f"{order.name}: looking for a job that an earlier process may have ordered")
                if not self._adopt(order):
                    self._order(order, self._circuit(points[point]), shots)
        found = [order for order in orders.values() if order is not None]
        self._await(found, shots)
        self._watch_calibration()
        return [self.journal.orders[order]["result"]["codes"] for order in found]

    def remember(self, call: int, losses: list[float]) -> list[float]:
        """What a call's points were worth: the first time as given, and the same ever after."""
        before = self.journal.losses(call)
        if before is None:
            self.journal.write_losses(call, losses)
            return losses
        return before

    def cancel(self) -> list[str]:
        """Call off what has not begun; the ids of jobs that run on, or are done. Nothing is lost either way."""
        running = []
        for order in list(self.journal.open_orders()):
            if "job" not in self.journal.orders[order] and not self._adopt(order):
                self._void(order, "canceled", "never ordered")
                continue
            job_id = self.journal.orders[order]["job"]["id"]
            self._ask(lambda job_id=job_id: self.service.cancel(job_id))  # type: ignore[misc]
            job = self._ask(lambda job_id=job_id: self.service.job(job_id))  # type: ignore[misc]
            if job.get("status") == "canceled":
                self._void(order, "canceled", "called off")
            else:
                running.append(job_id)
        return running

    def _choose(self) -> Machine:
        machines = self._ask(self.service.machines)
        return choose(machines, self.service.machine, self.ansatz.n_qubits, degraded=self.degraded)

    def _snapshot(self) -> dict[str, Any]:
        assert self._machine is not None
        characterization = self._ask(self.service.characterization)
        return {"time": _now(), "machine": self._machine.json(), "characterization": characterization}

    def _watch_calibration(self) -> None:
        """Say, and record, where the machine was calibrated anew inside an update event."""
        if self.cycle is None or time.monotonic() - self._looked < self.patience.drift_s:
            return
        self._looked = time.monotonic()
        before = ((self.journal.cycle(self.cycle) or {}).get("characterization") or {}).get("id")
        try:
            now = self.service.characterization()
        except NotNow:
            return  # not worth waiting for
        if now is not None and now.get("id") != before:
            self.say(f"{self.service.machine} was calibrated anew in the middle of update event {self.cycle}")
            self.journal.write_drift(self.cycle, {"time": _now(), "characterization": now})

    def _known(self, point: Order, theta: list[float], shots: int) -> Order | None:
        """The order that answers a point, done or not; None where there has to be a new one."""
        order = self.journal.last(point.call, point.row)
        if order is None:
            return None
        records = self.journal.orders[order]
        require_same_point(order, records["intent"], theta, shots)
        void = records.get("void")
        if void is None:
            return order
        if void["reason"] == "failed" and not self.retry_failed:
            raise Stopped(
                f"job {records['job']['id']} (call {point.call}, point {point.row}) failed at the service: "
                f"{void['message']}. It was not charged, and is ordered again only if you say so: --retry failed"
            )
        return None

    def _circuit(self, theta: list[float]) -> NativeCircuit:
        assert self._machine is not None
        return compile_ansatz(self.ansatz, theta, self._machine.profile)

    def _price(self, circuit: NativeCircuit, shots: int) -> float:
        return self.rates.usd(circuit.pulses, circuit.entanglers, shots, self.debiasing)

    def _require_budget(self, usd: float) -> None:
        spent = self.journal.spent
        if usd and spent + usd > self.max_usd:
            raise Stopped(
                f"the next jobs cost up to ${usd:,.2f}, and ${spent:,.2f} of the cap of ${self.max_usd:,.2f} are "
                "ordered already: raise the cap (--max-usd) to go on"
            )

    def _require_shots(self, shots: int) -> None:
        least = LEAST_DEBIASED if self.debiasing else 1
        if not least <= shots <= MOST_SHOTS:
            because = " with debiasing" if self.debiasing else ""
            raise InputError(f"shots must be from {least} to {MOST_SHOTS} per job{because}, not {shots}", "shots")

    def _intend(self, order: Order, theta: list[float], circuit: NativeCircuit, shots: int, usd: float) -> None:
        intent = {
            "time": _now(),
            "theta": theta,
            "shots": shots,
            "usd": usd,
            "pulses": circuit.pulses,
            "entanglers": circuit.entanglers,
            "flips": [int(flip) for flip in circuit.flips],
            "digest": circuit.digest,
        }
        self.journal.write(order, "intent", intent)

    def _order(self, order: Order, circuit: NativeCircuit, shots: int) -> None:
        """Have one job for an order, whatever the service answers."""
        started, wait, uncertain = time.monotonic(), self.patience.first_poll_s, 0
        while True:
            self._require_going()
            try:
                job_id = self.service.submit(
                    circuit, shots=shots, debiasing=self.debiasing, name=order.name, key=self._key(order)
                )
            except InputError as error:
                if self._adopt(order, settle_s=0):
                    return
                self._void(order, "refused", str(error))
                raise
            except NotNow as error:  # it never left this machine
                self._require_patience(started, str(error))
                self._pause(wait)
                wait = min(2 * wait, self.patience.longest_poll_s)
            except Uncertain as error:
                self.say(f"{order.name}: {error}; looking for the job before anything else")
                if self._adopt(order):
                    return
                if isinstance(error, Busy):
                    self._require_patience(started, str(error))
                    self._pause(max(wait, error.wait_s))
                    wait = min(2 * wait, self.patience.longest_poll_s)
                    continue
                uncertain += 1
                if uncertain >= self.patience.orders:
                    raise Stopped(
                        f"{uncertain} orders of {order.name} had no proper answer ({error}), and no job with run_key "
                        f"{self._key(order)} is in the job list: look for it there yourself; the same command looks "
                        "again and goes on"
                    ) from None
            else:
                self.journal.write(order, "job", {"time": _now(), "id": job_id})
                return

    def _adopt(self, order: Order, settle_s: float | None = None) -> bool:
        """Look for the order's key until the job list must show it; whether there is a job."""
        settle_s = self.patience.settle_s if settle_s is None else settle_s
        deadline, wait = time.monotonic() + settle_s, settle_s / 16
        while True:
            jobs = self._ask(lambda: self.service.find(self._key(order)))
            if jobs:
                break
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._pause(min(wait, left))
            wait *= 2
        # the newest first; one that has come to nothing is as good as none
        alive = [job for job in jobs if job.get("status") not in ("failed", "canceled")] or jobs
        adopted, *others = reversed(alive)
        for job in others:
            self.say(f"{order.name}: there is a second job {job['id']} with its key, which is called off")
            self._ask(lambda job=job: self.service.cancel(job["id"]))  # type: ignore[misc]
        record = {"time": _now(), "id": adopted["id"], "adopted": True, "others": [job["id"] for job in others]}
        self.journal.write(order, "job", record)
        return True

    def _await(self, orders: Sequence[Order], shots: int) -> None:
        """Poll until every order has its result; raises Stopped where one came to nothing."""
        wait = self.patience.first_poll_s
        while True:
            waiting = [order for order in orders if not self.journal.orders[order].keys() & {"result", "void"}]
            for order in waiting:
                self._look_at(order, shots)
            lost = [order for order in orders if "void" in self.journal.orders[order]]
            done = all("result" in self.journal.orders[order] for order in orders if order not in lost)
            if lost and done:
                void = self.journal.orders[lost[0]]["void"]
                job = self.journal.orders[lost[0]]["job"]["id"]
                raise Stopped(
                    f"job {job} ({lost[0].name}) {void['reason']} at the service: {void['message']}. It was not "
                    "charged; the same command goes on, and orders failed jobs again with --retry failed"
                )
            if done:
                return
            self._pause(wait)
            wait = min(2 * wait, self.patience.longest_poll_s)

    def _look_at(self, order: Order, shots: int) -> None:
        """Write down what became of a job, if anything has."""
        records = self.journal.orders[order]
        job = self._ask(lambda: self.service.job(records["job"]["id"]))
        status = job.get("status")
        if status == "completed":
            codes = self._ask(lambda: self._codes(job, shots))
            mask = sum(flip << qubit for qubit, flip in enumerate(records["intent"]["flips"]))
            kept = {key: job.get(key) for key in _KEPT}
            self.journal.write(order, "result", {"time": _now(), "codes": [code ^ mask for code in codes], "job": kept})
            self._read_cost(order)
        elif status in ("failed", "canceled"):
            failure = job.get("failure") or {}
            message = failure.get("message") or failure.get("error") or "no reason given"
            self._void(order, "failed", message if status == "failed" else "called off by someone else")

    def _codes(self, job: dict[str, Any], shots: int) -> list[int]:
        codes = self.service.codes(job)
        if len(codes) != shots or not all(0 <= code < 1 << self.ansatz.n_qubits for code in codes):
            raise NotNow(f"the shots of job {job.get('id')} are not {shots} codes of {self.ansatz.n_qubits} bits")
        return codes

    def _read_cost(self, order: Order) -> None:
        """What a job has cost; asked for once now, and later again where there was no answer."""
        try:
            usd = self.service.cost(self.journal.orders[order]["job"]["id"])
        except NotNow:
            return
        if usd is not None:
            self.journal.write(order, "cost", {"time": _now(), "usd": usd})

    def _read_costs(self) -> None:
        for order, records in sorted(self.journal.orders.items()):
            if "result" in records and "cost" not in records:
                self._read_cost(order)

    def _void(self, order: Order, reason: str, message: str) -> None:
        self.journal.write(order, "void", {"time": _now(), "reason": reason, "message": message})

    def _key(self, order: Order) -> str:
        run = self.journal.run
        assert run is not None
        return order.key(run["id"])

    def _ask(self, question: Callable[[], T]) -> T:
        """The answer to a question that costs nothing, asked until there is one."""
        started, wait = time.monotonic(), self.patience.first_poll_s
        while True:
            try:
                return question()
            except NotNow as error:
                self._require_patience(started, str(error))
                self._pause(max(wait, error.wait_s))
                wait = min(2 * wait, self.patience.longest_poll_s)

    def _require_patience(self, started: float, message: str) -> None:
        if time.monotonic() - started > self.patience.give_up_s:
            raise Stopped(
                f"the service has given no proper answer for {self.patience.give_up_s / 60:.0f} minutes ({message}); "
                "what is ordered is in the journal, and the same command goes on"
            )

    def _pause(self, seconds: float) -> None:
        self._require_going()
        self._stopped.wait(seconds)
        self._require_going()

    def _require_going(self) -> None:
        if self._stopped.is_set():
            raise Stopped("detached: the jobs go on at the service, and the same command goes on with them")


_KEPT = (
    "id", "status", "backend", "submitted_at", "started_at", "completed_at", "execution_duration_ms",
    "predicted_wait_time_ms", "stats", "settings",
)  # fmt: skip


def require_same_point(order: Order, intent: dict[str, Any], theta: list[float], shots: int) -> None:
    """Raises Stopped unless an order was for these angles and shots."""
    before = intent["theta"]
    same = len(before) == len(theta) and all(abs(a - b) <= _SAME for a, b in zip(before, theta, strict=True))
    if not same or intent["shots"] != shots:
        raise Stopped(
            f"the journal has other angles or shots for call {order.call}, point {order.row} than the run asks for: "
            "its checkpoint, its settings or its data are not those that the journal was made with"
        )


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _plain(value: Any) -> Any:
    """A value as it comes back from JSON."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
