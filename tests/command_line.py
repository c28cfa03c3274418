"""Commands as a user types them, each in a process of its own, for the tests that look at what they do."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

STUDY = [sys.executable, "-m", "study"]


def study(*words: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "120"}
    command = [*STUDY, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=900)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a refused command."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("study: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def curve(folder: Path) -> dict[str, list[object]]:
    table = pq.read_table(folder / "curve.parquet")
    return {name: values for name, values in table.to_pydict().items() if name != "seconds"}
