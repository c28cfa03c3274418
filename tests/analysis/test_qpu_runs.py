"""The final trial in the report, from the recorded rehearsal of the tests."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import load
from analysis.figures.catalogue import draw
from analysis.findings import Findings
from analysis.qpu_runs import placed, qpu_runs
from analysis.report import render
from analysis.single_run import SingleRun
from analysis.tables import read_curve

RECORDED = Path(__file__).parents[1] / "study/qpu/recorded"
CELL = {"latent_dim": 4, "images": 16}


@pytest.fixture
def folder(written: Callable[..., Path]) -> Path:
    """Six runs of the baseline, and the recorded run."""
    arms = {"bernoulli": 0.0, "qcbm": 0.0}
    home = written(
        improvements=arms,
        cells=[CELL],
        replicates={"bernoulli": range(6), "qcbm": [0]},
        horizons=[6],
        window=3,
        statuses={("qcbm", 0, 0): ("pending", 0)},
    )
    run = home / "qpu" / "rehearsal-1"
    shutil.copytree(RECORDED, run)
    return home


def test_the_run_is_placed_among_the_baselines_runs(folder: Path) -> None:
    results = load(folder)
    (run,) = qpu_runs(results)
    found = placed(run, results)
    assert isinstance(found, SingleRun)
    curve = read_curve(RECORDED / "curve.parquet").to_pydict()
    assert found.value == pytest.approx(sum(curve["mmd_v"][3:]) / 3)
    assert (found.count, found.rank, found.p) == (6, 7, pytest.approx(2 / 7))  # MMD of another data set: far above
    assert found.outside
    losses = run.losses()
    assert losses["evaluation"].tolist() == list(range(1, 15))
    assert losses["cycle"].tolist() == [1] * 7 + [2] * 7
    assert losses["kind"].tolist() == (["plus", "minus"] * 3 + ["final"]) * 2
    # the loss that the curve has of an update event is the one at its final theta
    finals = losses.loc[losses["kind"] == "final", "loss"].tolist()
    assert finals == [loss for loss in curve["prior_loss"] if loss is not None]


def test_the_section(folder: Path) -> None:
    page = render(load(folder))
    assert "The final trial" in page
    assert "rank 7 of 7" in page
    assert "Loss of every SPSA evaluation" in page
    assert "15, 15, 15" in page  # orders, jobs, results
    assert "Charged, had it been IonQ&#39;s" in page or "Charged, had it been IonQ's" in page
    assert "qpu.aria-2" in page


def copy_run(home: Path, name: str, backend: str, begun: str, arm: str = "qcbm") -> None:
    """The recorded run once more, on another backend and at another time."""
    run = home / "qpu" / name
    shutil.copytree(RECORDED, run)
    for file, values in (("qpu.json", {"backend": backend, "arm": arm}), ("journal.json", {"first_order": begun})):
        (run / file).write_text(json.dumps(json.loads((run / file).read_text()) | values))


def drawn(home: Path) -> str:
    """The final trial of Fig. 5."""
    (one,) = {*draw(load(home), "5").frame["arm"]} - {"bernoulli"}
    return str(one)


def test_the_latest_run_on_hardware_comes_first(folder: Path) -> None:
    assert drawn(folder) == "rehearsal-1"
    copy_run(folder, "rehearsal-0", "rehearsal:forte-1", "2027-01-01T00:00:00+00:00")
    assert drawn(folder) == "rehearsal-0"
    copy_run(folder, "qpu.forte-1-b", "qpu.forte-1", "2026-05-01T00:00:00+00:00")
    copy_run(folder, "qpu.forte-1-a", "qpu.forte-1", "2026-06-01T00:00:00+00:00")
    assert drawn(folder) == "qpu.forte-1-a"
    names = ["qpu.forte-1-a", "qpu.forte-1-b", "rehearsal-0", "rehearsal-1"]
    assert [run.name for run in qpu_runs(load(folder))] == names


def test_a_run_of_an_arm_that_the_plan_does_not_have_is_drawn(folder: Path) -> None:
    copy_run(folder, "qpu.forte-1", "qpu.forte-1", "2026-06-01T00:00:00+00:00", arm="qcbm_aan")
    assert drawn(folder) == "qpu.forte-1"
    assert "qcbm_aan" in render(load(folder))


def test_the_report_of_a_final_trial_alone(written: Callable[..., Path]) -> None:
    """What `study qpu` leaves where `study run` has not been typed yet."""
    statuses = {(arm, 0, 0): ("pending", 0) for arm in ("bernoulli", "qcbm")}
    arms = {"bernoulli": 0.0, "qcbm": 0.0}
    home = written(improvements=arms, cells=[CELL], replicates=dict.fromkeys(arms, range(1)), horizons=[6],
                   statuses=statuses)  # fmt: skip
    shutil.copytree(RECORDED, home / "qpu" / "rehearsal-1")
    page = render(load(home))
    assert "The final trial" in page and "no run of bernoulli is scored in its cell" in page


def test_what_is_begun_or_damaged_is_no_obstacle(folder: Path) -> None:
    record = (folder / "qpu/rehearsal-1/qpu.json").read_text()
    for damaged in ("{}", "[]", "{"):
        (folder / "qpu/rehearsal-1/qpu.json").write_text(damaged)
        assert qpu_runs(load(folder)) == []
    (folder / "qpu/rehearsal-1/qpu.json").write_text(record)
    (folder / "qpu/rehearsal-1/journal.json").write_text("{")
    assert qpu_runs(load(folder)) == []
    (folder / "qpu/rehearsal-1/journal.json").unlink()
    (folder / "qpu/rehearsal-1/curve.parquet").unlink()
    results = load(folder)
    (run,) = qpu_runs(results)
    assert placed(run, results) == "at epoch 0 of 6"
    assert "cannot be placed" in render(results)
    shutil.rmtree(folder / "qpu")
    assert Findings(load(folder)).qpu_runs == []
    assert "The final trial" not in render(load(folder))
