"""Cells x arms x replicates, the one trial that a command line names, and data that cannot serve."""

import shlex
from pathlib import Path

import pytest

from qgan.ebsd.dataset import Patches
from qgan.errors import InputError
from study.patches import prepare
from study.plan import choose, trials
from study.spec import load
from study.trainable import job


def test_every_trial_once_and_pairs_share_their_streams(study_file: Path) -> None:
    planned = trials(load(study_file))
    assert len(planned) == len({each.key for each in planned}) == 2 * 2 * 2
    pairs: dict[tuple[str, int], dict[str, str]] = {}
    for each in planned:
        pairs.setdefault((str(each.cell), each.replicate), {})[each.arm] = each.trial.pairing
    assert all(set(pair) == {"bernoulli", "qcbm"} and len(set(pair.values())) == 1 for pair in pairs.values())
    assert len({pair["qcbm"] for pair in pairs.values()}) == 4


def test_replicates_come_first_so_that_half_a_study_holds_pairs(study_file: Path) -> None:
    assert [each.replicate for each in trials(load(study_file))] == [0] * 4 + [1] * 4


def test_an_arms_own_grid_key_leaves_the_baseline_one_trial(study_file: Path) -> None:
    study_file.write_text(study_file.read_text().replace("epochs: [6]", "epochs: [6], shots: [16, 32]"))
    planned = trials(load(study_file))
    assert len(planned) == 16
    keys = {arm: {each.key for each in planned if each.arm == arm} for arm in ("bernoulli", "qcbm")}
    assert (len(keys["bernoulli"]), len(keys["qcbm"])) == (4, 8)


def test_keys_know_the_content_of_the_data_not_its_path(study_file: Path, patches_file: Path, tmp_path: Path) -> None:
    before = [each.key for each in trials(load(study_file))]
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(patches_file.read_bytes())
    study_file.write_text(study_file.read_text().replace(str(patches_file), str(copy)))
    assert [each.key for each in trials(load(study_file))] == before


def test_a_set_that_was_just_made_has_to_serve_the_largest_cell(
    study_file: Path, patches_file: Path, patches: Patches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many patches the withheld maps hold is known only then."""
    fresh = "{source: synthetic, microstructure: ferrite, count: 60, evaluation: 10, patch: 12}"
    text = study_file.read_text().replace(f"{{source: {patches_file}, evaluation: 40}}", fresh)
    study_file.write_text(text.replace("images: [16, 32]", "images: [50]").replace("images: 20", "images: 5"))
    monkeypatch.setattr("qgan.ebsd.synthetic.generate", lambda *of, processes: patches)
    study = load(study_file)
    assert trials(study)
    for refused in (lambda: prepare(study, lambda line: None), lambda: trials(study)):
        with pytest.raises(InputError, match=r"tiny.yaml:7: grid.images: 50 .* \(from other maps\) 40 are left"):
            refused()


def test_choose_by_any_subset_that_leaves_one_cell(study_file: Path) -> None:
    study = load(study_file)
    whole = choose(study, "qcbm", "latent_dim=3,images=32", 1)
    assert choose(study, "qcbm", "images=32", 1) == whole
    assert (whole.arm, whole.cell, whole.replicate) == ("qcbm", {"latent_dim": 3, "images": 32}, 1)


def test_the_command_of_every_trial_names_its_cell(study_file: Path, tmp_path: Path) -> None:
    """Grid values that are words, numbers, lists or nothing at all."""
    values = (
        "epochs: [6], connectivity: [full, [[0, 1], [1, 2]]], gains: [null, {a: 0.1, c: 0.2}], learning_rate: [1.0e-5]"
    )
    text = study_file.read_text().replace("epochs: [6]", values).replace("gradient: exact", "optimizer: spsa")
    study_file.write_text(text.replace("learning_rate", "qcbm.learning_rate"))
    study = load(study_file)
    planned = [each for each in trials(study) if each.arm == "qcbm"]
    assert len({each.cell_name for each in planned}) == 8
    for each in planned:
        words = shlex.split(job(study, each, "patches.parquet", tmp_path).command)
        for cell in (words[words.index("--cell") + 1], each.cell_name):
            assert choose(study, "qcbm", cell, each.replicate) == each


@pytest.mark.parametrize(
    ("arm", "cell", "replicate", "words"),
    [
        ("qcmb", "images=32", 0, "`qcbm`"),
        ("qcbm", None, 0, "2 cells"),
        ("qcbm", "latent_dim=3", 0, "2 cells"),
        ("qcbm", "images=33", 0, "no cell"),
        ("qcbm", "image=32", 0, "latent_dim, images"),
        ("qcbm", "images", 0, "latent_dim, images"),
        ("qcbm", "images=32", 2, "0, 1"),
    ],
)
def test_choices_that_fit_nothing(study_file: Path, arm: str, cell: str | None, replicate: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        choose(load(study_file), arm, cell, replicate)


def test_an_arm_that_does_not_fit_its_cell_is_named(study_file: Path) -> None:
    text = study_file.read_text().replace("qcbm: {prior: qcbm,", "qcbm: {prior: qcbm, connectivity: [[0, 5]],")
    study_file.write_text(text)
    with pytest.raises(InputError, match=r"tiny.yaml:5: arms.qcbm.connectivity: .*qubits 0 to 2"):
        trials(load(study_file))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[16, 32]", "[16, 81]", r"tiny.yaml:7: grid.images: 81 .* 80 are left"),
        ("evaluation: 40", "evaluation: 400", r"tiny.yaml:2: data.evaluation: .*120"),
        ("evaluation: 40", "evaluation: 40, microstructure: pearlite", r"tiny.yaml:2: data.microstructure: .*ferrite"),
        (".parquet", ".parket", r"tiny.yaml:2: data.source: "),
    ],
)
def test_data_that_cannot_serve(study_file: Path, old: str, new: str, words: str) -> None:
    study_file.write_text(study_file.read_text().replace(old, new))
    with pytest.raises(InputError, match=words):
        trials(load(study_file))
