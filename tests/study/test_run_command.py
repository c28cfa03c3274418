"""`study run` as a user types it: a sweep from its plan to its report, and what goes on with it."""

import shutil
from pathlib import Path

import pytest

from analysis.records import read_plan
from tests.conftest import STUDY

from ..command_line import curve, study


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, patches_file: Path) -> Path:
    """The folder of tiny.yaml and its results, after the whole way through an embedded Ray."""
    folder = tmp_path_factory.mktemp("swept")
    (folder / "tiny.yaml").write_text(STUDY.format(patches=patches_file, results="results"))
    done = study("run", "tiny.yaml", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[8/8]" in done.stdout
    assert "8 trials: 8 done; results in results/tiny" in done.stdout
    assert "next: study report tiny.yaml" in done.stdout
    return folder


@pytest.fixture
def folder(swept: Path, tmp_path: Path) -> Path:
    """A copy for one test."""
    return shutil.copytree(swept, tmp_path / "copy")


def test_a_dry_run_changes_nothing(study_file: Path) -> None:
    dry = study("run", study_file, "--dry-run", folder=study_file.parent)
    assert dry.returncode == 0
    assert "8 trials would run" in dry.stdout
    assert not (study_file.parent / "results").exists()


def test_what_is_done_is_not_done_again(folder: Path) -> None:
    trials = folder / "results/tiny/trials"
    for each in trials.iterdir():
        assert sorted(file.name for file in each.iterdir()) == [
            "checkpoint.pt", "curve.parquet", "images.parquet", "scores.parquet", "trial.json",
        ]  # fmt: skip
        assert curve(each)["epoch"] == [1, 2, 3, 4, 5, 6]
    before = {path: path.stat().st_mtime_ns for path in trials.rglob("*")}
    again = study("run", "tiny.yaml", folder=folder)
    assert again.returncode == 0
    assert "nothing to do: 8 trials: 8 done" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in trials.rglob("*")} == before
    assert "8 trials: 8 done" in study("status", "tiny.yaml", folder=folder).stdout


def test_a_trial_repeated_in_one_process_gives_the_same_curve(folder: Path) -> None:
    one = study("trial", "tiny.yaml", "--arm", "qcbm", "--cell", "images=32", "--replicate", "1", folder=folder)
    assert one.returncode == 0, one.stderr
    (debug,) = (folder / "results/tiny/debug").iterdir()
    assert len(list(debug.iterdir())) == 5
    assert curve(debug) == curve(folder / "results/tiny/trials" / debug.name)


def test_the_report(folder: Path) -> None:
    report = study("report", "tiny.yaml", folder=folder)
    assert report.returncode == 0, report.stderr
    html = (folder / "results/tiny/report.html").read_text()
    assert "results/tiny/report.html" in report.stdout
    for word in ("qcbm", "bernoulli", "Eq. 10", "Clopper"):
        assert word in html
    other = study("report", "results/tiny", "-o", "other.html", folder=folder)
    assert other.returncode == 0
    assert (folder / "other.html").exists()


def test_a_longer_horizon_continues_what_is_there(folder: Path) -> None:
    trials = folder / "results/tiny/trials"
    before = {each.name: curve(each) for each in trials.iterdir()}
    text = (folder / "tiny.yaml").read_text()
    (folder / "tiny.yaml").write_text(text.replace("epochs: [6]", "epochs: [6, 9]"))
    done = study("run", "tiny.yaml", folder=folder)
    assert done.returncode == 0, done.stderr
    for each in trials.iterdir():
        after = curve(each)
        assert after["epoch"] == list(range(1, 10))
        assert {name: values[:6] for name, values in after.items()} == before[each.name]


def test_the_plan_on_disk_follows_the_study_file(folder: Path) -> None:
    text = (folder / "tiny.yaml").read_text()
    (folder / "tiny.yaml").write_text(text.replace("window: 3", "window: 1, threshold: 0.1"))
    assert "has changed since" in study("report", "tiny.yaml", folder=folder).stderr
    assert "nothing to do" in study("run", "tiny.yaml", folder=folder).stdout
    plan = read_plan(folder / "results/tiny")
    assert (plan.window, plan.threshold, plan.confirm) == (1, 0.1, None)
    assert study("report", "tiny.yaml", folder=folder).stderr == ""
