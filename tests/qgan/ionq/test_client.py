"""The client: its requests are those of the facts, sent once and to one address; what every answer means."""

import base64
import gzip
import json
import pickle
import warnings

import pytest
import requests
from qiskit import QuantumCircuit
from qiskit.providers import JobStatus
from qiskit_ionq import ErrorMitigation, GPI2Gate, GPIGate, IonQProvider, MSGate

from qgan.circuits.ansatz import Ansatz
from qgan.errors import InputError
from qgan.ionq import client
from qgan.ionq.client import REHEARSAL_VARIABLE, TOKEN_VARIABLES, Busy, Ionq, NotNow, Uncertain
from qgan.ionq.compiler import compile_ansatz
from qgan.ionq.native_gates import NativeCircuit, NativeGate
from tests.qgan.ionq.conftest import theta

ORDER = {"shots": 50, "debiasing": False, "name": "00017-000", "key": "abc-0001/17/0/1"}
SMALL = compile_ansatz(Ansatz(2), theta(1)[0], "ms")


def test_an_order_is_the_body_of_the_documents(serve):
    server = serve()
    gates = (NativeGate("gpi2", (0,), (-0.25,)), NativeGate("ms", (0, 1), (-0.0446, 0.1009), 0.00974))
    Ionq("qpu.aria-2", server.url).submit(NativeCircuit(2, gates, (False, False), (0, 0)), **ORDER)
    (job,) = server.service.jobs.values()
    metadata = job.body.pop("metadata")
    assert job.body == {
        "type": "ionq.circuit.v1",
        "backend": "qpu.aria-2",
        "shots": 50,
        "name": "00017-000",
        "input": {
            "gateset": "native",
            "qubits": 2,
            "circuit": [
                {"gate": "gpi2", "target": 0, "phase": -0.25},
                {"gate": "ms", "targets": [0, 1], "phases": [-0.0446, 0.1009], "angle": 0.00974},
            ],
        },
        "settings": {"error_mitigation": {"debiasing": False}},
    }
    assert metadata.keys() == {"shots", "sampler_seed", "qiskit_header", "user_agent", "run_key"}
    assert metadata["run_key"] == ORDER["key"]
    assert metadata["shots"] == "50"


def test_zz_and_debiasing_are_explicit_too(serve):
    server = serve()
    gates = (NativeGate("zz", (0, 1), (), 0.11),)
    Ionq("qpu.forte-1", server.url).submit(
        NativeCircuit(2, gates, (False, False), (0, 0)), **{**ORDER, "debiasing": True}
    )
    (job,) = server.service.jobs.values()
    assert job.body["input"]["circuit"] == [{"gate": "zz", "targets": [0, 1], "angle": 0.11}]
    assert job.body["settings"] == {"error_mitigation": {"debiasing": True}}


def test_metadata_fit_the_documented_limit_at_12_qubits(serve):
    server, ansatz = serve(), Ansatz(12)
    key = "12345678-1234-1234-1234-123456789012/10000/100/10"
    Ionq("qpu.aria-2", server.url).submit(compile_ansatz(ansatz, theta(1, ansatz)[0], "ms"), **{**ORDER, "key": key})
    (job,) = server.service.jobs.values()
    assert max(map(len, job.body["metadata"].values())) <= 400


def _unpacked(body):
    """A body with its header as JSON: gzip packs the second of the day with it."""
    header = json.loads(gzip.decompress(base64.b64decode(body["metadata"]["qiskit_header"])))
    return {**body, "metadata": {**body["metadata"], "qiskit_header": header}}


