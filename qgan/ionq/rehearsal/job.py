"""One job of the rehearsal, and how the API shows it."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from qgan.ionq.native_gates import NativeGate


@dataclass
class Job:
    """One job, from its order to its bill."""

    id: str
    body: dict[str, Any]
    gates: list[NativeGate]
    submitted: float
    listed: float  # when the job list begins to show it
    usd: float
    fails: bool
    status: str = "submitted"
    started: float | None = None
    completed: float | None = None
    codes: list[int] | None = None
    probabilities: dict[str, float] | None = None

    @property
    def key(self) -> str | None:
        """The run key that the client sent in the metadata."""
        key: str | None = (self.body.get("metadata") or {}).get("run_key")
        return key

    @property
    def paid(self) -> float:
        """US dollars: a job is charged when it has run."""
        return self.usd if self.status == "completed" else 0.0

    def json(self, queue_s: float, execution_s: float, *, ideal: bool) -> dict[str, Any]:
        """As the API shows it; an ideal simulation has no shots."""
        body = self.body
        pairs = sum(gate.entangles for gate in self.gates)
        status = "ready" if self.status == "submitted" and time.time() > self.submitted + 0.05 else self.status
        ran = 1000 * (self.completed - self.started) if self.completed and self.started else None
        failure = {"code": "internal_error", "message": "the rehearsal let this job fail"}
        urls = {}
        if self.status == "completed" and not body.get("dry_run"):
            kinds = ["probabilities", *([] if ideal else ["histogram", "shots"])]
            urls = {kind: {"url": f"/v0.4/jobs/{self.id}/results/{kind}"} for kind in kinds}
        return {
            "id": self.id,
            "status": status,
            "type": body["type"],
            "backend": body["backend"],
            "name": body.get("name"),
            "dry_run": bool(body.get("dry_run")),
            "shots": body["shots"],
            "metadata": body.get("metadata"),
            "settings": body.get("settings", {}),
            "session_id": body.get("session_id"),
            "parent_job_id": None,
            "child_job_ids": None,
            "submitter_id": "rehearsal",
            "project_id": None,
            "submitted_at": date(self.submitted),
            "started_at": date(self.started),
            "completed_at": date(self.completed),
            "predicted_wait_time_ms": 1000 * queue_s,
            "predicted_execution_duration_ms": 1000 * execution_s,
            "execution_duration_ms": ran,
            "failure": failure if self.status == "failed" else None,
            "stats": {
                "circuits": 1,
                "qubits": body["input"]["qubits"],
                "gate_counts": {"1q": len(self.gates) - pairs, "2q": pairs},
            },
            "output": {},
            "results": urls or None,
        }


def date(seconds: float | None) -> str | None:
    """A time of this process as the API writes it."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
