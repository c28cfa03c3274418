"""Runs on a machine with everything that can go wrong: each circuit paid once, none lost, the same theta in the end."""

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from qgan.circuits.ansatz import Ansatz
from qgan.errors import Stopped
from qgan.ionq.client import Ionq
from qgan.ionq.jobs import PaidJobs, Patience
from qgan.ionq.journal import Journal
from qgan.ionq.prices import RATES
from qgan.ionq.rehearsal.server import RehearsalServer
from qgan.ionq.sampler import IonqSampler
from qgan.prior_settings import Gains
from qgan.spsa import Spsa

MACHINE = "qpu.aria-2"
ANSATZ = Ansatz(2)
SHOTS, ITERATIONS, CYCLES = 20, 2, 2
PATIENCE = Patience(0.001, 0.01, settle_s=0.06, give_up_s=20.0, drift_s=0.0, orders=3)
START = torch.linspace(0.3, 2.0, ANSATZ.n_parameters, dtype=torch.float64)
CIRCUITS = 1 + CYCLES * (2 * ITERATIONS + 1)
CAP = CIRCUITS * RATES[MACHINE].usd(8, 1, SHOTS, False) * (1 + 1e-9)  # not one job more than needed
KINDS = [
    "post:429", "post:429:after", "post:429=0.01", "post:500", "post:500:after", "post:502", "post:502:after",
    "post:503", "post:503:after", "post:504", "post:504:after", "post:520:after", "post:524:after", "post:408:after",
    "post:409:after", "post:drop", "post:drop:after", "post:garbage:after", "post:slow=0.02", "post:fail",
    "post:lag=0.03", "job:500", "job:502", "job:404", "job:409", "job:429", "job:524", "job:drop", "job:garbage",
    "job:slow=0.02", "list:500", "list:503", "list:drop", "list:garbage", "result:500", "result:503", "result:404",
    "result:drop", "result:garbage", "cost:500", "cost:404", "cost:drop", "cost:garbage", "backend:500",
    "backend:drop", "characterization:503", "characterization:drop", "characterization:drift",
]  # fmt: skip


