"""The rehearsal server: what it refuses, its faults, its log, and jobs that outlive it."""

import json
import re
import socket
import time

import pytest
import requests

from qgan.errors import InputError
from qgan.ionq.client import IONQ, Ionq
from qgan.ionq.compiler import compile_ansatz
from qgan.ionq.rehearsal.faults import Fault, Faults
from tests.qgan.ionq.conftest import ANSATZ, theta

HEADERS = {"Authorization": "apiKey word"}
ORDER = {"shots": 50, "debiasing": False, "name": "00000-000", "key": "abc/0/0/1"}
SMALL = compile_ansatz(ANSATZ, theta(1)[0], "ms")
BODY = {
    "type": "ionq.circuit.v1",
    "backend": "qpu.aria-2",
    "shots": 10,
    "name": "x",
    "input": {"gateset": "native", "qubits": 1, "circuit": [{"gate": "gpi", "target": 0, "phase": 0.0}]},
    "metadata": {"run_key": "k"},
}


def ask(server, method: str, path: str, **rest) -> requests.Response:
    return requests.request(method, server.url + path, headers=HEADERS, timeout=10, **rest)


def wait_for(server, job_id: str, status: str = "completed") -> dict:
    for _ in range(5000):
        job = ask(server, "GET", f"/jobs/{job_id}").json()
        if job["status"] == status:
            return job
        time.sleep(0.01)
    pytest.fail(f"job is {job['status']}")


def test_a_job_from_order_to_bill(serve):
    server = serve(queue_s=1e6, execution_s=1e6)
    job_id = ask(server, "POST", "/jobs", json=BODY).json()["id"]
    assert ask(server, "GET", f"/jobs/{job_id}").json()["status"] in ("submitted", "ready")
    assert "cost" not in ask(server, "GET", f"/jobs/{job_id}/cost").json()
    server.service.queue_s = 0.0
    wait_for(server, job_id, "started")
    assert ask(server, "PUT", f"/jobs/{job_id}/status/cancel").json()["status"] == "started"  # too late
    server.service.execution_s = 0.0
    job = wait_for(server, job_id)
    assert job["metadata"] == BODY["metadata"]
    assert job["stats"]["gate_counts"] == {"1q": 1, "2q": 0}
    assert job["execution_duration_ms"] > 0
    shots = ask(server, "GET", f"/jobs/{job_id}/results/shots").json()
    assert shots.count(1) >= 9
    histogram = ask(server, "GET", f"/jobs/{job_id}/results/probabilities").json()
    assert sum(histogram.values()) == pytest.approx(1)
    cost = ask(server, "GET", f"/jobs/{job_id}/cost").json()["cost"]
    assert cost == {"unit": "usd", "value": pytest.approx(12.4166 + 10 * 0.00022)}
    assert ask(server, "DELETE", f"/jobs/{job_id}").status_code == 200
    assert ask(server, "GET", f"/jobs/{job_id}").status_code == 404


def changed(**change) -> dict:
    return {**BODY, **change}


def circuit(*gates: dict, **change) -> dict:
    return changed(input={**BODY["input"], "circuit": list(gates), "qubits": 2}, **change)


MS = {"gate": "ms", "targets": [0, 1], "phases": [0, 0], "angle": 0.1}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (changed(colour="red"), "unknown keys: .'colour'"),
        ([], "a job is a JSON object"),
        (changed(type="ionq.qasm3.v1"), "ionq.circuit.v1 alone"),
        (changed(backend="qpu.harmony"), "unknown backend 'qpu.harmony'"),
        (changed(backend="qpu.aria-1"), "qpu.aria-1 is retired"),
        (changed(shots=0), "from 1 to 1000000"),
        (changed(shots=2.5), "from 1 to 1000000"),
        (changed(metadata={"n": 3}), "strings as values"),
        (changed(metadata={str(k): "" for k in range(11)}), "at most 10 keys"),
        (changed(metadata={"k" * 41: ""}), "40 characters"),
        (circuit(MS, backend="qpu.forte-1"), r"Gate types .ms. are not supported by this backend"),
        (circuit({"gate": "zz", "targets": [0, 1], "angle": 0.1}), r"Gate types .zz. are not supported"),
        (circuit({**MS, "angle": 0.3}), "angle of ms out of range"),
        (circuit({**MS, "targets": [0, 5]}), "acts outside the 2 qubits"),
        (circuit({"gate": "gz", "target": 0, "phase": 0.1}), "gate must be gpi, gpi2, ms, zz"),
        (circuit({"gate": "rx", "target": 0, "rotation": 0.1}), "gate must be"),
        (changed(input={**BODY["input"], "gateset": "qis"}), "native gates alone"),
        (changed(input={**BODY["input"], "qubits": 26}), "qpu.aria-2 has 25 qubits"),
        (changed(input={**BODY["input"], "qubits": 21}), "simulates at most 20 qubits"),
        (changed(input={**BODY["input"], "qubits": "two"}), "wrong type"),
        (changed(backend="simulator", noise={"model": "loud"}), "unknown noise model 'loud'"),
    ],
)
def test_orders_are_checked_as_strictly_as_the_schema(serve, body, says):
    server = serve()
    answer = ask(server, "POST", "/jobs", json=body)
    assert answer.status_code == 400
    assert re.search(says, answer.json()["message"]), answer.json()["message"]
    assert not server.service.jobs


