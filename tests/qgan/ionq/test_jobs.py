"""Jobs that are paid once: what the service may do to them, and what a person may ask for that cannot be had."""

import dataclasses
import io
import json
import logging
import math
import pickle
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from qgan.circuits import RecordedSampler
from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import to_integers
from qgan.circuits.exact import StateVector
from qgan.errors import InputError, Stopped
from qgan.ionq.client import REHEARSAL_VARIABLE, Ionq
from qgan.ionq.jobs import PaidJobs, Patience
from qgan.ionq.journal import Order
from qgan.ionq.noise import Noise
from qgan.ionq.prices import RATES
from qgan.ionq.rehearsal.catalogue import machines
from qgan.ionq.rehearsal.server import RehearsalServer
from qgan.ionq.replay import Replay
from qgan.ionq.sampler import IonqSampler
from tests.qgan.ionq.conftest import ANSATZ, QUICK, Jobs, theta

NEVER = 1e6  # seconds in a queue, until the test says otherwise


def paid(server) -> list:
    return [job for job in server.service.jobs.values() if job.paid]


def states(server) -> list[str]:
    return [job.status for job in server.service.jobs.values()]


def when(condition: Callable[[], bool], action: Callable[[], object]) -> None:
    """Do something in another thread, as soon as a condition holds."""

    def wait() -> None:
        while not condition():
            time.sleep(0.002)
        action()

    threading.Thread(target=wait, daemon=True).start()


def measured(server, jobs_on: Jobs, **options) -> list[list[int]]:
    with jobs_on(server, **options) as jobs:
        return jobs.measure(0, theta(), 20)


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> list[list[int]]:
    """What two circuits measure where nothing goes wrong."""
    folder = tmp_path_factory.mktemp("expected")
    with (
        RehearsalServer() as server,
        PaidJobs(
            folder, Ionq("qpu.aria-2", server.url), ANSATZ, RATES["qpu.aria-2"], max_usd=1e9, patience=QUICK
        ) as jobs,
    ):
        return jobs.measure(0, theta(), 20)


def test_a_point_is_bought_once_over_all_processes(serve, jobs_on, expected):
    server = serve()
    for _ in range(3):
        assert measured(server, jobs_on) == expected
    assert len(paid(server)) == 2
    assert sum(entry["where"] == "post" for entry in server.log) == 2


@pytest.mark.parametrize("cap", [math.nan, 0.0])
def test_nothing_is_ordered_without_a_cap_that_holds(serve, jobs_on, cap):
    server = serve()
    with pytest.raises(Stopped, match="raise the cap"):
        measured(server, jobs_on, max_usd=cap)
    assert not server.service.jobs


def test_both_points_are_ordered_before_either_is_waited_for(serve, jobs_on):
    server = serve()
    measured(server, jobs_on)
    asked = [entry["where"] for entry in server.log if entry["where"] in ("post", "job")]
    assert asked[:2] == ["post", "post"]


@pytest.mark.parametrize(
    "faults",
    [
        ["post:429#1"], ["post:429:after#1"], ["post:503#1"], ["post:503:after#2"], ["post:504:after#1"],
        ["post:524:after@0.9"], ["post:500:after#2"], ["post:drop#1"], ["post:drop:after#1"],
        ["post:garbage:after#1"], ["post:400:after#1"], ["post:409#1"],
        ["post:504:after#1", "list:500#1", "list:drop#2", "list:garbage#3"],
        ["job:500#1", "job:404#2", "job:drop#3", "job:garbage#4", "job:429#5"],
        ["result:503#1", "result:drop#2", "result:garbage#3", "result:404#4"],
        ["cost:500#1", "cost:drop#2"], ["backend:503#1", "any:drop#1"], ["any:slow=0.01"],
    ],
)  # fmt: skip
def test_whatever_the_service_answers_each_point_is_paid_once(serve, jobs_on, expected, faults):
    server = serve(*faults)
    assert measured(server, jobs_on) == expected
    assert sum(server.faults.happened.values()) > 0
    assert len(paid(server)) == 2


def test_a_job_that_the_list_shows_late_is_waited_for(serve, jobs_on, expected):
    server = serve()
    submit = server.service.submit  # one fault per request: the list lags by hand
    server.service.submit = lambda body, **_: submit(body, lag_s=0.025)
    server.faults.rules = serve("post:504:after").faults.rules
    assert measured(server, jobs_on) == expected
    assert len(paid(server)) == 2