def test_the_unmodified_client_sends_the_same_and_reads_the_same(serve, monkeypatch):
    """qiskit-ionq as its users drive it, through its provider."""
    server = serve(token="word")
    monkeypatch.setenv("IONQ_API_URL", server.url)
    monkeypatch.setenv(REHEARSAL_VARIABLE, "word")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about transpiling
        backend = IonQProvider("word", server.url).get_backend("qpu.aria-2", gateset="native")
        assert backend.num_qubits == 25
        circuit = QuantumCircuit(2, 2, name=ORDER["name"])
        for gate in SMALL.gates:
            if gate.name == "ms":
                circuit.append(MSGate(*gate.phases, gate.angle), gate.qubits)
            else:
                circuit.append({"gpi": GPIGate, "gpi2": GPI2Gate}[gate.name](*gate.phases), gate.qubits)
        circuit.measure([0, 1], [0, 1])
        mitigation = ErrorMitigation.NO_DEBIASING
        theirs = backend.run(
            circuit, shots=50, memory=True, error_mitigation=mitigation, extra_metadata={"run_key": ORDER["key"]}
        )
        result = theirs.result(wait=0.01)
        assert theirs.status() == JobStatus.DONE
        assert backend.calibration().qubits == 25
        estimate = backend.client.estimate_job(
            backend="qpu.aria-2", oneq_gates=48, twoq_gates=66, qubits=12, shots=1000
        )
        assert estimate.cost == pytest.approx(12.4166 + 1000 * (48 * 0.00022 + 66 * 0.000975))
    service = Ionq("qpu.aria-2", server.url)
    ours = service.submit(SMALL, **ORDER)
    first, second = server.service.jobs.values()
    assert _unpacked(first.body) == _unpacked(second.body)
    while (job := service.job(ours))["status"] != "completed":
        pass
    assert [int(bits, 2) for bits in theirs.get_memory()] == service.codes(job)
    assert sum(result.get_counts().values()) == 50


def test_ideal_and_noisy_simulators_answer_the_unmodified_client(serve, monkeypatch):
    server = serve()
    monkeypatch.setenv("IONQ_API_URL", server.url)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        backend = IonQProvider("word", server.url).get_backend("simulator", gateset="native")
        circuit = QuantumCircuit(3, 3)
        circuit.append(GPIGate(0.0), [0])
        circuit.measure(range(3), range(3))
        ideal = backend.run(circuit, shots=10).result(wait=0.01)
        assert ideal.get_probabilities() == {"001": 1.0}
        noisy = backend.run(circuit, shots=4000, noise_model="aria-1", memory=True)
        # 2 of 4 equal Paulis flip the bit
        share = noisy.result(wait=0.01).get_counts().get("000", 0) / 4000
        assert share == pytest.approx(0.0005 / 2, abs=0.0015)
        cancelled = backend.run(circuit, shots=1)
        cancelled.cancel()


@pytest.mark.parametrize(
    ("fault", "raises"),
    [
        ("post:429", Busy), ("post:429:after", Busy), ("post:502", Uncertain), ("post:503:after", Uncertain),
        ("post:504:after", Uncertain), ("post:524:after", Uncertain), ("post:500", Uncertain),
        ("post:409", Uncertain), ("post:drop", Uncertain), ("post:drop:after", Uncertain),
        ("post:garbage:after", Uncertain), ("post:400", InputError), ("post:401", InputError),
        ("post:402", InputError), ("post:404", InputError), ("post:422", InputError),
    ],
)  # fmt: skip
def test_an_order_is_sent_once_whatever_the_answer(serve, fault, raises):
    server = serve(fault)
    with pytest.raises(raises) as raised:
        Ionq("qpu.aria-2", server.url).submit(SMALL, **ORDER)
    assert raised.type is raises
    assert [entry["where"] for entry in server.log] == ["post"]
    assert len(server.service.jobs) == ("after" in fault)


