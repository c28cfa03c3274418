"""Results on disk: the truth about what is done. Written by the schema of `analysis.tables`, here alone."""

import dataclasses
import json
import math
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis import tables
from analysis.errors import ResultsError
from qgan.files import whole_file

STALE_S = 300  # a running trial that has not been seen for so long is taken for dead


class TrialFolder:
    """The files of one trial."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / "checkpoint.pt"
        self.curve = path / "curve.parquet"

    def record(self) -> tables.TrialRecord | None:
        """trial.json, or None where the trial has not begun."""
        return tables.read_trial(self.path)

    def begin(self, key: str, *, trial: dict[str, Any], command: str, provenance: dict[str, Any]) -> tables.TrialRecord:
        """Record a new attempt; curve and checkpoint of earlier ones stay."""
        self.path.mkdir(parents=True, exist_ok=True)
        for left_behind in self.path.glob(".*"):  # temporary files of a process that was killed
            left_behind.unlink(missing_ok=True)
        try:
            before = self.record()
        except ResultsError:
            before = None  # damaged: this attempt writes it anew
        now = _now()
        attempt = {
            "start": now,
            "last_seen": now,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "gpu": provenance.get("gpu"),
            "usd_per_hour": None,
        }
        record = tables.TrialRecord(
            key=key,
            status="running",
            epoch=before.epoch if before else 0,
            horizon=before.horizon if before else 0,
            attempts=[*(before.attempts if before else []), attempt],
            cause=None,
            warnings=[],
            command=command,
            provenance=provenance,
            trial=trial,
        )
        self.write_record(record)
        return record

    def write_record(self, record: tables.TrialRecord) -> None:
        """Rewrite trial.json; the current attempt is seen now."""
        record.attempts[-1]["last_seen"] = _now()
        _write_json(self.path / "trial.json", {"schema": tables.SCHEMA, **vars(record)})

    def write_curve(self, epochs: Sequence[Any]) -> None:
        """curve.parquet from all epochs so far."""
        columns = {name: [getattr(epoch, name) for epoch in epochs] for name in tables.CURVE.names}
        _write_table(self.curve, pa.table(columns, schema=tables.CURVE))

    def write_scores(self, epochs: Sequence[Any]) -> None:
        """scores.parquet from the epochs that were scored in full."""
        rows = [
            (epoch.epoch, score.prior, score.name, _number(score.value), _number(score.floor))
            for epoch in epochs
            for score in epoch.full_scores or []
        ]
        if rows:
            columns = dict(zip(tables.SCORES.names, map(list, zip(*rows, strict=True)), strict=True))
            _write_table(self.path / "scores.parquet", pa.table(columns, schema=tables.SCORES))

    def write_images(self, epochs: Sequence[Any], patches: dict[str, Any]) -> None:
        """images.parquet from the epochs that hold images; `patches` is the footer that explains the pixels."""
        rows: list[tuple[int, str, int, str | None, str | None, bytes]] = []
        for number, epoch in enumerate(each for each in epochs if each.images is not None):
            images = epoch.images
            codes = [_bits(code) for code in images.codes.tolist()]
            of = images.classes or [None] * len(codes)
            rows += [(epoch.epoch, "generated", i, codes[i], of[i], _bytes(x)) for i, x in enumerate(images.generated)]
            if number == 0:  # the real ones are the same at every epoch
                rows += [(epoch.epoch, "real", i, None, of[i], _bytes(x)) for i, x in enumerate(images.real)]
        if rows:
            schema = tables.images_schema(len(rows[0][-1]))
            columns = dict(zip(schema.names, map(list, zip(*rows, strict=True)), strict=True))
            table = pa.table(columns, schema=schema.with_metadata({tables.PATCHES_KEY: json.dumps(patches)}))
            _write_table(self.path / "images.parquet", table)

    def write_cycle(self, values: dict[str, Any]) -> None:
        """cycle.json of a cycle of SPSA at frozen networks."""
        _write_json(self.path / "cycle.json", values)

    def cycle(self) -> dict[str, Any] | None:
        """cycle.json, or None where there is no whole one."""
        try:
            found = json.loads((self.path / "cycle.json").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return found if isinstance(found, dict) else None


class Ledger:
    """The results folder of one study."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def trial(self, key: str) -> TrialFolder:
        return TrialFolder(self.folder / "trials" / key)

    def begun(self) -> set[str]:
        """Keys of the trials that have a folder."""
        trials = self.folder / "trials"
        return set(os.listdir(trials)) if trials.is_dir() else set()

    def state(self, key: str, longest: int) -> str:
        """done | running | failed | pending; a trial whose process is gone is pending, its checkpoint kept."""
        folder = self.trial(key)
        try:
            record = folder.record()
        except ResultsError:
            return "pending"  # damaged: the next attempt writes it anew
        if record is None:
            return "pending"
        if record.status == "failed":
            return "failed"
        if record.horizon >= longest and folder.curve.exists():
            return "done"
        alive = record.status == "running" and record.attempts and _alive(record.attempts[-1])
        return "running" if alive else "pending"

    def write_plan(self, plan: tables.Plan) -> None:
        """plan.json: what belongs to the study."""
        self.folder.mkdir(parents=True, exist_ok=True)
        places: dict[str, list[dict[str, Any]]] = {}
        for each in plan.trials:
            places.setdefault(each.key, []).append({"arm": each.arm, "cell": each.cell, "replicate": each.replicate})
        _write_json(self.folder / "plan.json", {"schema": tables.SCHEMA, **vars(plan), "trials": places})

    @property
    def gains(self) -> Path:
        """Folder of the search of SPSA's gains."""
        return self.folder / "gains"

    def write_candidates(self, rows: Sequence[dict[str, Any]]) -> None:
        """candidates.parquet of the search of SPSA's gains."""
        self.gains.mkdir(parents=True, exist_ok=True)
        _write_table(self.gains / "candidates.parquet", pa.Table.from_pylist(list(rows), schema=tables.CANDIDATES))

    def write_gains(self, found: dict[str, Any], cycles: Sequence[dict[str, Any]]) -> None:
        """What the search found: cycles.parquet, then gains.json."""
        _write_table(self.gains / "cycles.parquet", pa.Table.from_pylist(list(cycles), schema=tables.CYCLES))
        _write_json(self.gains / "gains.json", found)

    @contextmanager
    def exclusive(self) -> Iterator[bool]:
        """Hold the study for one launcher; False where another process holds it. A dead process holds nothing."""
        import fcntl

        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True


