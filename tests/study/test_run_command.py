"""`study run` as a user types it: a sweep from its plan to its report, and what goes on with it."""

from pathlib import Path

from analysis.tables import read_plan

from ..command_line import curve, study


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