def test_after_repeated_doubt_a_person_has_to_look(serve, jobs_on):
    server = serve("post:504")
    with pytest.raises(Stopped, match=r"3 orders of 00000-000.1 had no proper answer .* look for it there yourself"):
        measured(server, jobs_on)
    assert sum(entry["where"] == "post" for entry in server.log) == QUICK.orders
    server.faults.rules = []
    assert len(measured(server, jobs_on)) == 2  # the same command goes on
    assert len(paid(server)) == 2


@pytest.mark.parametrize("faults", [["post:504:after"], ["post:504:after#1"]])
def test_a_second_job_with_the_same_key_is_called_off(serve, jobs_on, faults):
    """Should the list lag longer than we wait for it."""
    server, said = serve(*faults, queue_s=NEVER), []
    listed = server.service.listed
    server.service.listed = lambda *query: listed(*query) if len(server.service.jobs) > 1 else (200, {"jobs": []})

    def say(line: str) -> None:
        said.append(line)
        if "a second job" in line:  # it is called off right after these words
            when(lambda: "canceled" in states(server), lambda: setattr(server.service, "queue_s", 0.0))

    with jobs_on(server, say=say) as jobs:
        jobs.measure(0, theta(1), 20)
    assert sorted(states(server)) == ["canceled", "completed"]
    assert len(paid(server)) == 1
    assert any("a second job" in line for line in said)


def test_the_cap_is_never_passed(serve, jobs_on):
    server = serve()
    one = RATES["qpu.aria-2"].usd(8, 1, 20, False)
    with jobs_on(server, max_usd=3.5 * one) as jobs:
        jobs.measure(0, theta(), 20)
        with pytest.raises(Stopped, match=r"raise the cap \(--max-usd\)"):
            jobs.measure(1, theta(seed=1), 20)
        assert len(jobs.measure(1, theta(1, seed=1), 20)) == 1
    with jobs_on(server, max_usd=3.5 * one) as jobs, pytest.raises(Stopped, match="cap"):
        jobs.measure(2, theta(1), 20)
    assert sum(job.usd for job in server.service.jobs.values()) <= 3.5 * one


def test_what_was_charged_beyond_the_intent_counts(serve, jobs_on):
    server = serve()
    with jobs_on(server) as jobs:
        jobs.measure(0, theta(), 20)
        for records in jobs.journal.orders.values():
            records["cost"]["usd"] *= 3
        assert jobs.journal.spent == pytest.approx(3 * 2 * RATES["qpu.aria-2"].usd(8, 1, 20, False))


def test_a_failed_job_is_not_ordered_again_unasked(serve, jobs_on, expected):
    server = serve("post:fail#2")
    for _ in range(2):
        with pytest.raises(Stopped, match=r"the rehearsal let this job fail.*--retry failed"):
            measured(server, jobs_on)
    assert len(server.service.jobs) == 2
    with jobs_on(server) as jobs:
        assert jobs.journal.spent == pytest.approx(RATES["qpu.aria-2"].usd(8, 1, 20, False))  # the other one
    assert measured(server, jobs_on, retry_failed=True) == expected
    assert len(paid(server)) == 2


def test_what_the_service_refuses_is_no_intent(serve, jobs_on, expected):
    server = serve("post:402#1")
    with pytest.raises(InputError, match=r"refuses the job .*402"):
        measured(server, jobs_on)
    with jobs_on(server) as jobs:
        assert jobs.journal.spent == 0
    assert measured(server, jobs_on) == expected


def test_calling_off_what_has_not_begun(serve, jobs_on):
    server = serve(queue_s=NEVER)
    jobs = jobs_on(server)
    when(lambda: len(states(server)) == 2, jobs.stop)
    with jobs, pytest.raises(Stopped, match="detached"):
        jobs.measure(0, theta(), 20)
    with jobs_on(server) as again:
        assert again.cancel() == []
        assert again.journal.spent == 0
    assert states(server) == ["canceled", "canceled"]
    server.service.queue_s = 0.0
    assert len(measured(server, jobs_on)) == 2  # ordered anew


