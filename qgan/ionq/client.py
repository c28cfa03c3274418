"""IonQ's service through qiskit-ionq: one request at a time, none repeated, none to another address than the given one.

The client's own retries can buy a job several times and poll for ever, so every call goes around them; whoever calls
decides what to do about what is raised here:

    InputError   the service refuses: nothing was created, and asking again will not help
    NotNow       nothing was created or read; ask again after `wait_s`
    Uncertain    a job may or may not have been created: look for its key before anything else

The token is read from the environment where the first request is made, kept in this process alone and left out of
pickles and messages.
"""

import os
import warnings
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from qgan.errors import InputError
from qgan.ionq.machines import Machine
from qgan.ionq.native_gates import NativeCircuit

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from requests import Response

IONQ = "https://api.ionq.co/v0.4"
TOKEN_VARIABLES = ("IONQ_API_KEY", "IONQ_API_TOKEN", "QISKIT_IONQ_API_TOKEN")
REHEARSAL_VARIABLE = "REHEARSAL_API_KEY"  # of a server on this machine, which never gets to see IonQ's token
KEY = "run_key"  # in a job's metadata: who ordered it

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LONGEST_WAIT_S = 600.0  # however long the service asks to wait
_PAGES = 200  # of the job list
_PAGE = 100  # jobs


class NotNow(Exception):
    """The service did not answer as it should, and nothing was created."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s  # what the service asks for


class Uncertain(Exception):
    """An order was sent, and the answer does not say whether a job was created."""


class Busy(Uncertain):
    """The service has too many requests; by its documents nothing was created, but we look all the same."""

    wait_s = 0.0  # what the service asks for


class Ionq:
    """One machine of the service at `url`."""

    def __init__(self, machine: str, url: str = IONQ) -> None:
        parts = urlsplit(url)
        self.loopback = parts.hostname in _LOOPBACK
        if parts.scheme != "https" and not (parts.scheme == "http" and self.loopback):
            raise InputError(f"the service's address must begin with https://, not {url!r}", "url")
        self.machine = machine
        self.url = url.rstrip("/")
        self._backend: Any = None  # the client's; knows the token

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_backend": None}

    def require_token(self) -> None:
        """Raises InputError where the environment holds none."""
        self._token()

    def submit(self, circuit: NativeCircuit, *, shots: int, debiasing: bool, name: str, key: str) -> str:
        """Order one job, once; its id. Raises InputError, NotNow, Uncertain or Busy."""
        from qiskit_ionq.constants import ErrorMitigation
        from qiskit_ionq.ionq_client import IonQClient
        from qiskit_ionq.ionq_job import IonQJob

        backend = self._connected()
        job = IonQJob(
            backend=backend,
            client=backend.client,
            circuit=_qiskit(circuit, name),
            passed_args={
                "shots": shots,
                "name": name,
                "memory": True,
                "error_mitigation": ErrorMitigation.DEBIASING if debiasing else ErrorMitigation.NO_DEBIASING,
                "extra_metadata": {KEY: key},
                "extra_query_params": {},
                "sampler_seed": None,
            },
        )
        once = IonQClient.submit_job.__wrapped__  # without the decorator that repeats it
        answer = self._post(lambda: once(backend.client, job=job))
        job_id = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(job_id, str):
            raise Uncertain("the service's answer to an order holds no job id")
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        """The service's record of a job. Raises NotNow."""
        return self._record("jobs", job_id)

    def find(self, key: str) -> list[dict[str, Any]]:
        """The records of all jobs that were ordered with this key, the newest first. Raises NotNow."""
        found: list[dict[str, Any]] = []
        query: dict[str, Any] = {"target": self.machine, "limit": _PAGE}
        for _ in range(_PAGES):
            page = self._record("jobs", **query)
            found += [job for job in page.get("jobs") or [] if (job.get("metadata") or {}).get(KEY) == key]
            if not page.get("next"):
                return found
            query["next"] = page["next"]
        raise NotNow(f"the job list has more than {_PAGES} pages")

    def codes(self, job: Mapping[str, Any]) -> list[int]:
        """What a completed job measured, shot by shot; qubit 0 is the least significant bit. Raises NotNow."""
        url = ((job.get("results") or {}).get("shots") or {}).get("url")
        if not isinstance(url, str):
            raise NotNow(f"job {job.get('id')} is completed, but its shots are not there")
        answer = self._get(*url.strip("/").split("/")[1:])  # its first part is the API's version, as in our address
        if not isinstance(answer, list):
            raise NotNow(f"the shots of job {job.get('id')} are no list")
        return [int(code) for code in answer]

    def cancel(self, job_id: str) -> None:
        """Ask to call off a job that has not begun. Raises NotNow."""
        import requests

        client = self._connected().client
        path = client.make_path("jobs", job_id, "status", "cancel")
        self._read(lambda: requests.put(path, headers=client.api_headers, timeout=30))

    def cost(self, job_id: str) -> float | None:
        """What a job has cost, US dollars; None where the service does not say. Raises NotNow."""
        cost = self._record("jobs", job_id, "cost").get("cost")
        value = cost.get("value") if isinstance(cost, dict) else cost
        return float(value) if isinstance(value, int | float) else None

    def estimate(self, *, pulses: int, entanglers: int, qubits: int, shots: int, debiasing: bool) -> dict[str, Any]:
        """The service's estimate of a job: price, rates, time. Raises NotNow."""
        query = {
            "type": "ionq.circuit.v1",
            "backend": self.machine,
            "1q_gates": pulses,
            "2q_gates": entanglers,
            "qubits": qubits,
            "shots": shots,
            "error_mitigation": str(debiasing).lower(),
            "session": "false",
        }
        return self._record("jobs", "estimate", **query)

    def machines(self) -> list[Machine]:
        """All machines as they are now. Raises NotNow."""
        answer = self._get("backends")
        records = answer.get("backends", []) if isinstance(answer, dict) else answer
        return [Machine.of(record) for record in records]

    def characterization(self) -> dict[str, Any] | None:
        """The machine's latest calibration, as the service gives it; None where it has none. Raises NotNow."""
        found = self._record("backends", self.machine, "characterizations", limit=1).get("characterizations")
        return found[0] if found else None

    def _connected(self) -> Any:
        """qiskit-ionq's backend, made without its provider, which would ask another address for qubit counts."""
        if self._backend is None:
            from qiskit_ionq.ionq_backend import IonQBackend

            if self.loopback:  # not through a proxy
                hosts = os.environ.get("NO_PROXY", "")
                if "127.0.0.1" not in hosts:
                    os.environ["NO_PROXY"] = ",".join([*filter(None, [hosts]), "127.0.0.1", "localhost", "::1"])
            account = SimpleNamespace(credentials={"token": self._token(), "url": self.url}, custom_headers=None)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about transpiling, which we do not
                self._backend = IonQBackend(
                    provider=account,
                    name=f"ionq_{self.machine}",
                    description="",
                    gateset="native",
                    num_qubits=1,  # of transpiling only; the service's own number is checked before
                    simulator=False,
                )
        if self._backend.client._url != self.url:
            raise RuntimeError(f"the client would talk to {self._backend.client._url}, not to {self.url}")
        return self._backend

    def _token(self) -> str:
        names = (REHEARSAL_VARIABLE,) if self.loopback else TOKEN_VARIABLES
        found = next((os.environ[name] for name in names if os.environ.get(name)), None)
        if found is None and not self.loopback:
            raise InputError(
                f"no token for IonQ: set {TOKEN_VARIABLES[0]} in the environment of the process that talks to "
                f"{self.machine}, or rehearse with backend: rehearsal",
                "backend",
            )
        return found or "rehearsal"

    def _post(self, send: Callable[[], Any]) -> Any:
        import requests
        from qiskit_ionq.exceptions import IonQAPIError, IonQRetriableError

        trouble: Exception
        try:
            return send()
        except IonQRetriableError as error:
            trouble = self._of_order(error._cause)
        except IonQAPIError as error:
            trouble = self._of_order(error)
        except requests.exceptions.ConnectionError as error:
            trouble = (
                NotNow(f"{self.url} cannot be reached") if _unsent(error) else Uncertain("the connection was lost")
            )
        except Exception as error:  # whatever an answer that it does not expect does to the client
            trouble = Uncertain(f"the order had no proper answer ({type(error).__name__})")
        raise trouble  # outside of the handlers, so that nothing that knows the token hangs on to it

    def _of_order(self, error: Any) -> Exception:
        """What an error status of a POST means."""
        status = int(error.status_code)
        message = self._clean(error.message)
        if status == 429:
            busy = Busy("too many requests")
            busy.wait_s = _wait(error.headers)
            return busy
        if 400 <= status < 500 and status not in (408, 409, 425):
            return InputError(f"IonQ refuses the job on {self.machine} (HTTP {status}): {message}", "backend")
        return Uncertain(f"the order was answered with HTTP {status}")

    def _record(self, *path: str, **query: Any) -> dict[str, Any]:
        answer = self._get(*path, **query)
        if not isinstance(answer, dict):
            raise NotNow(f"the answer to {'/'.join(path)} is no record")
        return answer

    def _get(self, *path: str, **query: Any) -> Any:
        client = self._connected().client
        send = client.get_with_retry  # which does not retry
        return self._read(lambda: send(client.make_path(*path), params=query or None, headers=client.api_headers))

    def _read(self, send: Callable[[], "Response"]) -> Any:
        import requests
        from qiskit_ionq.exceptions import IonQRetriableError

        trouble: Exception
        try:
            response = send()
            status = response.status_code
            if status < 400:
                return response.json()
            if status in (401, 403):
                trouble = InputError(f"IonQ does not accept the token (HTTP {status})", "backend")
            else:
                trouble = NotNow(f"HTTP {status}", _wait(response.headers))
        except (IonQRetriableError, requests.exceptions.RequestException, ValueError) as error:
            trouble = NotNow(f"no proper answer ({type(error).__name__})")
        raise trouble

    def _clean(self, text: str) -> str:
        return str(text).replace(self._token(), "***")[:300]


