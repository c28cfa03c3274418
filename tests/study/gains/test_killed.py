"""`study gains` as typed by a user, killed with SIGKILL and typed again."""

import json
import math
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from analysis.gains import read_gains

COMMAND = [sys.executable, "-m", "study", "gains", "tiny.yaml", "--concurrency", "1"]


def killed(folder: Path, *options: str, cycles_done: float = math.inf, seconds: float = 120.0) -> None:
    """Start the search, and kill it after so many cycles or seconds."""
    running = subprocess.Popen([*COMMAND, *options], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    until = time.monotonic() + seconds
    while time.monotonic() < until and running.poll() is None and len(cycles(folder)) < cycles_done:
        time.sleep(0.01)
    running.kill()
    running.communicate(timeout=60)


def cycles(folder: Path) -> dict[str, dict[str, Any]]:
    """Key and record of every cycle that the ledger knows."""
    records = {}
    for each in (folder / "results/tiny/trials").glob("*/trial.json"):
        record = json.loads(each.read_text())
        if "seed" in record["trial"]:
            records[each.parent.name] = record
    return records


@pytest.mark.faults
@pytest.mark.parametrize("kills", [20])
def test_killed_and_typed_again_the_search_ends_as_if_never_killed(
    kills: int, gains_file: Path, search_here: Any
) -> None:
    """The first kill falls into the search, in one process; further ones anywhere, the start of Ray included."""
    whole, found, pool = search_here(gains_file, "study=whole")
    chance, folder = random.Random(kills), gains_file.parent
    done: dict[str, dict[str, Any]] = {}
    for kill in range(kills):
        if kill == 0:
            wanted = chance.randrange(5, 20)
            killed(folder, "--here", cycles_done=wanted)
            assert wanted <= len(cycles(folder)) < pool.run
        else:
            killed(folder, seconds=chance.uniform(1, 15))
        done |= {key: record for key, record in cycles(folder).items() if record["status"] == "done"}
    ended = subprocess.run(COMMAND, cwd=folder, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "9 candidates" in ended.stdout
    tables = read_gains(folder / "results/tiny")
    assert tables is not None
    assert tables.found is not None
    assert tables.candidates["state"].tolist() == [each.state for each in whole.tried()]
    assert tables.candidates["objective"].tolist() == [each.mean for each in whole.tried()]
    assert tables.candidates["a"].tolist() == [each.candidate.gains.a for each in whole.tried()]
    assert tables.candidates["a"].is_unique
    assert tables.found["improvement"]["estimate"] == found.improvement.estimate
    after = cycles(folder)
    assert len(after) == pool.run
    for key, record in done.items():  # what was done before a kill was not done again
        assert after[key]["attempts"] == record["attempts"]
    assert {record["status"] for record in after.values()} == {"done"}


def test_terminated_it_says_that_the_same_command_goes_on(gains_file: Path) -> None:
    folder = gains_file.parent
    gains_file.write_text(gains_file.read_text().replace("candidates: 9", "candidates: 900"))
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    in_the_background_of_a_script = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    running = subprocess.Popen([*in_the_background_of_a_script, *COMMAND, "--here"], cwd=folder, **pipes)
    while len(cycles(folder)) < 5 and running.poll() is None:
        time.sleep(0.01)
    running.terminate()
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130, told
    assert told == "study: stopped; the same command goes on where it was\n"