def test_a_dry_run_costs_and_measures_nothing(serve):
    server = serve()
    job = wait_for(server, ask(server, "POST", "/jobs", json=changed(dry_run=True)).json()["id"])
    assert job["results"] is None
    assert ask(server, "GET", f"/jobs/{job['id']}/cost").json()["cost"]["value"] == 0


@pytest.mark.parametrize(
    "path", ["/jobs/none", "/nothing", "/backends/qpu.x", "/jobs/none/results/shots", "/jobs/none/cost"]
)
def test_what_is_not_there_is_404(serve, path):
    assert ask(serve(), "GET", path).status_code == 404


def test_the_same_job_gives_the_same_shots_and_others_do_not(serve):
    codes = []
    for seed, name in ((0, "a"), (0, "a"), (0, "b"), (1, "a")):
        server = serve(seed=seed)
        service = Ionq("qpu.aria-2", server.url)
        job_id = service.submit(SMALL, **{**ORDER, "name": name, "key": f"run-{len(codes)}"})
        codes.append(service.codes(wait_for(server, job_id)))
    assert codes[0] == codes[1]
    assert codes[0] != codes[2]
    assert codes[0] != codes[3]


def test_preparation_and_measurement_err_where_asked(serve):
    flips = []
    for spam in (False, True):
        server = serve(spam=spam)
        job_id = ask(server, "POST", "/jobs", json=changed(shots=20_000)).json()["id"]
        wait_for(server, job_id)
        flips.append(ask(server, "GET", f"/jobs/{job_id}/results/shots").json().count(0) / 20_000)
    assert flips[0] == pytest.approx(0.00066 / 2, abs=0.0006)
    assert flips[1] == pytest.approx(0.0039 + 0.00066 / 2, abs=0.0015)


def test_jobs_outlive_the_server_that_has_a_file_of_orders(serve, tmp_path):
    orders = tmp_path / "orders.jsonl"
    first = serve("post:fail#2", orders=orders)
    service = Ionq("qpu.aria-2", first.url)
    ids = [service.submit(SMALL, **{**ORDER, "key": f"k{k}"}) for k in range(2)]
    codes = service.codes(wait_for(first, ids[0]))
    with orders.open("a") as file:
        file.write('{"id": "half a li')  # killed while it wrote
    second = serve(orders=orders)
    service = Ionq("qpu.aria-2", second.url)
    assert service.codes(wait_for(second, ids[0])) == codes
    assert service.job(ids[1])["status"] == "failed"
    assert service.find("k0")[0]["id"] == ids[0]


def test_the_log_names_requests_and_no_tokens(serve, tmp_path):
    server = serve("post:503:after#1", log=tmp_path / "log.jsonl")
    ask(server, "POST", "/jobs", json=BODY)
    ask(server, "GET", "/backends")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == server.log
    assert [(line["method"], line["where"]) for line in lines] == [("POST", "post"), ("GET", "backend")]
    assert lines[0]["fault"] == "503 after"
    assert lines[0]["run_key"] == "k"
    assert "word" not in (tmp_path / "log.jsonl").read_text()


def test_it_is_reached_from_this_machine_alone(serve):
    server = serve()
    assert server.url.startswith("http://127.0.0.1:")
    assert server.url.endswith(IONQ.removeprefix("https://api.ionq.co"))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        with pytest.raises(InputError, match="cannot be used"):
            serve(port=other.getsockname()[1])


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("post:504:after@0.1", Fault("post", "504", True, 0.0, 0.1)),
        ("job:500#3", Fault("job", "500", number=3)),
        ("post:429=2", Fault("post", "429", seconds=2.0)),
        ("result:slow=0.5", Fault("result", "slow", seconds=0.5)),
        ("post:lag=5", Fault("post", "lag", seconds=5.0)),
    ],
)
def test_rules_are_read(text, rule):
    assert Fault.parse(text) == rule


@pytest.mark.parametrize(
    "text", ["post", "post:teapot", "nowhere:500", "job:fail", "post:500@2", "list:drift", "post:500@0.1#2"]
)
def test_rules_that_make_no_sense_are_refused(text):
    with pytest.raises(InputError, match="fault"):
        Fault.parse(text)


def test_rules_strike_as_often_as_they_say():
    faults = Faults(["post:500#2", "any:503@0.25"], seed=1)
    drawn = [faults.draw("post") for _ in range(1000)]
    assert drawn[1].what == "500"
    assert 200 < sum(fault is not None and fault.what == "503" for fault in drawn) < 300
    assert faults.happened["post:500"] == 1
