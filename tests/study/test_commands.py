"""Every command as a user types it, in a process of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from analysis.tables import read_plan
from qgan.ebsd.dataset import Patches, assemble, write_patches
from qgan.prior_settings import PRIOR_SETTINGS
from study.cli import main
from study.ledger import Ledger, TrialFolder
from study.plan import choose, look
from study.spec import load
from study.trainable import Job, run

STUDY = [sys.executable, "-m", "study"]


def study(*words: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "120"}
    command = [*STUDY, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=600)


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


def test_the_base_alone_names_the_extra(study_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    done = CliRunner().invoke(main, ["trial", str(study_file), "--arm", "qcbm", "--cell", "images=16"])
    assert done.exit_code == 1
    assert done.stderr == (
        "study: trial needs torch, of the extra `cpu`, or `gpu` for CUDA; install it with: "
        "pip install --editable '.[cpu]'\n"
    )


def test_a_dry_run_lists_a_shared_trial_once(study_file: Path) -> None:
    study_file.write_text(study_file.read_text().replace("epochs: [6]", "epochs: [6], shots: [16, 32]"))
    done = CliRunner().invoke(main, ["run", str(study_file), "--dry-run"])
    *lines, last = done.stdout.splitlines()
    assert last == f"{len(lines)} trials would run"
    assert len(lines) == 4 + 8
    assert "bernoulli, latent_dim=3, images=16, shots=16, replicate 0; and bernoulli, latent_dim=3, " in lines[0]


def test_downstream_classifiers_of_one_trial(study_file: Path) -> None:
    words = ("--arm", "bernoulli", "--cell", "images=16", "--epochs", "1", "--downstream")
    settings = "downstream={k: [4], synthetic: 20, seeds: 2, steps: 20}"
    for more in ((), ("--set", "train.conditional=true")):
        one = study("trial", study_file, *words, "--set", settings, *more, folder=study_file.parent)
        assert one.returncode == 0, one.stderr
        assert "balanced accuracy on real patches of other maps (bainite, ferrite)" in one.stdout
    tables_ = list((study_file.parent / "results/tiny/debug").glob("*/downstream.parquet"))
    assert len(tables_) == 2
    for each in tables_:
        rows = pq.read_table(each).to_pylist()
        assert {(row["arm"], row["classifier"]) for row in rows} == {
            (arm, classifier)
            for arm in ("real", "real+synthetic", "synthetic")
            for classifier in ("channel_means", "cnn")
        }
        assert all(0 <= row["balanced_accuracy"] <= 1 for row in rows)


def test_downstream_says_what_does_not_fit_before_it_trains(study_file: Path) -> None:
    words = ("--arm", "bernoulli", "--cell", "images=16", "--downstream", "--set", "downstream={k: [5000]}")
    one = study("trial", study_file, *words, folder=study_file.parent)
    assert "k asks for 5000 training patches" in refused(one)
    assert "epoch" not in one.stdout


def test_downstream_needs_two_microstructures(study_file: Path) -> None:
    folder = study_file.parent
    words = ("--microstructure", "ferrite", "--count", "160", "--patch", "12", "-o", "one.parquet")
    one = study("data", "synthetic", *words, folder=folder)
    assert one.returncode == 0, one.stderr
    words = ("--arm", "bernoulli", "--cell", "images=16", "--downstream", "--set", "data.source=one.parquet")
    refused = study("trial", study_file, *words, folder=folder)
    assert refused.returncode == 1
    assert "patches of ferrite only" in refused.stderr
    assert "study data join" in refused.stderr


def test_a_profile_of_one_trial(study_file: Path) -> None:
    one = study(
        "trial",
        study_file,
        "--arm",
        "qcbm",
        "--cell",
        "images=32",
        "--epochs",
        "2",
        "--profile",
        "--pdb",  # does not swallow it
        folder=study_file.parent,
    )
    assert one.returncode == 0, one.stderr
    (profile,) = (study_file.parent / "results/tiny/debug").glob("*/profile.json")
    assert f"profile of epoch 2: {profile}" in one.stdout
    assert "aten::" in one.stdout
    events = {event["name"] for event in json.loads(profile.read_text())["traceEvents"]}
    assert {"aten::convolution_backward", "aten::native_group_norm"} <= events


def test_help_names_every_command() -> None:
    done = study("--help")
    assert done.returncode == 0
    for command in ("data", "init", "plan", "priors", "report", "run", "schema", "status", "trial"):
        assert f"  {command} " in done.stdout
        assert study(command, "--help").returncode == 0


def test_plan_changes_nothing(study_file: Path) -> None:
    done = study("plan", study_file, folder=study_file.parent)
    assert done.returncode == 0, done.stderr
    assert "8 trials, 8 still to run: 48 epochs" in done.stdout
    assert "fewer than 6 pairs" in done.stdout
    assert [each.name for each in study_file.parent.iterdir()] == ["tiny.yaml"]


def test_a_probe_tells_the_time_and_changes_nothing(study_file: Path) -> None:
    done = study("plan", study_file, "--probe", folder=study_file.parent)
    assert done.returncode == 0, done.stderr
    assert "a probe of 20 steps on this machine's CPU" in done.stdout
    assert "CPU-hours" in done.stdout
    assert "wall time" in done.stdout
    assert [each.name for each in study_file.parent.iterdir()] == ["tiny.yaml"]


def test_priors_and_their_settings() -> None:
    done = study("priors")
    assert all(name in done.stdout for name in PRIOR_SETTINGS)
    one = study("priors", "qcbm")
    assert "epochs between update events" in one.stdout
    assert "`qcbm`" in refused(study("priors", "qcmb"))


def test_the_schema_is_json() -> None:
    assert json.loads(study("schema").stdout)["required"][0] == "study"


def test_sweep_status_report_and_one_trial_again(study_file: Path) -> None:
    """The whole way through an embedded Ray; one of its trials repeated in one process gives the same curve."""
    folder = study_file.parent
    dry = study("run", study_file, "--dry-run", folder=folder)
    assert dry.returncode == 0
    assert "8 trials would run" in dry.stdout
    assert not (folder / "results").exists()

    done = study("run", study_file, folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[8/8]" in done.stdout
    assert "8 trials: 8 done" in done.stdout
    trials = folder / "results/tiny/trials"
    for each in trials.iterdir():
        assert sorted(file.name for file in each.iterdir()) == [
            "checkpoint.pt", "curve.parquet", "images.parquet", "scores.parquet", "trial.json",
        ]  # fmt: skip
        assert curve(each)["epoch"] == [1, 2, 3, 4, 5, 6]

    before = {path: path.stat().st_mtime_ns for path in trials.rglob("*")}
    again = study("run", study_file, folder=folder)
    assert again.returncode == 0
    assert "nothing to do: 8 trials: 8 done" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in trials.rglob("*")} == before

    status = study("status", study_file, folder=folder)
    assert "8 trials: 8 done" in status.stdout

    one = study("trial", study_file, "--arm", "qcbm", "--cell", "images=32", "--replicate", "1", folder=folder)
    assert one.returncode == 0, one.stderr
    (debug,) = (folder / "results/tiny/debug").iterdir()
    assert len(list(debug.iterdir())) == 5
    assert curve(debug) == curve(trials / debug.name)

    report = study("report", study_file, folder=folder)
    assert report.returncode == 0, report.stderr
    html = (folder / "results/tiny/report.html").read_text()
    assert str(folder / "results/tiny/report.html") in report.stdout
    for word in ("qcbm", "bernoulli", "Eq. 10", "Clopper"):
        assert word in html
    other = study("report", folder / "results/tiny", "-o", folder / "other.html", folder=folder)
    assert other.returncode == 0
    assert (folder / "other.html").exists()


def test_a_longer_horizon_continues_what_is_there(study_file: Path) -> None:
    text = study_file.read_text().replace("[16, 32]", "[16]").replace("replicates: 2", "replicates: 1")
    study_file.write_text(text)
    assert study("run", study_file, folder=study_file.parent).returncode == 0
    trials = study_file.parent / "results/tiny/trials"
    before = {each.name: curve(each) for each in trials.iterdir()}
    study_file.write_text(text.replace("epochs: [6]", "epochs: [6, 9]"))
    done = study("run", study_file, folder=study_file.parent)
    assert done.returncode == 0, done.stderr
    for each in trials.iterdir():
        after = curve(each)
        assert after["epoch"] == list(range(1, 10))
        assert {name: values[:6] for name, values in after.items()} == before[each.name]


def test_failures_are_rows_with_their_cause_and_exit_code_3(study_file: Path) -> None:
    text = study_file.read_text().replace("width: 4", "width: 4, gradient_penalty: 1.0e+39")
    study_file.write_text(text.replace("[16, 32]", "[16]").replace("replicates: 2", "replicates: 1"))
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


def test_other_patches_under_the_same_name_are_refused(
    study_file: Path, tmp_path: Path, patches: Patches, patches_file: Path
) -> None:
    """The key names the patches: a trial does not train on others, even if they change after planning."""
    planned = choose(load(study_file), "qcbm", "images=16", 0)
    other = tmp_path / "other.parquet"
    columns = {
        name: getattr(patches.index, name)
        for name in ("microstructure", "source", "map_id", "grain_id", "row", "column", "step_um")
    }
    write_patches(other, assemble(255 - patches.images, columns, settings={}, cleaning=()))
    job = Job(planned, [2], other, tmp_path / "trial", tmp_path, "study trial", cpus=1, gpus=0)
    assert run(replace(job, patches=patches_file, folder=tmp_path / "good"), lambda epoch: None)
    assert not run(job, lambda epoch: None)
    record = TrialFolder(job.folder).record()
    assert record is not None
    assert record.cause is not None
    assert "holds other patches" in record.cause["error"]
    assert "data_hash" not in record.provenance  # nor one left by an earlier trial of this process


def test_retry_removes_a_checkpoint_that_cannot_be_continued(study_file: Path, patches_file: Path) -> None:
    planned = choose(load(study_file), "qcbm", "images=16", 0)
    job = Job(planned, [2], patches_file, study_file.parent / "trial", study_file.parent, "study trial", cpus=1, gpus=0)
    job.folder.mkdir()
    TrialFolder(job.folder).checkpoint.write_bytes(b"half a file")
    assert not run(job, lambda epoch: None)
    assert run(replace(job, retry=True), lambda epoch: None)
    assert curve(job.folder)["epoch"] == [1, 2]


def test_the_plan_on_disk_follows_the_study_file(study_file: Path) -> None:
    folder, text = study_file.parent, study_file.read_text()
    text = text.replace("replicates: 2", "replicates: 1").replace("[16, 32]", "[16]")
    study_file.write_text(text)
    assert study("run", study_file, folder=folder).returncode == 0
    study_file.write_text(text.replace("window: 3", "window: 1, threshold: 0.1"))
    assert "has changed since" in study("report", study_file, folder=folder).stderr
    assert "nothing to do" in study("run", study_file, folder=folder).stdout
    plan = read_plan(folder / "results/tiny")
    assert (plan.window, plan.threshold, plan.confirm) == (1, 0.1, None)
    assert study("report", study_file, folder=folder).stderr == ""


@pytest.mark.parametrize("address", ["foo", "", "127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999999"])
def test_addresses_where_no_cluster_is(study_file: Path, address: str) -> None:
    assert "--address" in refused(study("run", study_file, "--address", address, folder=study_file.parent))


def test_resources_that_no_node_offers(study_file: Path) -> None:
    study_file.write_text(study_file.read_text().replace("cpu: 1", "cpu: 900"))
    message = refused(study("run", study_file, folder=study_file.parent))
    assert "cpu 900" in message
    assert "offers cpu" in message
    assert not (study_file.parent / "results/tiny/trials").exists()


def test_init_writes_a_file_that_plan_accepts(tmp_path: Path, patches_file: Path) -> None:
    for name, options in (("synthetic.yaml", []), ("own.yaml", ["--data", patches_file])):
        done = study("init", name, *options, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        planned = study("plan", name, folder=tmp_path)
        assert planned.returncode == 0, planned.stderr
    assert "exists already" in refused(study("init", "own.yaml", folder=tmp_path))
    refused(study("init", "nowhere/own.yaml", folder=tmp_path))


@pytest.mark.parametrize("command", ["plan", "run", "status", "report"])
def test_study_files_that_cannot_be_used(command: str, tmp_path: Path, study_file: Path) -> None:
    shutil.copy(study_file, tmp_path / "mine.yaml")
    assert "did you mean mine.yaml?" in refused(study(command, "mien.yaml", folder=tmp_path))
    (tmp_path / "mine.yaml").write_text(study_file.read_text().replace("width: 4", "widht: 4"))
    message = refused(study(command, "mine.yaml", folder=tmp_path))
    assert "mine.yaml:9: train.widht: unknown key (did you mean `width`?)" in message


def test_results_that_are_not_there(tmp_path: Path, study_file: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for source in (empty, study_file):
        refused(study("report", source, folder=tmp_path))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["empty", "tiny.yaml"]


def test_verbose_shows_the_traceback(tmp_path: Path) -> None:
    done = study("-v", "plan", "nothing.yaml", folder=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
