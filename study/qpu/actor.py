"""The one actor that reaches the machine: it grants leases, owns journal and budget, and alone knows the token.

It is detached, has a name, and holds the resource `ionq_qpu: 1`, so a Ray cluster has one of it at most, on the node
that offers the resource. Killed, Ray starts it anew: it finds the line as it was in the results folder, those who have
a place there ask again, and the journal knows the rest. Clusters that share a results folder keep each other out by a
lease there.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import ray

from qgan.errors import Stopped
from qgan.ionq.client import NotNow
from qgan.ionq.jobs import PaidJobs
from qgan.ionq.machines import choose
from qgan.ionq.patience import Waiting
from qgan.ionq.prices import quoted
from qgan.ionq.rehearsal.server import RehearsalServer
from study.lease import Lease
from study.qpu.line import Line
from study.qpu.money import longest_circuit
from study.qpu.run import Run, patience
from study.qpu.summary import write_summary
from study.storage import storage_of

NAME = NAMESPACE = "ionq-qpu"
RESOURCE = "ionq_qpu"
DIED = (  # what a call meets whose actor was killed, by the memory monitor and with its node too
    ray.exceptions.RayActorError,
    ray.exceptions.OutOfMemoryError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.LocalRayletDiedError,
)
_SURVEY_S = 60.0
_CALLS = 64  # at once: one on the machine, the others ask, beat or look


class NotYours(Exception):
    """The lease is not the caller's any more, or never was: ask again."""