def test_retry_after_is_told(serve):
    service = Ionq("qpu.aria-2", serve("post:429=7", "job:503=9", "list:503=900000").url)
    with pytest.raises(Busy) as busy:
        service.submit(SMALL, **ORDER)
    assert busy.value.wait_s == 7
    with pytest.raises(NotNow) as refused:
        service.job("x")
    assert refused.value.wait_s == 9
    with pytest.raises(NotNow) as later:
        service.find("x")
    assert later.value.wait_s == 600  # no service may stop us for a week
    dated = {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT", "Date": "Fri, 31 Dec 1999 23:59:29 GMT"}
    assert client._wait(dated) == 30
    assert client._wait({"Retry-After": "soon"}) == 0


@pytest.mark.parametrize("fault", ["job:500", "job:404", "job:429", "job:503", "job:drop", "job:garbage", "job:409"])
def test_a_question_is_asked_once_and_may_be_asked_again(serve, fault):
    server = serve(fault)
    with pytest.raises(NotNow):
        Ionq("qpu.aria-2", server.url).job("x")
    assert len(server.log) == 1


def test_an_order_that_never_left_is_known_to_be_none(serve):
    server = serve()
    server.close()
    with pytest.raises(NotNow, match="cannot be reached"):
        Ionq("qpu.aria-2", server.url).submit(SMALL, **ORDER)
    server.start = lambda: server  # closed already
    server.close = lambda: None


def test_a_key_is_found_on_any_page_of_the_job_list(serve, monkeypatch):
    monkeypatch.setattr(client, "_PAGE", 2)
    server = serve()
    service = Ionq("qpu.aria-2", server.url)
    ids = [service.submit(SMALL, **{**ORDER, "key": f"key-{k}"}) for k in range(5)]
    Ionq("qpu.aria-1", server.url)
    for k in range(5):
        assert [job["id"] for job in service.find(f"key-{k}")] == [ids[k]]
    assert service.find("key-9") == []


def test_no_other_address_is_asked(serve, monkeypatch):
    """The client's provider would ask IONQ_API_URL, or worse the public service, for qubit counts."""
    decoy, server = serve(), serve()
    for name in ("IONQ_API_URL", "QISKIT_IONQ_API_URL"):
        monkeypatch.setenv(name, decoy.url)
    monkeypatch.setenv("HTTP_PROXY", decoy.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    service = Ionq("qpu.aria-2", server.url)
    service.submit(SMALL, **ORDER)
    service.machines()
    service._backend.client._url = decoy.url
    with pytest.raises(RuntimeError, match="would talk to"):
        service.machines()
    assert decoy.log == []
    assert len(server.log) == 2


def test_machines_and_calibration_are_read_live(serve):
    server = serve()
    service = Ionq("qpu.forte-1", server.url)
    found = {machine.name: machine for machine in service.machines()}
    assert found["qpu.aria-1"].status == "retired"
    assert (found["qpu.forte-1"].profile, found["qpu.aria-2"].profile) == ("zz", "ms")
    assert service.characterization()["id"] == found["qpu.forte-1"].characterization


def test_without_a_token_nothing_is_sent(monkeypatch):
    for name in TOKEN_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="set IONQ_API_KEY in the environment"):
        Ionq("qpu.forte-1").require_token()


def test_a_wrong_token_is_said_and_never_shown(serve, monkeypatch):
    monkeypatch.setenv(REHEARSAL_VARIABLE, "wrong-secret")
    service = Ionq("qpu.aria-2", serve(token="right-secret").url)
    for ask in (lambda: service.job("x"), lambda: service.submit(SMALL, **ORDER)):
        with pytest.raises(InputError, match="HTTP 401") as error:
            ask()
        assert "secret" not in str(error.value)


def test_ionqs_token_is_not_shown_to_a_rehearsal(serve, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLES[0], "precious")
    monkeypatch.delenv(REHEARSAL_VARIABLE, raising=False)
    seen = []
    get = requests.get
    monkeypatch.setattr(requests, "get", lambda *args, **rest: (seen.append(rest["headers"]), get(*args, **rest))[1])
    Ionq("qpu.aria-2", serve().url).machines()
    assert seen[0]["Authorization"] == "apiKey rehearsal"


def test_a_token_goes_nowhere_in_plain_text():
    with pytest.raises(InputError, match="must begin with https"):
        Ionq("qpu.aria-2", "http://api.example.org/v0.4")


def test_pickles_hold_no_token(serve, monkeypatch):
    monkeypatch.setenv(REHEARSAL_VARIABLE, "secret-word")
    service = Ionq("qpu.aria-2", serve().url)
    service.machines()
    data = pickle.dumps(service)
    assert b"secret-word" not in data
    assert pickle.loads(data).machines() == service.machines()
