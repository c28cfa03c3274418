import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.errors import ResultsError
from analysis.results import load


def test_finished_study(study):
    results = load(study)
    assert len(results.records) == len(results.curves) == 12 and not results.damaged
    assert results.cells == ["latent_dim=8, images=256", "latent_dim=10, images=256"]
    assert {results.status(trial.key) for trial in results.plan.trials} == {"done"}


def test_images_keep_their_index(study):
    results = load(study)
    images = results.images(results.plan.trials[0].key)
    assert images.last_epoch == 40 and images.real.shape == images.generated(40).shape == (4, 5, 20, 20)
    assert images.channels[0]["name"] == "iq"


def test_trial_outside_the_plan_is_not_read(study):
    plan = json.loads((study / "plan.json").read_text())
    key = next(iter(plan["trials"]))
    del plan["trials"][key]
    (study / "plan.json").write_text(json.dumps(plan))
    assert key not in load(study).records


def test_longer_horizon_makes_done_trials_pending(study):
    plan = json.loads((study / "plan.json").read_text())
    (study / "plan.json").write_text(json.dumps(plan | {"horizons": [20, 40, 80]}))
    results = load(study)
    assert {results.status(trial.key) for trial in results.plan.trials} == {"pending"}


@pytest.mark.parametrize(
    ("minutes", "attempt", "state"),
    [(4, {}, "running"), (6, {}, "pending"), (4, {"ended": "lost"}, "pending"), (4, None, "pending")],
)
def test_a_running_trial_whose_process_died_is_pending(written, minutes, attempt, state):
    study = written(statuses={("qcbm", 0, 0): ("running", 25)})
    seen = datetime(2026, 1, 1, 1, 30, tzinfo=UTC)  # by `write_study`
    results = load(study)
    (key,) = (each.key for each in results.plan.trials if results.status(each.key) != "done")
    path = study / "trials" / key / "trial.json"
    record = json.loads(path.read_text())
    attempts = [] if attempt is None else [{**each, **attempt} for each in record["attempts"]]
    path.write_text(json.dumps(record | {"attempts": attempts}))
    assert load(study, now=seen + timedelta(minutes=minutes)).status(key) == state


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("trial.json", b"{"),
        ("trial.json", b"[1]"),
        ("trial.json", b'{"status": "done"}'),
        ("trial.json", b"\xff\xfe"),
        ("curve.parquet", b"PAR1"),
        ("curve.parquet", None),
    ],
)
def test_damaged_trial_is_named_and_skipped(study, name, content):
    key = load(study).plan.trials[0].key
    path = study / "trials" / key / name
    path.unlink() if content is None else path.write_bytes(content)
    results = load(study)
    assert results.status(key) == "damaged" and name in results.damaged[key]
    assert len(results.records) == 11


def test_curve_without_a_column_is_damaged(study):
    key = load(study).plan.trials[0].key
    path = study / "trials" / key / "curve.parquet"
    pq.write_table(pq.read_table(path).drop_columns("mmd_u"), path)
    assert "mmd_u" in load(study).damaged[key]


def test_images_that_cannot_be_read_are_none(study):
    results = load(study)
    home = study / "trials" / results.plan.trials[0].key
    pq.write_table(pa.table({"epoch": [1]}), home / "images.parquet")
    assert results.images(results.plan.trials[0].key) is None


def test_folder_without_results(tmp_path):
    with pytest.raises(ResultsError, match="study run"):
        load(tmp_path)
    with pytest.raises(ResultsError, match="study run"):
        load(tmp_path / "missing")


def test_folder_above_the_study_names_it(study):
    with pytest.raises(ResultsError, match=r"name one of its studies: .*demo"):
        load(study.parent)


def test_reading_tables_is_cheap_and_analysis_never_imports_the_science():
    forbidden = {"torch", "ray", "qiskit", "qgan", "study"}
    for module, banned in {
        "analysis.tables": forbidden | {"pandas", "scipy", "matplotlib", "jinja2"},
        "analysis.report, analysis.answer": forbidden,
    }.items():
        code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert not banned & set(found.split())
