"""Optuna's journal among the results: one file, replaced whole with every entry."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from qgan.errors import InputError
from qgan.files import whole_file


class Journal(BaseJournalBackend):
    """What happened in a search, one JSON object a line; for one process at a time, which holds the ledger.

    A kill leaves the journal with an entry or without it. Optuna's own file backend leaves half a line, after which
    it cannot be read, and its lock, for which the next process waits 30 s.
    """

    def __init__(self, path: Path) -> None:
        """Raises InputError where the file is there and no journal."""
        self.path = path
        self.logs: list[dict[str, Any]] = []
        if not path.exists():
            return
        try:
            self.logs = [json.loads(line) for line in path.read_text().splitlines()]
        except (OSError, ValueError):
            self.logs = [{}]
        if not all(isinstance(each, dict) and "op_code" in each for each in self.logs):
            raise InputError(f"{path}: is not the journal of a search of gains; remove it to search anew")

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs += json.loads(json.dumps(logs))  # as a later process reads them
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self.path) as temporary:
            temporary.write_text("".join(json.dumps(each) + "\n" for each in self.logs))
