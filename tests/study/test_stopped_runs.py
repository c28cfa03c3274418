"""How `study run` ends before its end, as a user sees it."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from study.ledger import Ledger
from study.plan import look

from ..command_line import STUDY, refused, study


def test_failures_are_rows_with_their_cause_and_exit_code_3(study_file: Path) -> None:
    text = study_file.read_text().replace("width: 4", "width: 4, gradient_penalty: 1.0e+39")
    text = text.replace("[16, 32]", "[16]").replace("replicates: 2", "replicates: 1")
    study_file.write_text(text.replace("cpu: 1", "cpu: 2"))
    done = study("run", study_file, folder=study_file.parent)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "2 failed" in done.stdout
    again = study("run", study_file, folder=study_file.parent)
    assert again.returncode == 3
    assert "nothing to do" in again.stdout
    status = study("status", study_file, folder=study_file.parent)
    assert status.returncode == 0
    assert "ran away at epoch 1" in status.stdout
    assert "--arm qcbm --cell latent_dim=3,images=16 --replicate 0 --pdb" in status.stdout
    assert "    qgan.errors.Diverged: the losses" in status.stdout  # the tail of its log
    one = study("trial", study_file, "--arm", "qcbm", folder=study_file.parent)
    assert one.returncode == 3
    assert "ran away at epoch 1" in one.stderr
    assert study("report", study_file, folder=study_file.parent).returncode == 0


def test_the_share_of_failures_and_the_budget_stop_a_launch(study_file: Path) -> None:
    text = study_file.read_text().replace("width: 4", "width: 4, gradient_penalty: 1.0e+39")
    study_file.write_text(text.replace("cpu: 1", "cpu: 2") + "budget: {failed_share: 0.9}\n")
    stopped = study("run", study_file, folder=study_file.parent)
    assert stopped.returncode == 3, stopped.stdout + stopped.stderr
    assert "5 of 5 trials failed, more than budget.failed_share = 0.9" in stopped.stderr
    assert "pending" in look(study_file).states.values()
    # one of them as it would be had it died twice on a GPU of another machine
    path = next(study_file.parent.glob("results/tiny/trials/*/trial.json"))
    record = json.loads(path.read_text())
    hours = {"start": "2026-01-01T00:00:00.000+00:00", "last_seen": "2026-01-01T02:00:00.000+00:00"}
    record["attempts"] = 2 * [record["attempts"][0] | hours | {"gpu": "NVIDIA L4", "gpus": 1.0}]
    path.write_text(json.dumps(record))
    text = study_file.read_text().replace("cpu: 2", "cpu: 2, gpu: 0.5")
    study_file.write_text(text.replace("{failed_share", "{gpu_hours: 3, failed_share"))
    broke = study("run", study_file, "--retry", "failed", folder=study_file.parent)
    assert broke.returncode == 4, broke.stdout + broke.stderr
    assert "budget.gpu_hours = 3 is used up: 4 GPU-hours spent over all attempts; raise it to go on" in broke.stderr
    assert json.loads(path.read_text()) == record


def begin(study_file: Path, trials: int = 1) -> subprocess.Popen[str]:
    """`study run` as a foreground job of its own, once so many trials have a checkpoint."""
    running = subprocess.Popen(
        [*STUDY, "run", str(study_file)],
        cwd=study_file.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while running.poll() is None:
        if len(list(study_file.parent.glob("results/tiny/trials/*/checkpoint.pt"))) >= trials:
            return running
        time.sleep(0.05)
    raise AssertionError(running.communicate())


def test_ctrl_c_once_drains(study_file: Path) -> None:
    """A terminal sends it to the whole foreground job; trials that run go on to their end."""
    study_file.write_text(study_file.read_text().replace("epochs: [6]", "epochs: [60]").replace("cpu: 1", "cpu: 2"))
    running = begin(study_file)
    os.killpg(running.pid, signal.SIGINT)
    stdout, stderr = running.communicate(timeout=600)
    assert running.returncode == 130, stdout + stderr
    assert "no further trial starts" in stdout
    assert stderr.startswith("study: stopped by Ctrl-C; ")
    now = look(study_file).now
    assert set(now.states.values()) == {"done", "pending"}
    assert len(now.records) == list(now.states.values()).count("done")  # nothing has begun and not ended
    assert not (study_file.parent / "results/tiny/tune").exists()  # Tune's notes are not kept


@pytest.mark.faults
def test_ctrl_c_twice_stops_and_the_same_command_goes_on(study_file: Path) -> None:
    study_file.write_text(study_file.read_text().replace("epochs: [6]", "epochs: [4000]").replace("[16, 32]", "[16]"))
    running = begin(study_file)
    os.killpg(running.pid, signal.SIGINT)
    time.sleep(0.5)
    os.killpg(running.pid, signal.SIGINT)
    stdout, stderr = running.communicate(timeout=600)
    assert running.returncode == 130, stdout + stderr
    assert "the same command goes on" in stderr
    assert "done" not in look(study_file).states.values()
    study_file.write_text(study_file.read_text().replace("epochs: [4000]", "epochs: [100]"))
    again = study("run", study_file, folder=study_file.parent)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "4 trials: 4 done" in again.stdout
    assert all(record.attempts[-1]["ended"] == "done" for record in look(study_file).now.records.values())


def test_a_second_launcher_is_refused(study_file: Path) -> None:
    with Ledger(study_file.parent / "results/tiny").lease().hold():
        assert "another `study run`" in refused(study("run", study_file, folder=study_file.parent))


@pytest.mark.parametrize("address", ["foo", "", "127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999999"])
def test_addresses_where_no_cluster_is(study_file: Path, address: str) -> None:
    assert "--address" in refused(study("run", study_file, "--address", address, folder=study_file.parent))


def test_resources_that_no_node_offers(study_file: Path) -> None:
    study_file.write_text(study_file.read_text().replace("cpu: 1", "cpu: 900"))
    message = refused(study("run", study_file, folder=study_file.parent))
    assert "cpu 900" in message
    assert "offers cpu" in message
    assert not (study_file.parent / "results/tiny/trials").exists()
