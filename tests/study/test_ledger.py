"""The ledger tells the truth about trials that are done, alive, dead, failed or not begun."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analysis.records import TrialRecord
from analysis.revisions import mixed_revisions
from study.ledger import Ledger, failed

KEY = "0123456789abcdef"


def begin(ledger: Ledger) -> TrialRecord:
    return ledger.trial(KEY).begin(KEY, trial={"images": 3}, command="study trial ...", provenance={"gpu": None})


def state(ledger: Ledger, longest: int) -> str:
    return ledger.look([KEY], longest).states[KEY]


def test_states(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert state(ledger, 10) == "pending"
    record = begin(ledger)
    assert state(ledger, 10) == "running"
    folder = ledger.trial(KEY)
    folder.write_record(TrialRecord(**{**vars(record), "status": "done", "horizon": 10}))
    assert state(ledger, 10) == "pending"  # its curve is gone
    folder.storage.write("curve.parquet", b"PAR1 rows PAR1")
    assert state(ledger, 10) == "done"
    for torn in (b"", b"PAR1", b"PAR1 ro", b"\0" * 14):
        folder.storage.write("curve.parquet", torn)
        now = ledger.look([KEY], 10)
        assert now.states == {KEY: "pending"}
        assert now.damaged[KEY].startswith(f"{tmp_path}/trials/{KEY}/curve.parquet: torn")
    folder.storage.write("curve.parquet", b"PAR1 rows PAR1")
    for name in ("images.parquet", "scores.parquet"):
        folder.storage.write(name, b"PAR1 ro")
        assert f"{name}: torn" in ledger.look([KEY], 10).damaged[KEY]
        folder.storage.write(name, b"PAR1 rows PAR1")
        assert state(ledger, 10) == "done"
    assert state(ledger, 20) == "pending"  # the study asks for more now
    folder.write_record(failed(record, "cause", 3, "log"))
    assert state(ledger, 10) == "failed"


def test_a_trial_whose_process_died_is_pending(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    record = begin(ledger)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    record.attempts[-1]["process"] = ended.pid
    ledger.trial(KEY).write_record(record)
    assert state(ledger, 10) == "pending"


@pytest.mark.parametrize(("elsewhere", "later"), [({"place": "elsewhere"}, "pending"), ({}, "running")])
def test_a_trial_unseen_for_long_is_dead_unless_its_process_runs_here(
    tmp_path: Path, elsewhere: dict[str, str], later: str
) -> None:
    ledger = Ledger(tmp_path)
    record = begin(ledger)
    record.attempts[-1] |= elsewhere
    ledger.trial(KEY).write_record(record)
    assert state(ledger, 10) == "running"
    path = tmp_path / "trials" / KEY / "trial.json"
    text = path.read_text()
    seen = record.attempts[-1]["last_seen"]
    path.write_text(text.replace(f'"last_seen": "{seen}"', '"last_seen": "2020-01-01T00:00:00+00:00"'))
    assert state(ledger, 10) == later


def test_a_damaged_record_is_pending_and_written_anew(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    begin(ledger)
    ledger.trial(KEY).storage.write("trial.json", b"{")
    assert state(ledger, 10) == "pending"
    assert len(begin(ledger).attempts) == 1


def test_a_second_attempt_keeps_the_first(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    begin(ledger)
    record = begin(ledger)
    assert len(record.attempts) == 2
    read = ledger.trial(KEY).record()
    assert read == record
    assert read.attempts[1]["process"] == os.getpid()


CLEAN, DIRTY = ({"git": {"revision": "a" * 40, "dirty": dirty}, "packages": {}, "gpu": None} for dirty in (False, True))
UNKNOWN: dict[str, Any] = {"git": None, "packages": {}, "gpu": None}


def made(ledger: Ledger, *provenances: dict[str, Any]) -> TrialRecord:
    """A trial with one attempt by each."""
    for each in provenances:
        record = ledger.trial(KEY).begin(KEY, trial={}, command="study trial", provenance=each)
    return record


@pytest.mark.parametrize(
    ("trials", "told"),
    [
        ([[CLEAN], [CLEAN, CLEAN], [{}]], None),
        ([[CLEAN], [CLEAN], [DIRTY]], "different revisions.*: 2 by a{12}, 1 by a{12} with changes that are not commi"),
        ([[CLEAN, DIRTY]], "different revisions.*: 1 by a{12} and then a{12} with changes"),
        ([[CLEAN], [UNKNOWN]], "different revisions.*1 by a{12}, 1 by a copy without its repository"),
        ([[UNKNOWN], [UNKNOWN]], "no revision holds: 2 by a copy without its repository"),
        ([[{}, CLEAN, {"note": "the worker died before it began"}]], None),
    ],
)
def test_mixed_revisions_are_told(tmp_path: Path, trials: list[list[dict[str, Any]]], told: str | None) -> None:
    records = [made(Ledger(tmp_path / str(number)), *each) for number, each in enumerate(trials)]
    found = mixed_revisions(records)
    assert found is None if told is None else re.search(told, found or "")


def test_an_older_trial_that_goes_on_keeps_what_it_was_made_with(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    record = made(ledger, CLEAN)
    for name in ("git", "packages"):
        del record.attempts[0][name]  # as records were written before attempts had them
    ledger.trial(KEY).write_record(record)
    assert [each["git"]["dirty"] for each in made(ledger, DIRTY).origins] == [False, True]


def test_one_launcher_at_a_time(tmp_path: Path) -> None:
    with Ledger(tmp_path).lease().hold() as first, Ledger(tmp_path).lease().hold() as second:
        assert (first, second) == (True, False)
    with Ledger(tmp_path).lease().hold() as again:
        assert again


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    record = begin(ledger)
    before = ledger.trial(KEY).storage.read("trial.json")
    with pytest.raises(AttributeError):  # an epoch without the schema's columns
        ledger.trial(KEY).write_curve([object()])
    record.provenance["circular"] = record.provenance
    with pytest.raises(ValueError, match="Circular"):
        ledger.trial(KEY).write_record(record)
    assert ledger.trial(KEY).storage.read("trial.json") == before
    assert [each.name for each in (tmp_path / "trials" / KEY).iterdir()] == ["trial.json"]
