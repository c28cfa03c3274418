"""Results: the truth about what is done. Written by the schema of `analysis.tables`, here alone."""

import dataclasses
import io
import json
import math
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from analysis import tables
from analysis.errors import ResultsError
from analysis.records import PER_ATTEMPT, SCHEMA, Plan, TrialRecord, parse_trial
from study.lease import Lease
from study.processes import place, runs
from study.storage import Folder, Place, Storage, storage_of

LOST_ATTEMPTS = 3  # so many in a row without a new checkpoint are a failure

_T = TypeVar("_T")
_MAGIC = b"PAR1"  # at both ends of a whole Parquet file
_CURVE = "curve.parquet"
_TABLES = (_CURVE, "scores.parquet", "images.parquet")


class Superseded(Exception):
    """A later attempt at the same trial has begun: this one was taken for dead, and ends without a trace."""


class TrialFolder:
    """The files of one trial."""

    def __init__(self, path: Place) -> None:
        self.storage = storage_of(path)

    @property
    def checkpoint(self) -> Path:
        """Where training keeps its checkpoint; `keep_checkpoint` after each one."""
        return self.storage.file("checkpoint.pt")

    def keep_checkpoint(self) -> None:
        """The checkpoint that training wrote is part of the results."""
        self.storage.keep("checkpoint.pt")

    def remove_checkpoint(self) -> None:
        """The next attempt begins anew."""
        self.storage.delete("checkpoint.pt")
        self.checkpoint.unlink(missing_ok=True)

    def record(self) -> TrialRecord | None:
        """trial.json, or None where the trial has not begun; ResultsError where it is damaged."""
        return _record(self.storage, "trial.json")

    def begin(self, key: str, *, trial: dict[str, Any], command: str, provenance: dict[str, Any],
              gpus: float = 0.0, usd_per_hour: float | None = None) -> TrialRecord:  # fmt: skip
        """Record a new attempt on `gpus` GPUs; curve and checkpoint of earlier ones stay."""
        self.storage.tidy()
        try:
            before = self.record()
        except ResultsError:
            before = None  # damaged: this attempt writes it anew
        now = _now()
        attempt = {
            "start": now,
            "last_seen": now,
            "host": socket.gethostname(),
            "place": place(),
            "process": os.getpid(),
            "gpu": None,
            **_made_with(provenance),
            "gpus": gpus,
            "usd_per_hour": usd_per_hour,
            "checkpoint": None,
            "ended": None,
        }
        new = TrialRecord(key, "running", 0, 0, [], None, [], command, provenance, trial)
        if before is not None:
            kept = ("epoch", "horizon", "attempts", "seconds", "mmd_v", "floor_v", "horizons")
            new = dataclasses.replace(new, **{name: getattr(before, name) for name in kept})
            if new.attempts:  # one of older results does not say
                new.attempts[-1] = {**_made_with(before.provenance), **new.attempts[-1]}
        record = dataclasses.replace(new, attempts=[*new.attempts, attempt])
        self.write_record(record)
        return record

    def write_record(self, record: TrialRecord) -> None:
        """Rewrite trial.json; the current attempt is seen now."""
        record.attempts[-1]["last_seen"] = _now()
        self.storage.write("trial.json", _json({"schema": SCHEMA, **vars(record)}))

    def lost(self, record: TrialRecord) -> TrialRecord:
        """Record that the process of the last attempt died without a word; what it has cost stays as last seen."""
        attempt = {**record.attempts[-1], "ended": "lost"}
        record = dataclasses.replace(record, attempts=[*record.attempts[:-1], attempt])
        self.storage.write("trial.json", _json({"schema": SCHEMA, **vars(record)}))
        return record

    def require_current(self, record: TrialRecord) -> None:
        """Raise Superseded where a later attempt than the record's last one has begun."""
        now = self.record()
        if now is not None and len(now.attempts) > len(record.attempts):
            raise Superseded(f"trial {record.key}: attempt {len(now.attempts)} has begun meanwhile")

    def write_curve(self, epochs: Sequence[Any]) -> None:
        """curve.parquet from all epochs so far."""
        columns = {name: [getattr(epoch, name) for epoch in epochs] for name in tables.CURVE.names}
        self.storage.write(_CURVE, _parquet(pa.table(columns, schema=tables.CURVE)))

    def write_scores(self, epochs: Sequence[Any]) -> None:
        """scores.parquet from the epochs that were scored in full."""
        rows = [
            (epoch.epoch, score.prior, score.name, _number(score.value), _number(score.floor))
            for epoch in epochs
            for score in epoch.full_scores or []
        ]
        if rows:
            columns = dict(zip(tables.SCORES.names, map(list, zip(*rows, strict=True)), strict=True))
            self.storage.write("scores.parquet", _parquet(pa.table(columns, schema=tables.SCORES)))

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
            self.storage.write("images.parquet", _parquet(table))

    def write_cycle(self, values: dict[str, Any]) -> None:
        """cycle.json of a cycle of SPSA at frozen networks."""
        self.storage.write("cycle.json", _json(values))

    def cycle(self) -> dict[str, Any] | None:
        """cycle.json, or None where there is no whole one."""
        try:
            found = json.loads(self.storage.read("cycle.json"))
        except (FileNotFoundError, ValueError):
            return None
        return found if isinstance(found, dict) else None