def test_what_has_begun_runs_on(serve, jobs_on, expected):
    server = serve(execution_s=NEVER)
    jobs = jobs_on(server)
    when(lambda: states(server) == ["started", "submitted"], jobs.stop)
    with jobs, pytest.raises(Stopped, match="detached"):
        jobs.measure(0, theta(), 20)
    with jobs_on(server) as again:
        assert again.cancel() == [next(iter(server.service.jobs))]
    server.service.execution_s = 0.0
    assert measured(server, jobs_on) == expected
    assert len(paid(server)) == 2


def test_a_detached_run_goes_on_with_its_jobs(serve, jobs_on, expected):
    server = serve(queue_s=NEVER)
    jobs = jobs_on(server)
    when(lambda: len(states(server)) == 2, jobs.stop)
    with jobs, pytest.raises(Stopped, match="detached"):
        jobs.measure(0, theta(), 20)
    server.service.queue_s = 0.0
    assert measured(server, jobs_on) == expected
    assert len(server.service.jobs) == 2


def test_a_job_that_someone_else_called_off(serve, jobs_on):
    server = serve(queue_s=NEVER)

    def call_off() -> None:
        server.service.cancel(next(iter(server.service.jobs)))
        server.service.queue_s = 0.0

    when(lambda: len(states(server)) == 2, call_off)
    with jobs_on(server) as jobs, pytest.raises(Stopped, match="called off by someone else"):
        jobs.measure(0, theta(), 20)


def test_two_processes_cannot_drive_one_run(serve, jobs_on):
    server = serve()
    with jobs_on(server), pytest.raises(InputError, match="another process is at work"):
        jobs_on(server).open()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"machine": "qpu.forte-1"}, "holds a run with machine qpu.aria-2, not qpu.forte-1"),
        ({"ansatz": Ansatz(2, entangler="rzz")}, "holds a run with ansatz"),
        ({"debiasing": True}, "holds a run with debiasing False, not True"),
    ],
)
def test_a_folder_belongs_to_one_run(serve, jobs_on, change, says):
    server = serve()
    measured(server, jobs_on)
    with pytest.raises(InputError, match=says):
        jobs_on(server, **change).open()


def test_other_angles_than_the_journals_are_not_answered(serve, jobs_on):
    server = serve()
    measured(server, jobs_on)
    with jobs_on(server) as jobs:
        near = [[angle + 1e-9 for angle in row] for row in theta()]
        assert jobs.measure(0, near, 20) == jobs.measure(0, theta(), 20)  # another machine's rounding
        with pytest.raises(Stopped, match="other angles or shots for call 0, point 0"):
            jobs.measure(0, theta(seed=1), 20)
        with pytest.raises(Stopped, match="other angles or shots"):
            jobs.measure(0, theta(), 21)
    assert len(server.service.jobs) == 2


def test_losses_are_remembered_as_they_were_told(serve, jobs_on):
    server = serve()
    with jobs_on(server) as jobs:
        assert jobs.remember(3, [0.1, -2.5e-17]) == [0.1, -2.5e-17]
        assert jobs.remember(3, [0.2, 0.3]) == [0.1, -2.5e-17]
    with jobs_on(server) as jobs:
        assert jobs.remember(3, [0.2, 0.3]) == [0.1, -2.5e-17]


def test_a_snapshot_per_cycle_and_a_word_where_it_drifts(serve, jobs_on):
    server, said = serve("characterization:drift#2"), []
    with jobs_on(server, say=said.append) as jobs:
        jobs.begin_cycle(0)
        jobs.measure(0, theta(), 20)
        jobs.measure(1, theta(), 20)
        snapshot = jobs.journal.cycle(0)
        assert snapshot["characterization"]["fidelity"]["2q"]["median"] == pytest.approx(1 - 0.75 * 0.01856)
        assert snapshot["machine"]["status"] == "available"
        drifted = [line for line in said if "calibrated anew in the middle of update event 0" in line]
        assert len(drifted) == 1  # told once, not at every look
        assert jobs.journal.calibration(0) != snapshot["characterization"]["id"]
        jobs.begin_cycle(0)  # the same event, resumed
        assert jobs.journal.cycle(0) == snapshot


def test_costs_that_were_not_told_at_once_are_read_later(serve, jobs_on):
    server = serve("cost:500#1", "cost:500#2")
    with jobs_on(server) as jobs:
        jobs.measure(0, theta(), 20)
        assert jobs.journal.charged == 0
        jobs.begin_cycle(1)
        assert jobs.journal.charged == pytest.approx(sum(job.paid for job in paid(server)))


