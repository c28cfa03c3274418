"""IonQ's service behind its API: machines, their queues, jobs and bills. Knows no HTTP.

The jobs of a service with a file of orders outlive its process: the same order always gives the same shots, so a new
process with the same seed has them all again, completed, and measures those that are asked for.
"""

import hashlib
import json
import queue
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import torch

from qgan.errors import InputError
from qgan.ionq.budget import ARIA_TIMING
from qgan.ionq.native_gates import NativeGate
from qgan.ionq.noise import PUBLISHED
from qgan.ionq.prices import RATES
from qgan.ionq.rehearsal import simulation
from qgan.ionq.rehearsal.catalogue import Machine
from qgan.ionq.rehearsal.job import Job, date
from qgan.ionq.rehearsal.orders import checked, noise_model

Answer = tuple[int, Any]  # HTTP status and JSON

_TICK_S = 0.005
_DONE = ("completed", "failed", "canceled")


class Service:
    """Jobs run one after the other on each machine; the same job gives the same shots every time."""

    def __init__(
        self,
        machines: list[Machine],
        *,
        spam: bool = False,  # errors of preparation and measurement too
        queue_s: float = 0.0,  # every job waits so long before it starts
        execution_s: float = 0.0,  # and runs at least so long
        seed: int = 0,
        orders: Path | None = None,  # file of all jobs, so that another process can go on with them
    ) -> None:
        self.machines = {machine.name: machine for machine in machines}
        self.spam = spam
        self.queue_s = queue_s
        self.execution_s = execution_s
        self.seed = seed
        self.jobs: dict[str, Job] = {}  # in the order of submission
        self._lock = Lock()
        self._orders = orders
        self._recall()
        self._queues: dict[str, queue.SimpleQueue[Job | None]] = {}
        for name in self.machines:
            self._queues[name] = queue.SimpleQueue()
            Thread(target=self._work, args=(self._queues[name],), daemon=True).start()

    def close(self) -> None:
        for each in self._queues.values():
            each.put(None)

    def backends(self) -> Answer:
        return 200, [self._machine_json(machine) for machine in self.machines.values()]

    def backend(self, name: str) -> Answer:
        machine = self.machines.get(name)
        return (200, self._machine_json(machine)) if machine else _no("backend", name)

    def characterizations(self, name: str, *, drift: bool = False) -> Answer:
        """The present one; `drift` calibrates the machine anew first."""
        machine = self.machines.get(name)
        if machine is None:
            return _no("backend", name)
        if machine.noise is None:
            return 200, {"characterizations": [], "pages": 0}
        if drift:
            machine.characterization = str(uuid.uuid4())
        noise = machine.noise
        spam = noise.spam if self.spam else 0.0
        record = {
            "id": machine.characterization,
            "backend": name,
            "date": date(time.time()),
            "qubits": machine.qubits,
            "connectivity": [[i, j] for i in range(machine.qubits) for j in range(i)],
            "fidelity": {
                "spam": {"median": 1 - spam, "stderr": None},
                "1q": {"median": 1 - noise.pulse / 2},
                "2q": {"median": 1 - noise.two_qubit * 3 / 4},
            },
            "timing": {"1q": ARIA_TIMING.pulse, "2q": ARIA_TIMING.two_qubit, "readout": 0.0, "reset": 0.0},
        }
        return 200, {"characterizations": [record], "pages": 1}

    def submit(self, body: dict[str, Any], *, fails: bool = False, lag_s: float = 0.0) -> Answer:
        """Check an order as strictly as IonQ's schema, and queue it."""
        try:
            machine, gates = checked(body, self.machines)
        except InputError as error:
            return _bad(str(error))
        except (AttributeError, KeyError, TypeError) as error:
            return _bad(f"a value of the job has a wrong type or is missing: {error}")
        if machine.status != "available":
            return 400, {"statusCode": 400, "error": "Bad Request", "message": f"{machine.name} is {machine.status}"}
        now = time.time()
        usd = 0.0
        if machine.name in RATES and not body.get("dry_run"):
            debiasing = body.get("settings", {}).get("error_mitigation", {}).get("debiasing", False)
            pairs = sum(gate.entangles for gate in gates)
            usd = RATES[machine.name].usd(len(gates) - pairs, pairs, body["shots"], debiasing)
        job = Job(str(uuid.uuid4()), body, gates, now, now + lag_s, usd, fails)
        with self._lock:
            self.jobs[job.id] = job
            self._note(job)
        self._queues[machine.name].put(job)
        return 200, {"id": job.id, "status": "submitted", "session_id": None}

    def job(self, job_id: str) -> Answer:
        job = self.jobs.get(job_id)
        return (200, self._json(job)) if job else _no("job", job_id)

    def listed(self, target: str | None, status: str | None, limit: int, after: str | None) -> Answer:
        """The newest first; `after` is the `next` of the page before."""
        with self._lock:
            jobs = [job for job in reversed(self.jobs.values()) if job.listed <= time.time()]
        jobs = [job for job in jobs if target in (None, job.body["backend"]) and status in (None, job.status)]
        if after is not None:
            jobs = jobs[next((k for k, job in enumerate(jobs) if job.id == after), len(jobs)) :]
        page, rest = jobs[:limit], jobs[limit:]
        return 200, {"jobs": [self._json(job) for job in page], "next": rest[0].id if rest else None}

    def result(self, job_id: str, which: str) -> Answer:
        job = self.jobs.get(job_id)
        if job is None or job.status != "completed":
            return _no("result of a completed job", job_id)
        if job.probabilities is None:
            self._measure(job)
        if which == "shots" and job.codes is not None:
            return 200, job.codes
        if which in ("probabilities", "histogram") and job.probabilities is not None:
            return 200, job.probabilities
        return _no("result", which)

    def cancel(self, job_id: str) -> Answer:
        """Only what has not begun can be called off."""
        with self._lock:
            job = self.jobs.get(job_id)
            if job is None:
                return _no("job", job_id)
            if job.status in ("submitted", "ready"):
                job.status, job.completed = "canceled", time.time()
                self._note(job)
        return 200, {"id": job_id, "status": job.status}

    def delete(self, job_id: str) -> Answer:
        with self._lock:
            job = self.jobs.pop(job_id, None)
        return (200, {"id": job_id, "status": "deleted"}) if job else _no("job", job_id)

    def cost(self, job_id: str) -> Answer:
        job = self.jobs.get(job_id)
        if job is None:
            return _no("job", job_id)
        answer = {"dry_run": bool(job.body.get("dry_run")), "estimated_cost": {"unit": "usd", "value": job.usd}}
        if job.status in _DONE:
            answer["cost"] = {"unit": "usd", "value": job.paid}
        return 200, answer

    def estimate(self, query: Mapping[str, str]) -> Answer:
        name = query.get("backend", "")
        if name not in RATES:
            return _no("price of backend", name)
        pulses, pairs, shots = (int(query.get(key, 0)) for key in ("1q_gates", "2q_gates", "shots"))
        debiasing = query.get("error_mitigation") == "true"
        price = RATES[name]
        return 200, {
            "input_values": dict(query),
            "estimated_at": date(time.time()),
            "cost_unit": "usd",
            "estimated_cost": price.usd(pulses, pairs, shots, debiasing),
            "rate_information": {
                "organization": "default",
                "job_cost_minimum": price.debiased_job if debiasing else price.job,
                "cost_1q_gate": price.pulse,
                "cost_2q_gate": price.two_qubit,
            },
            "estimated_execution_time": self.execution_s,
            "current_predicted_queue_time": self.queue_s,
        }

    def _note(self, job: Job) -> None:
        """Add a job, and whether it came to nothing, to the file of orders."""
        if self._orders is not None:
            names = ("id", "body", "submitted", "usd", "fails")
            line = {**{name: getattr(job, name) for name in names}, "canceled": job.status == "canceled"}
            with self._orders.open("a") as file:
                file.write(json.dumps(line) + "\n")

    def _recall(self) -> None:
        """The jobs of processes before this one."""
        if self._orders is None or not self._orders.exists():
            return
        for line in self._orders.read_text().splitlines():
            with suppress(ValueError):  # the last line of a process that was killed
                found = json.loads(line)
                canceled, submitted = found.pop("canceled"), found["submitted"]
                gates = [NativeGate.from_json(record) for record in found["body"]["input"]["circuit"]]
                status = "canceled" if canceled else "failed" if found["fails"] else "completed"
                times = {"listed": submitted, "started": submitted, "completed": submitted}
                self.jobs[found["id"]] = Job(**found, gates=gates, status=status, **times)

    def _work(self, jobs: "queue.SimpleQueue[Job | None]") -> None:
        """Run one machine's jobs in turn."""
        while (job := jobs.get()) is not None:
            while time.time() < job.submitted + self.queue_s and job.status != "canceled":  # it may change meanwhile
                time.sleep(_TICK_S)
            with self._lock:
                if job.status == "canceled":
                    continue
                job.status, job.started = "started", time.time()
            try:
                if not job.fails and not job.body.get("dry_run"):
                    self._measure(job)
            except Exception:  # the machine goes on with the next job
                job.fails = True
            while time.time() < job.started + self.execution_s:
                time.sleep(_TICK_S)
            with self._lock:
                job.completed, job.status = time.time(), "failed" if job.fails else "completed"

    def _measure(self, job: Job) -> None:
        body, n = job.body, job.body["input"]["qubits"]
        noise = self.machines[body["backend"]].noise
        model = noise_model(body)
        if noise is None and model == "ideal":
            p = simulation.probabilities(job.gates, n).tolist()
            job.probabilities = {str(code): share for code, share in enumerate(p) if share > 0}
            return
        noise = noise or PUBLISHED[model]
        # no run's uuid in it, so that a run and its repetition see the same machine
        name = json.dumps([self.seed, body["backend"], body.get("name"), body["shots"], body["input"]], sort_keys=True)
        stream = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "little"))
        noise = noise if self.spam else replace(noise, spam=0.0)
        codes = simulation.shots(job.gates, n, body["shots"], noise, stream)
        job.codes = codes.tolist()
        values, counts = codes.unique(return_counts=True)
        shares = zip(values.tolist(), counts.tolist(), strict=True)
        job.probabilities = {str(code): count / body["shots"] for code, count in shares}

    def _json(self, job: Job) -> dict[str, Any]:
        ideal = self.machines[job.body["backend"]].noise is None and noise_model(job.body) == "ideal"
        return job.json(self.queue_s, self.execution_s, ideal=ideal)

    def _machine_json(self, machine: Machine) -> dict[str, Any]:
        return {
            "backend": machine.name,
            "status": machine.status,
            "degraded": machine.degraded,
            "qubits": machine.qubits,
            "average_queue_time": round(1000 * self.queue_s),
            "last_updated": date(time.time()),
            "characterization_id": machine.characterization,
            "supported_native_gates": list(machine.gates),
        }


def _bad(message: str) -> Answer:
    return 400, {"statusCode": 400, "error": "Bad Request", "message": message}


def _no(what: str, name: str) -> Answer:
    return 404, {"statusCode": 404, "error": "Not Found", "message": f"there is no {what} {name}"}
