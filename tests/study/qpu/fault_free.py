"""The final trial of a study file, and what it comes to where nothing goes wrong."""

from dataclasses import replace
from pathlib import Path

from qgan.ionq.client import Ionq
from qgan.ionq.jobs import PaidJobs
from qgan.ionq.prices import rates
from qgan.ionq.rehearsal.server import RehearsalServer
from qgan.ionq.sampler import IonqSampler
from study import patches, trainable
from study.qpu.final import final
from study.qpu.replay import theta
from study.qpu.run import ON_THIS_MACHINE, Run
from study.spec import load
from study.trainable import Job


def prepared(file: Path, server: RehearsalServer, name: str) -> tuple[Job, Run]:
    """The final trial of a study file, as `study qpu` would run it."""
    found = final(load(file), "qpu.aria-2")
    folder = found.folder / name
    run = Run(
        folder=folder,
        leases=file.parent / "machines",
        machine="qpu.aria-2",
        url=server.url,
        ansatz=found.ansatz,
        shots=found.prior.shots,
        rates=rates("qpu.aria-2"),
        max_usd=1000.0,
    )
    return trainable.job(found.study, found.planned, patches.file(found.study), folder), run


def angles(file: Path, folder: Path) -> list[float]:
    return theta(folder / "checkpoint.pt", final(load(file), "qpu.aria-2"))


def fault_free(file: Path, seed: int = 0) -> list[float]:
    """What the trial comes to where nothing goes wrong: in this process, without Ray, on a server of its own."""
    with RehearsalServer(seed=seed) as another:  # which seeds the shots
        job, run = prepared(file, another, f"fault-free-{file.stem}")
        service = Ionq("qpu.aria-2", another.url)
        with PaidJobs(run.journal, service, run.ansatz, run.rates, max_usd=1e9, patience=ON_THIS_MACHINE) as jobs:
            trainable.run(replace(job, sampler=IonqSampler(run.ansatz, jobs)), lambda epoch: None, raise_errors=True)
    return angles(file, job.folder)
