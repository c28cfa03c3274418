"""Circuits as jobs that are paid once: every step is in the journal before the next.

A point that has a result is answered from the journal. One with a job is waited for. One with an intent alone may have
been ordered by a process that died: its key is looked for in the service's job list before it is ordered again, as it
is after every answer that leaves a doubt. Codes therefore never cost money twice, and none that were paid for are lost.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, Self

from qgan.circuits.ansatz import Ansatz
from qgan.errors import InputError, Stopped
from qgan.ionq.client import Ionq, NotNow
from qgan.ionq.compiler import compile_ansatz
from qgan.ionq.journal import Journal, Order
from qgan.ionq.machines import Machine, choose
from qgan.ionq.native_gates import NativeCircuit
from qgan.ionq.ordering import Orders, now
from qgan.ionq.patience import Patience, Waiting
from qgan.ionq.prices import Rates

__all__ = ["Measures", "PaidJobs", "Patience", "require_same_point"]

MOST_SHOTS = 10_000  # per job on a machine
LEAST_DEBIASED = 500  # shots that debiasing needs

_SAME = 1e-6  # radians; angles nearer than this are the same point, computed on another machine
_KEPT = (
    "id", "status", "backend", "submitted_at", "started_at", "completed_at", "execution_duration_ms",
    "predicted_wait_time_ms", "stats", "settings",
)  # fmt: skip


class Measures(Protocol):
    """What an `IonqSampler` needs: jobs on a machine, their replay, or a proxy of either in another process."""

    def measure(self, call: int, theta: list[list[float]], shots: int) -> list[list[int]]:
        """Codes (batch, shots), as integers, of the circuits with angles theta (batch, P), radians.

        `call` counts the sampler's calls over the whole run, so that a resumed run finds what was measured before.
        Raises InputError where the shots or the machine are refused, Stopped where a person has to decide.
        """
        ...

    def remember(self, call: int, losses: list[float]) -> list[float]:
        """What a call's points were worth: the first time as given, and the same ever after."""
        ...

    def begin_cycle(self, number: int) -> None:
        """Update event `number` begins."""
        ...


def shots_of_a_job(debiasing: bool) -> range:
    """How many shots a machine takes per job."""
    return range(LEAST_DEBIASED if debiasing else 1, MOST_SHOTS + 1)


def _silent(line: str) -> None:
    """Nobody listens."""