def _unsent(error: Exception) -> bool:
    """Whether a connection was never made, so that nothing can have arrived."""
    import requests
    from urllib3.exceptions import NewConnectionError

    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.exceptions.ConnectTimeout) or isinstance(reason, NewConnectionError)


def _wait(headers: Mapping[str, str]) -> float:
    """Seconds that a Retry-After header asks for."""
    text = headers.get("Retry-After") or ""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - parsedate_to_datetime(headers["Date"])).total_seconds()
        except (ValueError, KeyError, TypeError):
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT_S)


def _qiskit(circuit: NativeCircuit, name: str) -> "QuantumCircuit":
    """The circuit in the client's own gates, every qubit measured into the bit of its number."""
    from qiskit import QuantumCircuit
    from qiskit_ionq import GPI2Gate, GPIGate, MSGate, ZZGate

    gates = {"gpi": GPIGate, "gpi2": GPI2Gate, "ms": MSGate, "zz": ZZGate}
    made = QuantumCircuit(circuit.n_qubits, circuit.n_qubits, name=name)
    for gate in circuit.gates:
        angle = [] if gate.angle is None else [gate.angle]
        made.append(gates[gate.name](*gate.phases, *angle), gate.qubits)
    made.measure(range(circuit.n_qubits), range(circuit.n_qubits))
    return made
