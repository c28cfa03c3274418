"""Optuna's journal among the results: one file, replaced whole with every entry."""

import json
from collections.abc import Iterable
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from qgan.errors import InputError
from study.storage import Storage

_NAME = "gains/journal.log"


class Journal(BaseJournalBackend):
    """What happened in a search, one JSON object a line; for one process at a time, which holds the ledger.

    A kill leaves the journal with an entry or without it. Optuna's own file backend leaves half a line, after which
    it cannot be read, and its lock, for which the next process waits 30 s.
    """

    def __init__(self, storage: Storage) -> None:
        """`storage` is a study's results. Raises InputError where its journal is none."""
        self.storage = storage
        self.logs: list[dict[str, Any]] = []
        try:
            self.logs = [json.loads(line) for line in storage.read(_NAME).splitlines()]
        except FileNotFoundError:
            return
        except ValueError:
            self.logs = [{}]
        if not all(isinstance(each, dict) and "op_code" in each for each in self.logs):
            raise InputError(f"{self}: is not the journal of a search of gains; remove it to search anew")

    def __str__(self) -> str:
        return f"{self.storage}/{_NAME}"

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs += json.loads(json.dumps(logs))  # as a later process reads them
        self.storage.write(_NAME, "".join(json.dumps(each) + "\n" for each in self.logs).encode())
