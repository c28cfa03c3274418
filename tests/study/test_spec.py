"""Study files: what is accepted, and that every mistake is one sentence with file, line and key."""

import math
from pathlib import Path

import pytest

from qgan.errors import InputError
from qgan.prior_settings import BernoulliSettings, Gains, QcbmSettings
from study import patches
from study.document import parse_value
from study.spec import load

GOOD = """\
study: tiny
data: {source: synthetic, microstructure: ferrite, count: 100, evaluation: 40}
arms:
  bernoulli: {prior: bernoulli}
  qcbm: {prior: qcbm, layers: 1, learning_rate: 0.1}
baseline: bernoulli
grid: {latent_dim: [4, 6], images: [16, 32], epochs: [20, 10]}
replicates: 3
train: {batch_size: 8, learning_rate: 1e-4}
score: {images: 20, window: 5}
resources: {cpu: 1}
"""


@pytest.fixture
def write(tmp_path: Path):
    def writer(text: str) -> Path:
        path = tmp_path / "tiny.yaml"
        path.write_text(text)
        return path

    return writer


def test_a_good_file(write) -> None:
    study = load(write(GOOD))
    assert study.horizons == [10, 20]
    assert [cell.values for cell in study.cells] == [
        {"latent_dim": n, "images": images} for n in (4, 6) for images in (16, 32)
    ]
    assert study.cells[0].train.learning_rate == 1e-4  # PyYAML alone reads 1e-4 as text
    assert study.arms["bernoulli"].prior == BernoulliSettings()
    assert study.folder == Path("results/tiny")


def test_every_shipped_study_file_loads() -> None:
    files = sorted([*Path("search_spaces").glob("*.yaml"), *Path("docs").glob("*.yaml")])
    assert files
    for path in files:
        assert load(path).cells


def test_grid_names_settings_of_arms_and_of_train(write) -> None:
    grid = "epochs: [20, 10], layers: [1, 2], train.learning_rate: [1.0e-4, 1.0e-3]"
    study = load(write(GOOD.replace("epochs: [20, 10]", grid)))
    assert len(study.cells) == 16
    last = study.cells[-1]
    assert last.priors["qcbm"] == QcbmSettings(layers=2)
    assert last.priors["bernoulli"] == BernoulliSettings()
    assert last.train.learning_rate == 1e-3
    assert last.train.batch_size == 8


def test_an_arm_may_have_its_own_replicates(write) -> None:
    study = load(write(GOOD.replace("layers: 1,", "layers: 1, replicates: {first: 6, count: 2},")))
    assert list(study.arms["qcbm"].replicates) == [6, 7]
    assert list(study.arms["bernoulli"].replicates) == [0, 1, 2]


def test_gains_come_from_a_file_and_change_the_trial(write, tmp_path: Path) -> None:
    (tmp_path / "gains.json").write_text('{"gains": {"a": 0.2, "c": 0.1, "A": 5}, "latent_dim": 4}')
    text = GOOD.replace("layers: 1", f"optimizer: spsa, gains: {tmp_path / 'gains.json'}")
    prior = load(write(text)).cells[0].priors["qcbm"]
    assert prior == QcbmSettings(optimizer="spsa", gains=Gains(0.2, 0.1, 5.0))
    (tmp_path / "gains.json").write_text('{"gains": {"a": -1, "c": 0.1}}')
    with pytest.raises(InputError, match=r"tiny.yaml:5: arms.qcbm.gains.a: must be above 0"):
        load(write(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10),
        ("+010", 10),
        ("-3", -3),
        ("0o17", 15),
        ("0x1F", 31),
        ("08", 8),
        ("1:30", "1:30"),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("1e-4", 1e-4),
        ("01.50", 1.5),
        (".5", 0.5),
        ("7.", 7.0),
        ("-.Inf", -math.inf),
        ("1:30.5", "1:30.5"),
        ("2020-01-01", "2020-01-01"),
        ("+", "+"),
    ],
)
def test_numbers_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = parse_value(text)
    assert (type(found), found) == (type(value), value)


