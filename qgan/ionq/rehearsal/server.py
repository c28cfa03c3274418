"""HTTP around the service: IonQ's API v0.4 on a port of this machine, with faults on demand and a log of requests."""

import json
import socket
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from qgan.errors import InputError
from qgan.ionq.rehearsal.catalogue import Machine, machines
from qgan.ionq.rehearsal.faults import Fault, Faults
from qgan.ionq.rehearsal.service import Answer, Service

PREFIX = "/v0.4"


class RehearsalServer:
    """A running server; use it in a `with`, or `start` and `close` it."""

    def __init__(
        self,
        *,
        port: int = 0,  # 0: any free one
        host: str = "127.0.0.1",
        token: str | None = None,  # the only one accepted; None accepts any
        faults: Iterable[Fault | str] = (),
        seed: int = 0,
        log: Path | None = None,  # file to which every request adds a line of JSON, without tokens
        catalogue: list[Machine] | None = None,
        spam: bool = False,
        queue_s: float = 0.0,
        execution_s: float = 0.0,
        orders: Path | None = None,  # file of all jobs, so that another process can go on with them
    ) -> None:
        self.token = token
        self.faults = Faults(faults, seed)
        self.service = Service(
            machines() if catalogue is None else catalogue,
            spam=spam,
            queue_s=queue_s,
            execution_s=execution_s,
            seed=seed,
            orders=orders,
        )
        self.log: list[dict[str, Any]] = []
        self._log_file = log
        self._log_lock = Lock()
        try:
            self._http = _Http((host, port), self)
        except OSError as error:
            raise InputError(
                f"port {port} of {host} cannot be used ({error.strerror}): name another with --port", "port"
            ) from None
        self.url = f"http://{host}:{self._http.server_address[1]}{PREFIX}"

    def start(self) -> Self:
        Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def serve(self) -> None:
        """Answer until interrupted."""
        self._http.serve_forever()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self.service.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def record(self, entry: dict[str, Any]) -> None:
        line = {"time": datetime.now(UTC).isoformat(), **entry}
        with self._log_lock:
            self.log.append(line)
            if self._log_file is not None:
                with self._log_file.open("a") as file:
                    file.write(json.dumps(line) + "\n")


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], rehearsal: RehearsalServer) -> None:
        self.rehearsal = rehearsal
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http
    timeout = 60

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """The log is ours."""

    def _answer(self) -> None:
        rehearsal = self.server.rehearsal
        url = urlsplit(self.path)
        parts = [part for part in url.path.removeprefix(PREFIX).split("/") if part]
        query = dict(parse_qsl(url.query))
        try:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
        except ValueError:
            body = "no JSON"
        where = _place(self.command, parts)
        fault = rehearsal.faults.draw(where)
        entry: dict[str, Any] = {"method": self.command, "path": self.path, "where": where}
        if fault is not None:
            entry["fault"] = fault.what + (" after" if fault.after else "")
            if fault.what == "slow":
                time.sleep(fault.seconds)
        broken = fault is not None and (fault.what.isdigit() or fault.what in ("drop", "garbage"))
        if fault is not None and broken and not fault.after:
            answer: Answer | None = None
        else:
            answer = self._carried_out(parts, query, body, fault)
            entry["answer"] = answer[0]
            if where == "post" and answer[0] == 200:
                job = rehearsal.service.jobs[answer[1]["id"]]
                entry |= {"job": job.id, "run_key": job.key, "backend": job.body["backend"]}
        rehearsal.record(entry)
        if not broken:
            assert answer is not None
            self._send(answer[0], json.dumps(answer[1]))
        elif fault is not None and fault.what.isdigit():
            status = int(fault.what)
            message = {"statusCode": status, "error": "rehearsed", "message": "a fault of the rehearsal"}
            self._send(status, json.dumps(message), fault.seconds)
        elif fault is not None and fault.what == "garbage":
            self._send(200, "<html>not JSON</html>")
        else:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def _carried_out(self, parts: list[str], query: dict[str, str], body: Any, fault: Fault | None) -> Answer:
        rehearsal, service = self.server.rehearsal, self.server.rehearsal.service
        what = fault.what if fault else ""
        match self.command, parts:  # what a client asks before it has a token
            case "GET", ["backends"]:
                return service.backends()
            case "GET", ["backends", name]:
                return service.backend(name)
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme != "apiKey" or not token or rehearsal.token not in (None, token):
            return 401, {"statusCode": 401, "error": "Unauthorized", "message": "the API key is not valid"}
        match self.command, parts:
            case "GET", ["whoami"]:
                return 200, {"id": "rehearsal", "name": "rehearsal"}
            case "GET", ["backends", name, "characterizations"]:
                return service.characterizations(name, drift=what == "drift")
            case "POST", ["jobs"]:
                seconds = fault.seconds if fault and what == "lag" else 0.0
                return service.submit(body, fails=what == "fail", lag_s=seconds)
            case "GET", ["jobs"]:
                limit = int(query.get("limit", 25))
                return service.listed(query.get("target"), query.get("status"), limit, query.get("next"))
            case "GET", ["jobs", "estimate"]:
                return service.estimate(query)
            case "GET", ["jobs", job_id]:
                return service.job(job_id)
            case "GET", ["jobs", job_id, "cost"]:
                return service.cost(job_id)
            case "GET", ["jobs", job_id, "results", which]:
                return service.result(job_id, which)
            case "PUT", ["jobs", job_id, "status", "cancel"]:
                return service.cancel(job_id)
            case "DELETE", ["jobs", job_id]:
                return service.delete(job_id)
        return 404, {"statusCode": 404, "error": "Not Found", "message": f"the rehearsal has no {self.path}"}

    def _send(self, status: int, text: str, retry_after_s: float = 0.0) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if retry_after_s:
            self.send_header("Retry-After", f"{retry_after_s:g}")
        self.end_headers()
        self.wfile.write(data)


def _place(method: str, parts: list[str]) -> str:
    """What kind of request it is, in the words of the fault rules."""
    match method, parts:
        case "POST", ["jobs"]:
            return "post"
        case "PUT", ["jobs", *_]:
            return "cancel"
        case _, ["jobs"]:
            return "list"
        case _, ["jobs", "estimate"]:
            return "estimate"
        case _, ["jobs", _, "cost"]:
            return "cost"
        case _, ["jobs", _, "results", *_]:
            return "result"
        case _, ["jobs", *_]:
            return "job"
        case _, ["backends", _, "characterizations"]:
            return "characterization"
    return "backend"
