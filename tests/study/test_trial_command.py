"""`study trial` as a user types it, and the trial that it and a sweep run."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from qgan.ebsd.dataset import Patches, assemble, write_patches
from study import trainable
from study.ledger import TrialFolder
from study.plan import choose
from study.spec import load
from study.trainable import Job, run

from ..command_line import curve, refused, study


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


def test_a_resumed_trial_takes_nothing_back_that_is_on_disk(
    study_file: Path, patches_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Epochs of the checkpoint are neither written nor shown again, however long it took to come to them."""
    planned = choose(load(study_file), "qcbm", "images=16", 0)
    job = Job(planned, [3], patches_file, study_file.parent / "trial", study_file.parent, "study trial", cpus=1, gpus=0)
    assert run(job, lambda epoch: None)
    monkeypatch.setattr(trainable, "WRITE_EVERY_S", 0.0)
    write = TrialFolder.write_curve
    written: list[int] = []
    shown: list[int] = []

    def noted(folder: TrialFolder, epochs: list[Any]) -> None:
        written.append(len(epochs))
        write(folder, epochs)

    monkeypatch.setattr(TrialFolder, "write_curve", noted)
    assert run(replace(job, horizons=[3, 5]), lambda epoch: shown.append(epoch.epoch))
    assert written == shown == [4, 5]
    assert run(replace(job, horizons=[3, 5]), lambda epoch: shown.append(epoch.epoch))  # killed before it said so
    assert written == shown == [4, 5, 5]


def test_a_profile_is_of_one_training(study_file: Path) -> None:
    done = study("trial", study_file, "--arm", "qcbm", "--cell", "images=16", "--downstream", "--profile")
    assert done.returncode == 2
    assert "--profile is of one training" in done.stderr


def test_retry_removes_a_checkpoint_that_cannot_be_continued(study_file: Path, patches_file: Path) -> None:
    planned = choose(load(study_file), "qcbm", "images=16", 0)
    job = Job(planned, [2], patches_file, study_file.parent / "trial", study_file.parent, "study trial", cpus=1, gpus=0)
    job.folder.mkdir()
    TrialFolder(job.folder).checkpoint.write_bytes(b"half a file")
    assert not run(job, lambda epoch: None)
    assert run(replace(job, retry=True), lambda epoch: None)
    assert curve(job.folder)["epoch"] == [1, 2]