def test_values_from_the_command_line(write) -> None:
    study = load(write(GOOD), ["train.batch_size=4", "grid.epochs=[5]", "arms.qcbm.layers=2"])
    assert study.cells[0].train.batch_size == 4
    assert study.horizons == [5]
    assert study.cells[0].priors["qcbm"] == QcbmSettings(layers=2)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("layers", "layrs", 5, ["arms.qcbm.layrs", "unknown key", "`layers`"]),
        ("score:", "scor:", 10, ["scor", "unknown key", "`score`"]),
        ("prior: qcbm", "prior: qcmb", 5, ["arms.qcbm.prior", "`qcbm`", "allowed: bernoulli, "]),
        ("prior: qcbm, ", "", 5, ["arms.qcbm", "prior"]),
        ("layers: 1", "layers: true", 5, ["arms.qcbm.layers", "integer", "True"]),
        ("layers: 1", "layers: 1.5", 5, ["arms.qcbm.layers", "integer", "1.5"]),
        ("layers: 1", "layers: 0", 5, ["arms.qcbm.layers", "1 or more", "0"]),
        ("layers: 1", "layers: 1, layers: 2", 5, ["layers", "twice"]),
        ("learning_rate: 0.1", "learning_rate: fast", 5, ["arms.qcbm.learning_rate", "number", "fast"]),
        ("learning_rate: 0.1", "connectivity: ful", 5, ["arms.qcbm.connectivity", "full"]),
        ("baseline: bernoulli", "baseline: bernouli", 6, ["baseline", "`bernoulli`"]),
        ("[4, 6]", "[4, 60]", 7, ["grid.latent_dim", "60", "26"]),
        ("[4, 6]", "[]", 7, ["grid.latent_dim", "empty"]),
        ("[4, 6]", "[4, 4]", 7, ["grid.latent_dim", "twice"]),
        ("[16, 32]", "[sixteen]", 7, ["grid.images", "sixteen"]),
        ("[16, 32]", "[1:30]", 7, ["grid.images", "'1:30'"]),
        ("images: [16, 32], ", "", 7, ["grid", "images", "missing"]),
        ("epochs:", "widht: [3], epochs:", 7, ["grid.widht", "`width`"]),
        ("epochs:", "learning_rate: [0.1], epochs:", 7, ["train.learning_rate", "qcbm.learning_rate"]),
        ("epochs:", "layers: [0], epochs:", 7, ["grid.layers", "1 or more"]),
        ("epochs:", "width: [8], train.width: [8, 16], epochs:", 7, ["grid.train.width", "`width`", "one of the two"]),
        ("epochs:", "qcbm.shots: [8, 16], shots: [8], epochs:", 7, ["grid.shots", "`qcbm.shots`", "qcbm.shots too"]),
        ("replicates: 3", "replicates: 0", 8, ["replicates", "at least one"]),
        ("replicates: 3", "replicates: many", 8, ["replicates", "many"]),
        ("batch_size: 8", "batch_size: 1", 9, ["train.batch_size", "2 or more"]),
        ("window: 5", "window: 0", 10, ["score.window", "at least 1"]),
        ("window: 5", "threshold: 0", 10, ["score.threshold", "above 0"]),
        ("cpu: 1}", "cpu: 1}\nconfirm: {fresh_from: 3}", 12, ["confirm.fresh_from", "0 to 2", "left to be quoted"]),
        ("cpu: 1}", "cpu: 1}\nconfirm: {fresh_from: 2, cells: 0}", 12, ["confirm.cells", "1 or more"]),
        ("images: 20", "images: 21", 10, ["score.images", "at most 20"]),
        ("window: 5", "every: 3", 7, ["grid.epochs", "score.every"]),
        ("cpu: 1", "gpu: 2", 11, ["resources.gpu", "from 0 to 1"]),
        ("cpu: 1}", "cpu: 1}\nbudget: {usd: 0}", 12, ["budget.usd", "above 0"]),
        ("cpu: 1}", "cpu: 1}\nbudget: {usd: 5}", 12, ["budget.usd", "counts the time of GPUs", "resources.gpu = 0"]),
        ("cpu: 1}", "cpu: 1}\nbudget: {gpu_hours: 5}", 12, ["budget.gpu_hours", "raise resources.gpu"]),
        ("cpu: 1}", "cpu: 1}\nbudget: {gpu_hour: 1}", 12, ["budget.gpu_hour", "`gpu_hours`"]),
        ("cpu: 1}", "cpu: 1}\ngains: {arm: qcmb, start_epoch: 1, search: {a: {low: 1, high: 2}}}", 12, ["`qcbm`"]),
        ("cpu: 1}", "cpu: 1}\ngains: {arm: qcbm, start_epoch: 1, search: {a: {low: 1, high: 2}}}", 12, ["spsa"]),
        ("cpu: 1}", "cpu: 1}\ngains: {arm: qcbm, start_epoch: 1, search: {a: {low: 2, high: 1}}}", 12, ["above low"]),
        ("cpu: 1}", "cpu: 1}\ngains: {arm: qcbm, start_epoch: 1, search: {b: {low: 1, high: 2}}}", 12, ["unknown key"]),
        (
            "cpu: 1}",
            "cpu: 1}\ngains: {arm: qcbm, start_epoch: 1, search: {alpha: {low: 0.5, high: 2}}}",
            12,
            ["at most 1"],
        ),
        ("cpu: 1}", "cpu: 1}\ngains: {arm: qcbm, start_epoch: 1, search: {}}", 12, ["gains.search", "names no gain"]),
        ("cpu: 1}", "cpu: 1}\nqpu: {arm: bernoulli}", 12, ["qpu.arm", "no circuit"]),
        ("cpu: 1}", "cpu: 1}\nqpu: {arm: qcbm, backend: aria}", 12, ["qpu.backend", "rehearsal"]),
        ("cpu: 1}", "cpu: 1}\nqpu: {arm: qcbm, replicate: 3}", 12, ["qpu.replicate", "0 to 2"]),
        ("cpu: 1}", "cpu: 1}\nqpu: {arm: qcbm}", 7, ["4 cells", "qpu"]),
        ("layers: 1", "optimizer: spsa, gains: nowhere.json", 5, ["arms.qcbm.gains", "nowhere.json", "study gains"]),
        ("replicates: 3", "replicates: 9999999", 8, ["replicates", "at most"]),
        ("[16, 32], ep", "[16, 32], layers: [1, 2, 3], replicates: [1], ep", 7, ["grid.replicates"]),
        ("evaluation: 40", "evaluation: 100", 2, ["data.evaluation", "fewer than count"]),
        ("ferrite", "pearlite", 2, ["data.microstructure", "ferrite or bainite"]),
        ("source: synthetic, ", "", 2, ["data", "source"]),
        ("study: tiny", "study: ../tiny", 1, ["study", "folder"]),
        ("study: tiny", "study: [tiny", 2, ["YAML"]),
        ("prior: qcbm", "prior: [qcbm]", 5, ["arms.qcbm.prior"]),
        ("baseline: bernoulli", "baseline: [bernoulli]", 6, ["baseline"]),
        ("batch_size: 8", "batch_size: !!binary aGVs", 9, ["train.batch_size", "tag"]),
        ("cpu: 1}", 'cpu: 1}\nresults: "\\ud800"', 12, ["results", "half of a character"]),
        ("learning_rate: 0.1", "learning_rate: .inf", 5, ["arms.qcbm.learning_rate"]),
    ],
)
def test_mistakes_name_file_line_and_key(write, old: str, new: str, line: int, words: list[str]) -> None:
    assert old in GOOD
    with pytest.raises(InputError) as caught:
        load(write(GOOD.replace(old, new, 1)))
    message = str(caught.value)
    assert f"tiny.yaml:{line}: " in message
    assert all(word in message for word in words), message
    assert "\n" not in message