class Ledger:
    """The results of one study, in a folder."""

    def __init__(self, folder: Place) -> None:
        self.folder = folder
        self.storage = storage_of(folder)

    def trial(self, key: str) -> TrialFolder:
        return TrialFolder(self.folder / "trials" / key)

    def begun(self) -> set[str]:
        """Keys of the trials that have a folder."""
        return set(self.storage.list("trials"))

    def look(self, keys: Iterable[str], longest: int) -> "Snapshot":
        """What the results say now of the trials of these keys, up to the horizon `longest`, and of others' cost."""
        records, damaged = {}, {}
        begun = sorted(self.begun())
        for key, found in zip(begun, self._asked(self._record_of, begun), strict=True):
            if isinstance(found, ResultsError):
                damaged[key] = str(found)
            elif found is not None:
                records[key] = found
        states = {key: _state(records.get(key), longest) for key in keys}
        done = [key for key, state in states.items() if state == "done"]
        for key, torn in zip(done, self._asked(self._torn, done), strict=True):
            if torn is not None:
                damaged[key], states[key] = torn, "pending"
        return Snapshot(states, records, damaged)

    def _record_of(self, key: str) -> TrialRecord | ResultsError | None:
        try:
            return _record(self.storage, f"trials/{key}/trial.json")
        except ResultsError as error:
            return error

    def _torn(self, key: str) -> str | None:
        """What is wrong with the tables of a trial that is done; None where they look whole."""
        home = f"trials/{key}"
        if not isinstance(self.storage, Folder):  # elsewhere an object is whole or absent
            return None if self.storage.exists(f"{home}/{_CURVE}") else _lost(self.storage, f"{home}/{_CURVE}")
        return next(filter(None, (_torn(self.storage, home, name) for name in _TABLES)), None)

    def _asked(self, question: Callable[[str], _T], keys: Sequence[str]) -> Iterator[_T]:
        """The answers for all keys in their order, asked at the same time where the storage gains by it."""
        if self.storage.at_once == 1:
            yield from map(question, keys)
        else:
            with ThreadPoolExecutor(self.storage.at_once) as pool:
                yield from pool.map(question, keys)

    def write_plan(self, plan: Plan) -> None:
        """plan.json: what belongs to the study."""
        places: dict[str, list[dict[str, Any]]] = {}
        for each in plan.trials:
            places.setdefault(each.key, []).append({"arm": each.arm, "cell": each.cell, "replicate": each.replicate})
        self.storage.write("plan.json", _json({"schema": SCHEMA, **vars(plan), "trials": places}))

    def write_candidates(self, rows: Sequence[dict[str, Any]], objective: str) -> None:
        """candidates.parquet of the search of SPSA's gains, which minimises the objective: loss | log_mmd."""
        schema = tables.CANDIDATES.with_metadata({tables.OBJECTIVE_KEY: objective})
        self.storage.write("gains/candidates.parquet", _parquet(pa.Table.from_pylist(list(rows), schema=schema)))

    def write_gains(self, found: dict[str, Any], cycles: Sequence[dict[str, Any]]) -> None:
        """What the search found: cycles.parquet, then gains.json."""
        self.storage.write("gains/cycles.parquet", _parquet(pa.Table.from_pylist(list(cycles), schema=tables.CYCLES)))
        self.storage.write("gains/gains.json", _json(found))

    def lease(self) -> Lease:
        """What one launcher at a time holds."""
        return Lease(self.storage)


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What the ledger said at one moment."""

    states: dict[str, str]  # key of a planned trial -> done | running | failed | pending, in the plan's order
    records: dict[str, TrialRecord]  # of every trial that has begun, planned or not
    damaged: dict[str, str]  # key -> which file is damaged, and how; such a trial is pending, its record written anew


def lost_in_a_row(record: TrialRecord) -> int:
    """How many of the last attempts died without a new checkpoint."""
    count = 0
    for attempt in reversed(record.attempts):
        if attempt.get("ended") != "lost" or attempt.get("checkpoint") is not None:
            break
        count += 1
    return count


def is_of_this_process(record: TrialRecord) -> bool:
    """Whether this process began the last attempt."""
    last = record.attempts[-1]
    return bool(last["process"] == os.getpid() and last["place"] == place())


def checkpointed(record: TrialRecord) -> int:
    """The epoch of the checkpoint from which the next attempt goes on; 0 for none."""
    return max((attempt.get("checkpoint") or 0 for attempt in record.attempts), default=0)


def failed(record: TrialRecord, error: str, epoch: int, log: str) -> TrialRecord:
    """The record of a trial that cannot go on, with its cause in one line and the last lines of its log."""
    attempts = [*record.attempts[:-1], {**record.attempts[-1], "ended": "failed"}]
    cause = {"error": error, "epoch": epoch, "log": log}
    return dataclasses.replace(record, status="failed", epoch=epoch, cause=cause, attempts=attempts)


def _record(storage: Storage, name: str) -> TrialRecord | None:
    try:
        return parse_trial(storage.read(name), f"{storage}/{name}")
    except (FileNotFoundError, NotADirectoryError):  # a stray file beside the trials' folders is no trial
        return None


def _torn(folder: Folder, home: str, name: str) -> str | None:
    """What is wrong with a Parquet file, from its ends alone; None where it looks whole, or need not be there."""
    try:
        first, last = folder.ends(f"{home}/{name}", 2 * len(_MAGIC))
    except FileNotFoundError:
        return _lost(folder, f"{home}/{name}") if name == _CURVE else None
    if first.startswith(_MAGIC) and last.endswith(_MAGIC) and len(last) == 2 * len(_MAGIC):
        return None
    return f"{folder}/{home}/{name}: torn; its trial counts as pending"


def _lost(storage: Storage, name: str) -> str:
    return f"{storage}/{name}: lost; its trial counts as pending"


def _state(record: TrialRecord | None, longest: int) -> str:
    """A trial whose process is gone is pending, its checkpoint kept."""
    if record is None:
        return "pending"
    if record.status == "failed":
        return "failed"
    if record.horizon >= longest:
        return "done"
    return "running" if record.status == "running" and _alive(record) else "pending"


def _alive(record: TrialRecord) -> bool:
    last = record.attempts[-1] if record.attempts else {}
    if last.get("place") == place() and not last.get("ended"):
        return runs(last["process"])  # however long it is silent: one update event on a simulator takes minutes
    return record.alive(datetime.now(UTC))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _bits(code: list[float]) -> str | None:
    """Character q is bit q; None for a code that is not bits."""
    return "".join("1" if bit else "0" for bit in code) if set(code) <= {0.0, 1.0} else None


def _made_with(provenance: dict[str, Any]) -> dict[str, Any]:
    """What an attempt says of its own provenance."""
    return {name: provenance[name] for name in PER_ATTEMPT if name in provenance}


def _number(value: float) -> float | None:
    """A number of a table, null where it has no meaning."""
    return None if math.isnan(value) else value


def _bytes(image: Any) -> bytes:
    return image.numpy().tobytes()  # type: ignore[no-any-return]


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=1, default=str) + "\n").encode()


def _parquet(table: pa.Table) -> bytes:
    written = io.BytesIO()
    tables.write_table(table, written)
    return written.getvalue()