class PaidJobs:
    """The jobs of one run on one machine. Holds the run's folder from `open` to `close`, or in a `with`."""

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
        say: Callable[[str], None] = _silent,  # what a person should know while it happens
    ) -> None:
        self.journal = Journal(folder)
        self.service = service
        self.ansatz = ansatz
        self.rates = rates
        self.max_usd = max_usd
        self.debiasing = debiasing
        self.degraded = degraded
        self.retry_failed = retry_failed
        self.say = say
        self.waiting = Waiting(patience or Patience())
        self.orders = Orders(self.journal, service, self.waiting, debiasing, say)
        self.cycle: int | None = None
        self._machine: Machine | None = None
        self._held = ExitStack()
        self._looked = 0.0  # when, at the calibration

    def open(self) -> Self:
        """Take the folder, look at the machine, begin the run or find it as it was left.

        Raises InputError where the machine cannot run the circuit now, or the folder holds another run or is in use.
        """
        self.service.require_token()
        with ExitStack() as held:
            held.enter_context(self.journal.exclusive())
            self._machine = self._choose()
            self._begin(self._machine)
            self._held = held.pop_all()
        warning = self.rates.warning(date.today())
        if warning:
            self.say(warning)
        return self

    def close(self) -> None:
        """Give the folder back."""
        self._held.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def stop(self) -> None:
        """Let a `measure` in another thread end with Stopped: the jobs go on, and the journal knows them."""
        self.waiting.stop()

    def cancel(self) -> list[str]:
        """Call off what has not begun; the ids of jobs that run on, or are done. Nothing is lost either way."""
        return self.orders.cancel()

    def begin_cycle(self, number: int) -> None:
        """Update event `number` begins: record the machine and its calibration, once."""
        self._read_costs()
        self.cycle, self._looked = number, time.monotonic()
        if self.journal.cycle(number) is None:
            try:
                self._machine = self._choose()
            except InputError as error:  # it was fit when the run began
                raise Stopped(f"{error}; the same command goes on from here once it is") from None
            characterization = self.waiting.ask(self.service.characterization)
            record = {"time": now(), "machine": self._machine.json(), "characterization": characterization}
            self.journal.write_cycle(number, record)

    def measure(self, call: int, theta: list[list[float]], shots: int) -> list[list[int]]:
        """Codes (batch, shots) of the circuits with angles theta (batch, P), radians; all are ordered, then waited for.

        Raises InputError where the service refuses, Stopped where a person has to decide.
        """
        self._require_shots(shots)
        known = [self._known(call, row, angles, shots) for row, angles in enumerate(theta)]
        circuits = [None if order else self._circuit(angles) for order, angles in zip(known, theta, strict=True)]
        new = [self._price(circuit, shots) for circuit in circuits if circuit]
        if new:
            self._require_budget(sum(new))
        orders = []
        for row, (order, circuit, angles) in enumerate(zip(known, circuits, theta, strict=True)):
            if circuit is not None:
                order = self._intend(call, row, angles, circuit, shots)
                self.orders.place(order, circuit, shots)
            assert order is not None
            orders.append(order)
            if not self.journal.orders[order].keys() & {"job", "result"}:  # a process died between intent and job
                self.say(f"{order.name}: looking for a job that an earlier process may have ordered")
                if not self.orders.adopt(order):
                    self.orders.place(order, self._circuit(angles), shots)
        self._await(orders, shots)
        self._watch_calibration()
        return [self.journal.orders[order]["result"]["codes"] for order in orders]

    def remember(self, call: int, losses: list[float]) -> list[float]:
        """What a call's points were worth: the first time as given, and the same ever after."""
        before = self.journal.losses(call)
        if before is None:
            self.journal.write_losses(call, losses)
            return losses
        return before

    def _begin(self, machine: Machine) -> None:
        """Write run.json, or find the same run in it."""
        described = {
            "machine": self.service.machine,
            "service": "rehearsal" if self.service.loopback else self.service.url,
            "ansatz": {**asdict(self.ansatz), "pairs": self.ansatz.pairs},
            "profile": machine.profile,
            "debiasing": self.debiasing,
        }
        before = self.journal.run
        if before is None:
            rates = {**vars(self.rates), "read": self.rates.read.isoformat()}
            versions = {name: version(name) for name in ("qiskit", "qiskit-ionq", "torch", "numpy")}
            self.journal.begin(
                {"id": str(uuid.uuid4()), "created": now(), **described, "rates": rates, "versions": versions}
            )
            return
        for key, value in described.items():
            if before[key] != _plain(value):
                raise InputError(
                    f"{self.journal.folder} holds a run with {key} {before[key]}, not {value}: choose another folder, "
                    "or the run's own settings"
                )

    def _choose(self) -> Machine:
        machines = self.waiting.ask(self.service.machines)
        return choose(machines, self.service.machine, self.ansatz.n_qubits, degraded=self.degraded)

    def _watch_calibration(self) -> None:
        """Say, and record, where the machine was calibrated anew inside an update event."""
        if self.cycle is None or time.monotonic() - self._looked < self.waiting.patience.drift_s:
            return
        self._looked = time.monotonic()
        try:
            present = self.service.characterization()
        except NotNow:
            return  # not worth waiting for
        before = self.journal.calibration(self.cycle)
        if present is not None and present.get("id") != before:
            self.say(f"{self.service.machine} was calibrated anew in the middle of update event {self.cycle}")
            self.journal.write_drift(self.cycle, {"time": now(), "characterization": present})

    def _known(self, call: int, row: int, theta: list[float], shots: int) -> Order | None:
        """The order that answers a point, done or not; None where there has to be a new one."""
        order = self.journal.last(call, row)
        if order is None:
            return None
        records = self.journal.orders[order]
        require_same_point(order, records["intent"], theta, shots)
        if "void" not in records:
            return order
        if records["void"]["reason"] == "failed" and not self.retry_failed:
            raise Stopped(_failed(order, records))
        return None

    def _circuit(self, theta: list[float]) -> NativeCircuit:
        assert self._machine is not None
        return compile_ansatz(self.ansatz, theta, self._machine.profile)

    def _price(self, circuit: NativeCircuit, shots: int) -> float:
        return self.rates.usd(circuit.pulses, circuit.entanglers, shots, self.debiasing)

    def _require_budget(self, usd: float) -> None:
        spent = self.journal.spent
        if not spent + usd <= self.max_usd:  # nor where one of them is no number
            raise Stopped(
                f"the next jobs cost up to ${usd:,.2f}, and ${spent:,.2f} of the cap of ${self.max_usd:,.2f} are "
                "ordered already: raise the cap (--max-usd) to go on"
            )

    def _require_shots(self, shots: int) -> None:
        allowed = shots_of_a_job(self.debiasing)
        if shots not in allowed:
            because = " with debiasing" if self.debiasing else ""
            told = f"shots must be from {allowed[0]} to {allowed[-1]} per job{because}, not {shots}"
            raise InputError(told, "shots")

    def _intend(self, call: int, row: int, theta: list[float], circuit: NativeCircuit, shots: int) -> Order:
        last = self.journal.last(call, row)
        order = Order(call, row, 1 + (last.number if last else 0))
        intent = {
            "time": now(),
            "theta": theta,
            "shots": shots,
            "usd": self._price(circuit, shots),
            "pulses": circuit.pulses,
            "entanglers": circuit.entanglers,
            "flips": [int(flip) for flip in circuit.flips],
            "digest": circuit.digest,
        }
        self.journal.write(order, "intent", intent)
        return order

    def _await(self, orders: Sequence[Order], shots: int) -> None:
        """Poll until every order has its result; raises Stopped where one came to nothing."""
        for seconds in self.waiting.polls():
            for order in orders:
                if not self.journal.orders[order].keys() & {"result", "void"}:
                    self._look_at(order, shots)
            found = [self.journal.orders[order] for order in orders]
            if all(records.keys() & {"result", "void"} for records in found):
                break
            self.waiting.pause(seconds)
        for order, records in zip(orders, found, strict=True):
            if "void" in records:
                raise Stopped(_failed(order, records))

    def _look_at(self, order: Order, shots: int) -> None:
        """Write down what became of a job, if anything has."""
        records = self.journal.orders[order]
        job = self.waiting.ask(lambda: self.service.job(records["job"]["id"]))
        status = job.get("status")
        if status == "completed":
            codes = self.waiting.ask(lambda: self._codes(job, shots))
            mask = sum(flip << qubit for qubit, flip in enumerate(records["intent"]["flips"]))
            kept = {key: job.get(key) for key in _KEPT}
            self.journal.write(order, "result", {"time": now(), "codes": [code ^ mask for code in codes], "job": kept})
            self._read_cost(order)
        elif status in ("failed", "canceled"):
            failure = job.get("failure") or {}
            message = failure.get("message") or failure.get("error") or "no reason given"
            self.orders.void(order, "failed", message if status == "failed" else "called off by someone else")

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
            self.journal.write(order, "cost", {"time": now(), "usd": usd})

    def _read_costs(self) -> None:
        for order, records in sorted(self.journal.orders.items()):
            if "result" in records and "cost" not in records:
                self._read_cost(order)


def require_same_point(order: Order, intent: dict[str, Any], theta: list[float], shots: int) -> None:
    """Raises Stopped unless an order was for these angles and shots."""
    before = intent["theta"]
    same = len(before) == len(theta) and all(abs(a - b) <= _SAME for a, b in zip(before, theta, strict=True))
    if not same or intent["shots"] != shots:
        raise Stopped(
            f"the journal has other angles or shots for call {order.call}, point {order.row} than the run asks for: "
            "its checkpoint, its settings or its data are not those that the journal was made with"
        )


def _failed(order: Order, records: dict[Any, dict[str, Any]]) -> str:
    return (
        f"job {records['job']['id']} ({order.name}) failed at the service: {records['void']['message']}. It was not "
        "charged; the same command goes on, and orders it again with --retry failed"
    )


def _plain(value: Any) -> Any:
    """A value as it comes back from JSON."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