@pytest.mark.parametrize("key", ["study", "data", "arms", "baseline", "grid", "replicates"])
def test_missing_sections_are_named(write, key: str) -> None:
    text = "".join(line for line in GOOD.splitlines(keepends=True) if not line.startswith((f"{key}:", "  ")))
    with pytest.raises(InputError, match=f"`{key}` is missing" if key != "arms" else "arms"):
        load(write(text))


def test_files_that_are_no_study_files(tmp_path: Path) -> None:
    near = tmp_path / "ferrite.yaml"
    near.write_text(GOOD)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(bytes(range(256)))
    words = tmp_path / "words.yaml"
    words.write_text("just words")
    empty = tmp_path / "empty.yaml"
    empty.write_text("")
    control = tmp_path / "control.yaml"
    control.write_bytes(b"study: a\x07b")
    number = tmp_path / "number.yaml"
    number.write_text("study: !!int ten")
    for path, message in [
        (control, "YAML"),
        (number, "cannot be read"),
        (tmp_path / "ferite.yaml", "did you mean"),
        (tmp_path, "folder"),
        (binary, "cannot be read as text"),
        (words, "not a study file"),
        (empty, "not a study file"),
    ]:
        with pytest.raises(InputError, match=message):
            load(path)


def test_an_alias_of_a_mapping_that_takes_another_over(write) -> None:
    arms = "a: &a {prior: qcbm, shots: 64}\n  b: &b {<<: *a, shots: 32}\n  c: *b\n  qcbm:"
    study = load(write(GOOD.replace("qcbm:", arms, 1)))
    assert [arm.prior for arm in study.arms.values()][1:4] == [QcbmSettings(shots=each) for each in (64, 32, 32)]
    with pytest.raises(InputError, match=r"tiny.yaml:6: arms.b.shots: stands twice, first on line 6"):
        load(write(GOOD.replace("qcbm:", arms.replace("shots: 32", "shots: 32, shots: 32"), 1)))


def test_a_tilde_is_the_users_own_folder(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "gains.json").write_text('{"gains": {"a": 0.2, "c": 0.1}}')
    text = GOOD.replace("layers: 1", "optimizer: spsa, gains: ~/gains.json") + "results: ~/kept\n"
    source = "{source: synthetic, microstructure: ferrite, count: 100, evaluation: 40}"
    study = load(write(text.replace(source, "{source: ~/patches.parquet, evaluation: 40}")))
    assert study.folder == tmp_path / "kept" / "tiny"
    assert patches.file(study) == tmp_path / "patches.parquet"


def test_anchors_of_anchors_do_not_fill_the_memory(write) -> None:
    levels = [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 12)]
    with pytest.raises(InputError, match="more than 100000 values"):
        load(write("\n".join(["a0: &a0 [x]", *levels, GOOD])))


@pytest.mark.parametrize(
    "assignment",
    [
        "batch_size",
        "=3",
        "train.batch_size.x=3",
        "train.bath_size=3",
        "train=[3",
        "train.learning_rate=!!int ten",
        "arms={1: {prior: bernoulli}}",
    ],
)
def test_bad_assignments(write, assignment: str) -> None:
    with pytest.raises(InputError):
        load(write(GOOD), [assignment])
