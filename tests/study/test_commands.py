"""Commands as a user types them, each in a process of its own."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from qgan.prior_settings import PRIOR_SETTINGS
from study.cli import main
from study.ledger import failed
from study.plan import look

from ..command_line import refused, study


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


def test_help_names_every_command() -> None:
    done = study("--help")
    assert done.returncode == 0
    for command in ("data", "init", "plan", "priors", "report", "run", "schema", "status", "trial"):
        assert f"  {command} " in done.stdout
        assert study(command, "--help").returncode == 0


def test_a_failed_trial_that_cells_share_is_told_once(study_file: Path) -> None:
    study_file.write_text(study_file.read_text().replace("epochs: [6]", "epochs: [6], shots: [16, 32]"))
    here = look(study_file)
    shared = here.planned[0]
    assert sum(each.key == shared.key for each in here.planned) == 2
    folder = here.ledger.trial(shared.key)
    record = folder.begin(shared.key, trial={}, command="study trial", provenance={})
    folder.write_record(failed(record, "ran away", 1, "Traceback"))
    (here.study.folder / "trials/notes.txt").write_text("a stray file is no trial")
    done = CliRunner().invoke(main, ["status", str(study_file)])
    assert done.exit_code == 0, done.output
    assert done.stdout.count("ran away") == 1


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