def failed(record: tables.TrialRecord, error: str, epoch: int, log: str) -> tables.TrialRecord:
    """The record of a trial that cannot go on, with its cause in one line and the last lines of its log."""
    return dataclasses.replace(record, status="failed", epoch=epoch, cause={"error": error, "epoch": epoch, "log": log})


def _alive(attempt: dict[str, Any]) -> bool:
    if attempt["host"] == socket.gethostname():
        try:
            os.kill(attempt["process"], 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # alive, and another user's
    seen = datetime.fromisoformat(attempt["last_seen"])
    return (datetime.now(UTC) - seen).total_seconds() < STALE_S


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _bits(code: list[float]) -> str | None:
    """Character q is bit q; None for a code that is not bits."""
    return "".join("1" if bit else "0" for bit in code) if set(code) <= {0.0, 1.0} else None


def _number(value: float) -> float | None:
    """A number of a table, null where it has no meaning."""
    return None if math.isnan(value) else value


def _bytes(image: Any) -> bytes:
    return image.numpy().tobytes()  # type: ignore[no-any-return]


def _write_json(path: Path, values: dict[str, Any]) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(values, indent=1, default=str) + "\n")


def _write_table(path: Path, table: pa.Table) -> None:
    with whole_file(path) as temporary:
        pq.write_table(table, temporary)
