"""What the actor does when its run is taken over, its disk is full, or its run is not the one that is open."""

import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from qgan.circuits.ansatz import Ansatz
from qgan.errors import Stopped
from qgan.ionq.prices import rates
from qgan.ionq.rehearsal.server import RehearsalServer
from study.qpu.actor import Qpu
from study.qpu.run import Run
from study.storage import Folder

ANSATZ = Ansatz(2)
THETA = [[0.1] * ANSATZ.n_parameters]


def run(name: str, tmp_path: Path, server: RehearsalServer) -> Run:
    return Run(
        folder=tmp_path / "results" / "tiny" / "qpu" / name,
        leases=tmp_path / "machines",
        machine="qpu.aria-2",
        url=server.url,
        ansatz=ANSATZ,
        shots=8,
        rates=rates("qpu.aria-2"),
        max_usd=1000.0,
    )


def test_a_process_that_was_replaced_does_not_take_the_run_back(tmp_path: Path, server: RehearsalServer) -> None:
    actor, one = Qpu(), run("one", tmp_path, server)
    assert actor.ask(one, "first", "anna") is None
    assert actor.ask(one, "second", "anna again") is None
    with pytest.raises(Stopped, match="another process has taken over"):
        actor.measure("first", 0, THETA, 8)
    assert len(actor.measure("second", 0, THETA, 8)) == 1
    actor.leave("second")


def test_a_summary_that_cannot_be_written_keeps_nobody_from_the_machine(
    tmp_path: Path, server: RehearsalServer
) -> None:
    actor, one, two = Qpu(), run("one", tmp_path, server), run("two", tmp_path, server)
    assert actor.ask(one, "first", "anna") is None
    actor.measure("first", 0, THETA, 8)
    shutil.rmtree(one.folder)
    actor.leave("first")
    assert any("journal.json could not be written" in line for line in actor.told[one.folder])
    assert actor.ask(two, "second", "bert") is None
    actor.leave("second")
    assert b'"released": true' in Folder(two.leases / two.machine).read("2")


def test_what_an_earlier_process_ordered_is_called_off(tmp_path: Path) -> None:
    """The run goes on elsewhere and has not come to its circuits yet, so that no actor has it open."""
    with RehearsalServer(queue_s=60.0) as server:
        before, one = Qpu(), run("one", tmp_path, server)
        assert before.cancel(one) == []  # nothing was ordered yet
        assert before.ask(one, "first", "anna") is None
        threading.Thread(target=_until_stopped, args=(before,), daemon=True).start()
        while not server.service.jobs:
            time.sleep(0.01)
        jobs = before.jobs
        assert jobs is not None
        jobs.stop()  # the process ends, its order stays
        with before.working:
            before._close()
        assert Qpu().cancel(one) == []
        assert {job.status for job in server.service.jobs.values()} == {"canceled"}


def _until_stopped(actor: Qpu) -> None:
    with pytest.raises(Stopped):
        actor.measure("first", 0, THETA, 8)


def test_prices_come_from_the_service_and_in_a_rehearsal_from_the_dated_list(
    tmp_path: Path, server: RehearsalServer
) -> None:
    actor, one = Qpu(), run("one", tmp_path, server)
    quoted = actor.survey(one)["rates"]
    assert quoted.source == f"estimate of {server.url}"
    assert quoted.usd(48, 66, 1000, False) == rates("qpu.aria-2").usd(48, 66, 1000, False)
    assert actor.survey(replace(one, url=None))["rates"] is None