class Qpu:
    """What the actor does; see `actor`."""

    def __init__(self) -> None:
        self.line = Line()
        self.line_file: Path | None = None  # where another actor finds the line
        self.run: Run | None = None  # whose jobs are open
        self.jobs: PaidJobs | None = None
        self.lease: Lease | None = None
        self.open = ExitStack()
        self.servers: dict[Path, RehearsalServer] = {}
        self.told: dict[Path, list[str]] = {}
        self.state = threading.RLock()  # of line, told and servers: held for moments
        self.working = threading.RLock()  # held by whoever uses, opens or closes the jobs: for as long as a job takes
        threading.Thread(target=self._tidy, daemon=True).start()

    def survey(self, run: Run) -> dict[str, Any]:
        """The machine as it is now, fit for the run's circuit, and the prices that the service quotes, if any.

        Raises InputError where it is not fit, Stopped where the service does not answer. Nothing is ordered.
        """
        service = run.service(self._url(run))
        service.require_token()
        waiting = Waiting(replace(patience(service), give_up_s=_SURVEY_S))  # a person waits for the plan
        n = run.ansatz.n_qubits
        machine = choose(waiting.ask(service.machines), run.machine, n, degraded=run.degraded)
        circuit = longest_circuit(run.ansatz, machine.profile)
        gates = {"pulses": circuit.pulses, "entanglers": circuit.entanglers}
        try:
            answer = service.estimate(**gates, qubits=n, shots=run.shots, debiasing=run.debiasing)
            # a rehearsal server of the run's own answers from our dated list, which says so itself
            rates = None if run.url is None else quoted(answer, f"estimate of {service.url}", date.today())
        except NotNow:
            rates = None
        return {"machine": machine, "rates": rates}

    def ask(self, run: Run, holder: str, who: str) -> str | None:
        """Ask for the machine: None where it is granted, else who has it or what is waited for.

        Raises InputError where the machine or the journal cannot serve the run, Stopped where another process has
        taken the run over.
        """
        with self.state:
            if self.line_file is None:
                self.line_file = run.leases / "line.json"
                self.line.recall(self.line_file)
            if holder in self.line.replaced:
                raise Stopped(f"another process has taken over {run.name}: this one ends")
            ahead = self.line.ask(str(run.folder), holder, who)
            self._remember()
            if ahead:
                others = "".join(f", then {turn.who}" for turn in ahead[1:])
                return f"{run.machine} is used by {ahead[0].who}{others}"
        if not self.working.acquire(blocking=False):
            before = self.run  # None while a run's jobs are being opened or closed
            return f"the last call of {before.name if before else 'another run'} is on {run.machine} still"
        try:
            if self.run != run:
                self._close()
                return self._open(run)
            return None
        except BaseException:
            self._close()
            self._leave(holder)
            raise
        finally:
            self.working.release()

    def beat(self, holder: str) -> bool:
        """A sign of life; whether the holder still has its place."""
        with self.state:
            return self.line.beat(holder)

    def leave(self, holder: str) -> None:
        """Give the machine to the next one."""
        self._leave(holder)
        self._settle()

    def measure(self, holder: str, call: int, theta: list[list[float]], shots: int) -> list[list[int]]:
        """See `PaidJobs.measure`. Raises NotYours."""
        with self._turn(holder) as jobs:
            codes = jobs.measure(call, theta, shots)
            write_summary(jobs.journal, jobs.journal.folder.parent)
            return codes

    def remember(self, holder: str, call: int, losses: list[float]) -> list[float]:
        """See `PaidJobs.remember`. Raises NotYours."""
        with self._turn(holder) as jobs:
            return jobs.remember(call, losses)

    def begin_cycle(self, holder: str, number: int) -> None:
        """See `PaidJobs.begin_cycle`. Raises NotYours."""
        with self._turn(holder) as jobs:
            jobs.begin_cycle(number)
            write_summary(jobs.journal, jobs.journal.folder.parent)

    def cancel(self, run: Run) -> list[str]:
        """Stop the run's call, and call off what has not begun; ids of the jobs that run on."""
        with self.state:
            jobs = self.jobs if self.run == run else None
            if jobs is not None:
                jobs.stop()
        if jobs is None:
            return self._cancel_waiting(run)
        with self.working:
            jobs.waiting = jobs.orders.waiting = Waiting(jobs.waiting.patience)  # the stopped one asks nothing
            running = jobs.cancel()
            self._close()
        return running

    def _cancel_waiting(self, run: Run) -> list[str]:
        """The same for a run that does not have the machine: what an earlier process has ordered."""
        if not (run.journal / "run.json").exists():
            return []
        free = self.working.acquire(blocking=False)  # else another run's call is on, and nobody can open this one
        try:
            with self._jobs(run) as jobs:
                return jobs.cancel()
        finally:
            if free:
                self.working.release()

    def look(self, run: Run, since: int) -> dict[str, Any]:
        """How far the run is, and what a person should know, from line `since` on."""
        with self.state:
            first = self.line.first
            turn = next((turn for turn in self.line.turns if turn.run == str(run.folder)), None)
            waits = first is not None and turn is not None and turn is not first
            told = self.told.get(run.folder, [])
            journal = self.jobs.journal if self.jobs is not None and self.run == run else None
            done = 0 if journal is None else sum("result" in records for records in list(journal.orders.values()))
            return {
                "waits_for": first.who if waits and first else None,
                "told": told[since:],
                "done": done,
                "spent": 0.0 if journal is None else journal.spent,
                "cycle": self.jobs.cycle if self.jobs is not None and journal is not None else None,
            }

    def _leave(self, holder: str) -> None:
        with self.state:
            self.line.leave(holder)
            self._remember()

    def _remember(self) -> None:
        if self.line_file is not None:
            self.line.keep(self.line_file)

    def _say(self, run: Run, line: str) -> None:
        with self.state:
            self.told.setdefault(run.folder, []).append(line)

    def _url(self, run: Run) -> str:
        """The service's address; that of a rehearsal server, started where the run has none yet."""
        if run.url is not None:
            return run.url
        with self.state:
            if run.folder not in self.servers:
                folder = run.folder / "rehearsal"
                folder.mkdir(parents=True, exist_ok=True)
                server = RehearsalServer(log=folder / "requests.jsonl", orders=folder / "orders.jsonl")
                self.servers[run.folder] = server.start()
            return self.servers[run.folder].url

    def _open(self, run: Run) -> str | None:
        """Take the machine for a run whose turn it is."""
        lease = Lease(storage_of(run.leases), run.machine)
        mine = self.open.enter_context(lease.hold())
        if not mine:
            holder = lease.holder
            self._close()
            return f"{run.machine} is used by another cluster: {holder}"
        jobs = self.open.enter_context(self._jobs(run))
        self.run, self.jobs, self.lease = run, jobs, lease
        return None

    def _jobs(self, run: Run) -> PaidJobs:
        service = run.service(self._url(run))
        return PaidJobs(
            run.journal,
            service,
            run.ansatz,
            run.rates,
            max_usd=run.max_usd,
            debiasing=run.debiasing,
            degraded=run.degraded,
            retry_failed=run.retry_failed,
            patience=patience(service),
            say=lambda line: self._say(run, line),
        )

    def _close(self) -> None:
        """Give journal and machine back; `working` is held."""
        jobs, run = self.jobs, self.run
        self.run = self.jobs = self.lease = None
        self.open.close()
        if jobs is not None and run is not None:
            try:
                write_summary(jobs.journal, run.folder)
            except OSError as error:  # a full disk must not keep the machine from others
                self._say(run, f"{run.folder}/journal.json could not be written ({error.strerror})")

    def _settle(self) -> None:
        """Close what nobody has a claim to any more, unless a call is under way: its end settles it."""
        if not self.working.acquire(blocking=False):
            return
        try:
            with self.state:
                first = self.line.first
                idle = self.run is not None and (first is None or first.run != str(self.run.folder))
            if idle:
                self._close()
        finally:
            self.working.release()

    def _tidy(self) -> None:
        while True:
            time.sleep(self.line.ttl_s / 4)
            self._settle()

    @contextmanager
    def _turn(self, holder: str) -> Iterator[PaidJobs]:
        """The jobs of the run that has the machine."""
        with self.working:
            with self.state:
                first = self.line.first
                mine = first is not None and first.holder == holder
                if holder in self.line.replaced:  # it would ask again, and take the run back
                    raise Stopped("another process has taken over the run: this one ends")
            jobs, run, lease = self.jobs, self.run, self.lease
            if not mine or jobs is None or run is None or lease is None or first is None:
                raise NotYours
            if first.run != str(run.folder):
                raise NotYours
            if not lease.held:
                self._close()  # another cluster has taken the machine while this one did not answer
                raise NotYours
            yield jobs


def actor() -> Any:
    """The handle of the cluster's actor, which is started where there is none."""
    options = {
        "name": NAME,
        "namespace": NAMESPACE,
        "get_if_exists": True,
        "lifetime": "detached",
        "resources": {RESOURCE: 1},
        "num_cpus": 0,
        "max_restarts": -1,
        "max_concurrency": _CALLS,
    }
    return ray.remote(Qpu).options(**options).remote()