def trained(folder: Path, url: str) -> torch.Tensor:
    """theta after SPSA cycles on the machine, resumed where a process before this one had its last checkpoint."""
    service = Ionq(MACHINE, url)
    with PaidJobs(
        folder / "run", service, ANSATZ, RATES[MACHINE], max_usd=CAP, patience=PATIENCE, retry_failed=True
    ) as jobs:
        sampler = IonqSampler(ANSATZ, jobs)
        checkpoint = folder / "checkpoint.pt"
        theta, stream, cycle = START, np.random.default_rng(3), 0
        if checkpoint.exists():
            state = torch.load(checkpoint, weights_only=False)
            theta, cycle = state["theta"], state["cycle"]
            stream.bit_generator.state = state["stream"]
            sampler.load_state_dict(state["sampler"])
        else:
            sampler.sample(theta[None], SHOTS)  # the first pool
        for number in range(cycle, CYCLES):
            state = {
                "theta": theta,
                "cycle": number,
                "stream": stream.bit_generator.state,
                "sampler": sampler.state_dict(),
            }
            torch.save(state, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
            sampler.begin_cycle(number)
            spsa = Spsa(theta, Gains(0.5, 0.3), stream, ITERATIONS)
            while not spsa.done:
                codes = sampler.sample(spsa.ask(), SHOTS)
                # a loss that no other process would compute: the journal's must be used
                losses = [float(each.double().mean()) + random.SystemRandom().random() * 1e-3 for each in codes]
                for loss in sampler.remember(losses):
                    spsa.tell(loss)
            theta, _ = spsa.result
        return theta


def assert_paid_once(server: RehearsalServer, folder: Path) -> None:
    """Every circuit has one paid job, whose codes are in the journal; the money is what the journal says."""
    journal = Journal(folder / "run")
    paid = [job for job in server.service.jobs.values() if job.paid]
    assert len(paid) == CIRCUITS, Counter(job.status for job in server.service.jobs.values())
    results = {records["result"]["job"]["id"] for records in journal.orders.values() if "result" in records}
    assert {job.id for job in paid} == results
    assert sum(job.paid for job in paid) <= CAP
    assert journal.spent <= CAP


def repeated(folder: Path, url: str) -> torch.Tensor:
    """theta from the losses on record alone."""
    theta, stream, call = START, np.random.default_rng(3), 1
    journal = Journal(folder / "run")
    for _ in range(CYCLES):
        spsa = Spsa(theta, Gains(0.5, 0.3), stream, ITERATIONS)
        while not spsa.done:
            for loss in journal.losses(call):
                spsa.tell(loss)
            call += 1
        theta, _ = spsa.result
    return theta


@pytest.mark.parametrize("count", [30, pytest.param(1000, marks=pytest.mark.faults)])
def test_injected_faults_cost_nothing_and_lose_nothing(count: int, tmp_path: Path) -> None:
    chance = random.Random(count)
    happened: Counter[str] = Counter()
    runs = 0
    while sum(happened.values()) < count:
        folder = tmp_path / f"{runs}"
        folder.mkdir()
        runs += 1
        rules = [f"{kind}@{chance.uniform(0.02, 0.2):.3f}" for kind in chance.sample(KINDS, 12)]
        with RehearsalServer(faults=rules, seed=runs) as server:
            for _ in range(60):
                try:
                    theta = trained(folder, server.url)
                    break
                except Stopped:
                    continue  # a person looks, and says go on
            else:
                pytest.fail(f"run {runs} did not end: {rules}")
            assert_paid_once(server, folder)
            happened += server.faults.happened
        assert torch.equal(theta, repeated(folder, server.url))
    if count >= 1000:
        assert len(happened) > 40


PROGRAM = """
import os, signal, sys
from contextlib import contextmanager
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from qgan.ionq import journal
from qgan.ionq.client import Ionq
import qiskit_ionq
import tests.faults.test_paid_jobs as test

def at(step):
    global steps
    steps += 1
    if steps == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)

whole_file, submit, exclusive = journal.whole_file, Ionq.submit, journal.Journal.exclusive

@contextmanager
def stepped(path):
    at("before")
    with whole_file(path) as temporary:
        yield temporary
        at("written, not yet renamed")
    at("renamed")

def stepped_submit(self, *args, **options):
    at("before the order")
    job = submit(self, *args, **options)
    at("after the order")
    return job

journal.whole_file, Ionq.submit = stepped, stepped_submit
for line in sys.stdin:
    folder, url, kill_at = line.split()
    kill_at, steps = int(kill_at), 0
    child = os.fork()
    if child == 0:
        theta = test.trained(Path(folder), url)
        Path(folder, "theta").write_text(repr(theta.tolist()))
        Path(folder, "steps").write_text(str(steps))
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""


@pytest.mark.parametrize("every", [83, pytest.param(1, marks=pytest.mark.faults)])
def test_a_process_killed_at_any_step_of_the_journal(every: int, tmp_path: Path) -> None:
    """SIGKILL before, within and after every record and every order; then once more later on; then to the end."""
    root = Path(__file__).parents[2]
    forks = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert forks.stdin is not None
    assert forks.stdout is not None

    def run(folder: Path, url: str, kill_at: int) -> int:
        assert forks.stdin is not None
        assert forks.stdout is not None
        folder.mkdir(exist_ok=True)
        print(folder, url, kill_at, file=forks.stdin, flush=True)
        return int(forks.stdout.readline())

    with RehearsalServer() as server:
        whole = tmp_path / "whole"
        assert run(whole, server.url, -1) == 0
        steps = int((whole / "steps").read_text())
    assert steps > 100
    chance = random.Random(every)
    for kill_at in range(1, steps + 1, every):
        folder = tmp_path / f"{kill_at}"
        with RehearsalServer() as server:
            assert run(folder, server.url, kill_at) == 9
            run(folder, server.url, chance.randint(1, steps))
            assert run(folder, server.url, -1) == 0
            assert_paid_once(server, folder)
        theta = torch.tensor(eval((folder / "theta").read_text()), dtype=torch.float64)
        assert torch.equal(theta, repeated(folder, server.url)), f"killed at step {kill_at}"
    forks.stdin.close()
    assert forks.wait() == 0
