"""The journal of a run on a machine: what was ordered, for how much, and what came of it. One file per record.

A record is written once, under a temporary name, synced, then renamed, and never changed; so a process may be killed
between any two instructions. A point is one circuit: row `row` of the sampler's call number `call`.

    run.json                         the run: id, machine, circuit, shots, versions, prices
    CALL-ROW.N.intent.json           before the N-th order of a point: theta, circuit, price. Money counts from here
    CALL-ROW.N.job.json              the job's id, once the service has told it or its list has shown it
    CALL-ROW.N.void.json             why the order came to nothing, so that no money was spent
    CALL-ROW.N.result.json           the codes, and the service's record of the job
    CALL-ROW.N.cost.json             what the service has charged
    CALL.losses.json                 what the optimiser was told about a call's points
    cycle-K.json                     the machine and its calibration as update event K began
    cycle-K.drift-N.json             and where it was calibrated anew in the middle of that event
"""

import fcntl
import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from qgan.errors import InputError
from qgan.files import whole_file

SCHEMA = 1

Kind = Literal["intent", "job", "void", "result", "cost"]
Record = dict[str, Any]

_ORDER = re.compile(r"(\d+)-(\d+)\.(\d+)\.(intent|job|void|result|cost)\.json")


@dataclass(frozen=True, order=True)
class Order:
    """The `number`-th order (from 1) of one point."""

    call: int
    row: int
    number: int = 1

    @property
    def point(self) -> str:
        """The name of the job: the same in every run."""
        return f"{self.call:05}-{self.row:03}"

    @property
    def name(self) -> str:
        return f"{self.point}.{self.number}"

    def key(self, run_id: str) -> str:
        """What the job's metadata carry: no other job has it."""
        return f"{run_id}/{self.call}/{self.row}/{self.number}"


class Journal:
    """The records of one run in a folder, all read when opened."""

    def __init__(self, folder: Path) -> None:
        """Raises InputError where a record is damaged."""
        self.folder = folder
        self.orders: dict[Order, dict[Kind, Record]] = {}
        for path in sorted(folder.glob("*.json")):
            found = _ORDER.fullmatch(path.name)
            if found:
                order = Order(*map(int, found.groups()[:3]))
                self.orders.setdefault(order, {})[found[4]] = self._read(path)  # type: ignore[index]
        self._losses = {
            int(path.name.partition(".")[0]): self._read(path)["losses"] for path in folder.glob("*.losses.json")
        }

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"])  # type: ignore[misc]

    @property
    def run(self) -> Record | None:
        """run.json; None before it is written."""
        path = self.folder / "run.json"
        return self._read(path) if path.exists() else None

    def begin(self, record: Record) -> None:
        """Write run.json; raises InputError where another run is already here."""
        before = self.run
        if before is not None:
            raise InputError(f"{self.folder} already holds run {before['id']}; choose another folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write("run.json", record)

    def write(self, order: Order, kind: Kind, record: Record) -> None:
        """Add a record, durably."""
        self.orders.setdefault(order, {})[kind] = self._write(f"{order.name}.{kind}.json", record)

    def last(self, call: int, row: int) -> Order | None:
        """The latest order of a point."""
        number = 0
        while Order(call, row, number + 1) in self.orders:
            number += 1
        return Order(call, row, number) if number else None

    def losses(self, call: int) -> list[float] | None:
        """What the optimiser was told about a call's points."""
        return self._losses.get(call)

    def write_losses(self, call: int, losses: list[float]) -> None:
        self._write(f"{call:05}.losses.json", {"losses": losses})
        self._losses[call] = losses

    def cycle(self, number: int) -> Record | None:
        """How the machine was as an update event began."""
        path = self.folder / f"cycle-{number:03}.json"
        return self._read(path) if path.exists() else None

    def write_cycle(self, number: int, record: Record) -> None:
        self._write(f"cycle-{number:03}.json", record)

    def calibration(self, number: int) -> str | None:
        """Id of the machine's latest calibration on record for an update event."""
        drifts = sorted(self.folder.glob(f"cycle-{number:03}.drift-*.json"), key=lambda path: (len(path.name), path))
        record = self._read(drifts[-1]) if drifts else self.cycle(number)
        return ((record or {}).get("characterization") or {}).get("id")

    def write_drift(self, number: int, record: Record) -> None:
        before = len(list(self.folder.glob(f"cycle-{number:03}.drift-*.json")))
        self._write(f"cycle-{number:03}.drift-{before + 1}.json", record)

    @property
    def spent(self) -> float:
        """US dollars, counted from the intents that did not come to nothing; more where the service charged more."""
        return math.fsum(
            max(records["intent"]["usd"], records.get("cost", {}).get("usd") or 0.0)
            for records in self.orders.values()
            if "void" not in records
        )

    @property
    def charged(self) -> float:
        """US dollars, as far as the service has told."""
        return math.fsum(records["cost"].get("usd") or 0.0 for records in self.orders.values() if "cost" in records)

    def open_orders(self) -> Iterator[Order]:
        """Orders with neither a result nor a reason why there will be none."""
        return (order for order, found in sorted(self.orders.items()) if not found.keys() & {"result", "void"})

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the run for this process; raises InputError where another one does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(f"another process is at work on {self.folder}; wait for it or stop it first") from None
            yield

    def _write(self, name: str, record: Record) -> Record:
        record = {"schema": SCHEMA, **record}
        with whole_file(self.folder / name) as temporary:
            temporary.write_text(json.dumps(record) + "\n")
        folder = os.open(self.folder, os.O_RDONLY)  # the name is durable once its folder is
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return record

    def _read(self, path: Path) -> Record:
        try:
            record = json.loads(path.read_text())
            schema = record["schema"]
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(f"{path}: not a whole record of a journal; restore it from a copy of the folder") from None
        if schema != SCHEMA:
            raise InputError(f"{path}: a record of schema {schema}, this version reads schema {SCHEMA}")
        return record  # type: ignore[no-any-return]