@pytest.mark.parametrize(
    ("machine", "change", "options", "says"),
    [
        ("qpu.aria-3", {}, {}, r"lists no machine qpu.aria-3 \(did you mean `qpu.aria-"),
        ("qpu.aria-1", {}, {}, "qpu.aria-1 is retired; available now: simulator, qpu.aria-2"),
        ("qpu.aria-2", {"status": "unavailable"}, {}, "qpu.aria-2 is unavailable"),
        ("qpu.aria-2", {"degraded": True}, {}, "qpu.aria-2 is degraded now: .* accept that with --yes"),
        ("qpu.aria-2", {"qubits": 1}, {}, "has 1 qubits, the circuit needs 2"),
        ("qpu.aria-2", {"name": "qpu.new-1", "gates": ()}, {"machine": "qpu.new-1"}, "entangling gate is unknown"),
    ],
)
def test_a_machine_that_cannot_run_it_is_refused(serve, jobs_on, machine, change, options, says):
    catalogue = [dataclasses.replace(each, **(change if each.name == "qpu.aria-2" else {})) for each in machines()]
    server = serve(catalogue=catalogue)
    with pytest.raises(InputError, match=says):
        jobs_on(server, **{"machine": machine, **options}).open()
    assert not server.service.jobs


def test_a_degraded_machine_may_be_accepted(serve, jobs_on, expected):
    catalogue = [dataclasses.replace(each, degraded=True) for each in machines()]
    assert measured(serve(catalogue=catalogue), jobs_on, degraded=True) == expected


@pytest.mark.parametrize(
    ("shots", "debiasing", "says"),
    [(0, False, "from 1 to 10000"), (10_001, False, "from 1 to 10000"), (499, True, "from 500 to 10000 .*debiasing")],
)
def test_shots_outside_the_limits_are_refused(serve, jobs_on, shots, debiasing, says):
    server = serve()
    with jobs_on(server, debiasing=debiasing) as jobs, pytest.raises(InputError, match=says):
        jobs.measure(0, theta(), shots)
    assert not server.service.jobs


def test_old_prices_are_said_and_unknown_ones_refused(serve, jobs_on):
    from qgan.ionq.prices import rates

    said = []
    old = dataclasses.replace(RATES["qpu.aria-2"], read=date.today() - timedelta(days=91))
    jobs = PaidJobs(
        jobs_on(serve()).journal.folder, Ionq("qpu.aria-2", serve().url), ANSATZ, old, max_usd=1, say=said.append
    )
    with jobs:
        pass
    assert said == [old.warning(date.today())]
    assert "91 days ago" in said[0]
    assert dataclasses.replace(old, read=date.today()).warning(date.today()) is None
    with pytest.raises(InputError, match=r"no price is known for qpu.fort-1 \(did you mean `qpu.forte-1`\?\): give"):
        rates("qpu.fort-1")


def test_damaged_records_are_named(serve, jobs_on):
    server = serve()
    measured(server, jobs_on)
    jobs = jobs_on(server)
    path = jobs.journal.folder / "00000-000.1.result.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(InputError, match=r"00000-000.1.result.json: not a whole record"):
        jobs_on(server)
    path.write_text(json.dumps({"schema": 99}))
    with pytest.raises(InputError, match="schema 99"):
        jobs_on(server)


def test_a_service_without_answers_is_given_up_in_the_end(serve, jobs_on):
    server = serve("job:500")
    patience = dataclasses.replace(QUICK, give_up_s=0.1)
    with jobs_on(server, patience=patience) as jobs, pytest.raises(Stopped, match="no proper answer for 0 minutes"):
        jobs.measure(0, theta(), 20)
    server.faults.rules = []
    assert len(measured(server, jobs_on)) == 2
    assert len(paid(server)) == 2


def test_the_sampler_is_a_recorded_one_and_replays_bit_for_bit(serve, jobs_on):
    server, angles = serve(), torch.tensor(theta())
    with jobs_on(server) as jobs:
        sampler = IonqSampler(ANSATZ, jobs)
        assert isinstance(sampler, RecordedSampler)
        assert not isinstance(StateVector(ANSATZ, torch.Generator()), RecordedSampler)
        codes = [sampler.sample(angles, 30), sampler.sample(angles[:1], 30)]
        sampler.remember([1.0, 2.0])
        sampler.load_state_dict({"calls": 0})
        assert all(torch.equal(sampler.sample(angles[: len(each)], 30), each) for each in codes)
        assert sampler.state_dict() == {"calls": 2}
        folder = jobs.journal.folder
    sent = len(server.log)
    replayed = IonqSampler(ANSATZ, Replay(folder))
    replayed.begin_cycle(0)
    assert torch.equal(replayed.sample(angles, 30), codes[0])
    assert torch.equal(replayed.sample(angles[:1], 30), codes[1])
    assert replayed.remember([7.0]) == [1.0, 2.0]
    with pytest.raises(Stopped, match="ends before call 2, point 0"):
        replayed.sample(angles, 30)
    with pytest.raises(Stopped, match="ends before the losses of call 2"):
        Replay(folder).remember(2, [0.0])
    assert len(server.log) == sent
    with pytest.raises(InputError, match="holds no journal"):
        Replay(folder.parent)


@pytest.mark.parametrize(("machine", "entangler"), [("qpu.aria-2", "rxx"), ("qpu.forte-1", "rzz")])
def test_what_comes_back_is_the_circuits_distribution(serve, jobs_on, machine, entangler):
    """Compiled, sent, simulated, read and unflipped, on both machines: here without noise."""
    ansatz = Ansatz(4, entangler=entangler)
    angles = torch.tensor(theta(1, ansatz))
    angles[:, ansatz.rx(1)] = torch.tensor([0.0, math.pi, math.pi, 1.0])  # frames that end in a flip
    catalogue = [dataclasses.replace(each, noise=Noise(0.0, 0.0)) for each in machines()]
    with jobs_on(serve(catalogue=catalogue), machine=machine, ansatz=ansatz) as jobs:
        codes = IonqSampler(ansatz, jobs).sample(angles, 10_000)[0]
        assert any(jobs.journal.orders[Order(0, 0)]["intent"]["flips"])
    p = StateVector(ansatz, torch.Generator(), torch.complex128).probabilities(angles)[0].numpy()
    counts = np.bincount(to_integers(codes).numpy(), minlength=16)
    assert chisquare(counts, 10_000 * p / p.sum()).pvalue > 1e-3


def test_the_token_is_in_nothing_that_a_run_leaves_behind(serve, jobs_on, tmp_path, monkeypatch, capfd):
    secret = "SECRET-0f3a9c"
    monkeypatch.setenv(REHEARSAL_VARIABLE, secret)
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.DEBUG)
    said: list[str] = []
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        server = serve(
            "post:504:after#1", "post:402#4", "job:drop#1", "job:500#3", "list:garbage#1",
            token=secret, log=tmp_path / "requests.jsonl", orders=tmp_path / "orders.jsonl",
        )  # fmt: skip
        with jobs_on(server, say=said.append) as jobs:
            jobs.begin_cycle(0)
            jobs.measure(0, theta(), 20)
            jobs.remember(0, [1.0, 2.0])
            pickled = pickle.dumps((jobs.service, jobs.journal, jobs.waiting))
            for angles in (theta(), theta(seed=1)):
                try:
                    jobs.measure(1, angles, 20)
                except (InputError, Stopped) as error:
                    texts += traceback.format_exception(error)
                    texts.append(repr(pickle.dumps(error)))
    root.removeHandler(handler)
    root.setLevel(level)
    server.service._note(next(iter(server.service.jobs.values())))
    captured = capfd.readouterr()
    texts += [*said, log.getvalue(), captured.out, captured.err, repr(pickled), json.dumps(server.log)]
    texts += [str(each.message) for each in warned]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 10
    texts += [path.read_text() for path in files]
    assert any("402" in text for text in texts)
    assert not [text for text in texts if secret in text]


def test_everything_that_travels_can_be_pickled(serve, jobs_on):
    with jobs_on(serve()) as jobs:
        jobs.measure(0, theta(), 20)
        closed = pickle.loads(pickle.dumps(jobs_on(serve())))
        assert closed.journal.orders == jobs.journal.orders
        journal = pickle.loads(pickle.dumps(jobs.journal))
        assert journal.orders == jobs.journal.orders
        assert pickle.loads(pickle.dumps(Patience())) == Patience()
        sampler = pickle.loads(pickle.dumps(IonqSampler(ANSATZ, Replay(journal.folder))))
        assert sampler.sample(torch.tensor(theta()), 20).shape == (2, 20, 2)
