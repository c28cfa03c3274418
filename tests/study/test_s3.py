"""Results on S3: a study from plan to report, a resumed trial, and a server that is slow, wrong or silent."""

import json
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from analysis import load as load_results
from analysis.location import locate
from qgan.ebsd import dataset
from qgan.ebsd.dataset import Patches, write_patches
from qgan.errors import InputError
from study import s3, trainable
from study.ledger import Ledger
from study.plan import trials
from study.s3 import S3
from study.spec import load
from study.storage import StorageError, Uri, is_storage_trouble, storage_of
from study.trainable import Job, job, run

from ..command_line import study
from ..faulty_proxy import CUT, DROP, FAIL, HANG, LOSE, SLOW, FaultyProxy, Harm
from ..s3_server import place, start

STUDY = """\
study: tiny
data: {{source: {data}, evaluation: 40}}
arms: {{bernoulli: {{prior: bernoulli}}, qcbm: {{prior: qcbm, gradient: exact, update_every: 2, train_epochs: 4}}}}
baseline: bernoulli
grid: {{latent_dim: [3], images: [16], epochs: [{epochs}]}}
replicates: 1
train: {{batch_size: 8, width: 4}}
score: {{images: 20, window: 3}}
resources: {{cpu: 2}}
results: {results}
"""


EPOCHS = 52  # the checkpoint is at epoch 50


@pytest.fixture
def on_s3(tmp_path: Path, patches: Patches) -> Path:
    """A study file whose data and results lie on S3."""
    where = place()
    write_patches(f"{where}/patches.parquet", patches)
    path = tmp_path / "tiny.yaml"
    path.write_text(STUDY.format(data=f"{where}/patches.parquet", results=f"{where}/results", epochs=4))
    return path


def test_a_study_on_s3_from_run_to_report(on_s3: Path) -> None:
    folder = on_s3.parent
    done = study("run", on_s3, folder=folder)
    assert done.returncode == 0, done.stderr
    assert "2 done; results in s3://" in done.stdout
    results = load_results(str(load(on_s3).folder))
    assert [results.status(trial.key) for trial in results.plan.trials] == ["done", "done"]
    assert {len(curve) for curve in results.curves.values()} == {4}
    report = study("report", on_s3, folder=folder)
    assert report.returncode == 0, report.stderr
    assert sorted(each.name for each in folder.iterdir()) == ["report.html", on_s3.name]  # nothing else lies here
    again = study("run", on_s3, folder=folder)
    assert (again.returncode, again.stdout) == (0, "nothing to do: 2 trials: 2 done\n")


class _NodeLost(BaseException):
    """What no trial catches."""


def trial_of(path: Path, folder: Uri | Path | None = None) -> Job:
    here = load(path)
    planned = trials(here)[1]
    where = folder if folder is not None else here.folder / "trials" / planned.key
    return replace(job(here, planned, here.source.source, where), features=path.parent / "features")


def curve_of(trial: Job) -> dict[str, list[object]]:
    import io

    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(Ledger(trial.folder).storage.read("curve.parquet")))
    return {name: values for name, values in table.to_pydict().items() if name != "seconds"}


@pytest.fixture(scope="module")
def undisturbed(patches_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[object]]:
    """The curve of the same trial in a folder here, without a break."""
    folder = tmp_path_factory.mktemp("undisturbed")
    path = folder / "tiny.yaml"
    path.write_text(STUDY.format(data=patches_file, results=folder / "results", epochs=EPOCHS))
    trial = trial_of(path)
    assert run(trial, lambda epoch: None)
    return curve_of(trial)


def stop_at(epoch: int, deed: Callable[[], None]) -> Callable[[object], None]:
    def watch(seen: object) -> None:
        if seen.epoch == epoch:  # type: ignore[attr-defined]
            deed()

    return watch


def node_lost() -> None:
    raise _NodeLost


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What this node keeps for itself; removed, it is another node."""
    monkeypatch.setattr(s3, "node_folder", lambda: tmp_path / "node")
    return tmp_path / "node"


def test_a_trial_goes_on_from_its_checkpoint_on_another_node(
    on_s3: Path, node: Path, undisturbed: dict[str, list[object]]
) -> None:
    on_s3.write_text(on_s3.read_text().replace("epochs: [4]", f"epochs: [{EPOCHS}]"))
    trial = trial_of(on_s3)
    with pytest.raises(_NodeLost):
        run(trial, stop_at(51, node_lost))
    assert [each.name for each in node.rglob("*.pt")] == []  # a node keeps no checkpoints of trials it ran
    shutil.rmtree(node)
    seen: list[int] = []
    assert run(trial, lambda epoch: seen.append(epoch.epoch))
    record = Ledger(load(on_s3).folder).trial(trial.planned.key).record()
    assert record is not None
    assert (record.status, record.epoch, len(record.attempts)) == ("done", EPOCHS, 2)
    assert curve_of(trial) == undisturbed


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Harm], FaultyProxy]]:
    """Puts a proxy that does harm between this process and the server."""
    proxies: list[FaultyProxy] = []

    def put(harm: Harm) -> FaultyProxy:
        proxies.append(FaultyProxy(start(), harm))
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxies[-1].url)
        monkeypatch.setattr(s3, "CONNECT_S", 1.0)
        s3._client.cache_clear()
        return proxies[-1]

    yield put
    for each in proxies:
        each.close()
    s3._client.cache_clear()


HARMS = (FAIL, LOSE, CUT, SLOW, DROP)


def test_a_bad_network_changes_nothing(proxied: Callable[[Harm], FaultyProxy]) -> None:
    where = place()
    proxied(lambda number, method: HARMS[number // 4 % len(HARMS)] if number % 4 == 3 else None)
    storage = S3(where)
    for number in range(8):
        content = bytes([number]) * 5000
        storage.write("a", content)
        assert storage.read("a") == content
        assert storage.list() == ["a"] if number == 0 else ["a", "made"]
        if number == 0:
            assert storage.create("made", b"once")
        assert not storage.create("made", b"twice")
    assert storage.read("made") == b"once"


@pytest.mark.parametrize("harm", [LOSE, FAIL])
def test_one_creates_even_where_answers_are_lost(harm: str, proxied: Callable[[Harm], FaultyProxy]) -> None:
    where = place()
    proxied(lambda number, method: harm if method == "PUT" and number % 3 == 0 else None)
    storage = S3(where)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda who: storage.create("lease/1", bytes([who])), range(4)))
    assert sum(made) == 1
    assert storage.read("lease/1") == bytes([made.index(True)])


def test_s3_that_does_not_answer_is_not_asked_for_ever(
    proxied: Callable[[Harm], FaultyProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """boto3 asks again by itself where nothing comes, and so must not be asked again by us."""
    where = place()
    monkeypatch.setattr(s3, "READ_S", 0.2)
    monkeypatch.setattr(s3, "PATIENCE_S", 0.1)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    proxy = proxied(lambda number, method: HANG)
    with pytest.raises(StorageError, match="cannot be read"):
        S3(where).read("a")
    assert proxy.count == 3


def test_patches_are_waited_for(
    on_s3: Path, tmp_path: Path, proxied: Callable[[Harm], FaultyProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial that cannot get its patches for a while is no failure of the trial."""
    trial = trial_of(on_s3, tmp_path / "trial")
    silent = threading.Event()
    proxied(lambda number, method: DROP if silent.is_set() else None)
    trainable._patches.cache_clear()
    answered = dataset._await
    silent.set()
    monkeypatch.setattr(dataset, "_await", lambda uri: silent.clear())
    assert run(trial, lambda epoch: None)
    silent.set()
    monkeypatch.setattr(dataset, "PATIENCE_S", -1.0)
    with pytest.raises(OSError, match="cannot be read") as raised:
        answered(str(trial.patches))
    assert is_storage_trouble(raised.value) and raised.value.filename == trial.patches


def test_s3_falls_silent_in_the_middle_of_a_trial(
    on_s3: Path,
    node: Path,
    undisturbed: dict[str, list[object]],
    proxied: Callable[[Harm], FaultyProxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The trial ends with what is wrong, is no failure, and goes on when S3 is back."""
    on_s3.write_text(on_s3.read_text().replace("epochs: [4]", f"epochs: [{EPOCHS}]"))
    trial = trial_of(on_s3)
    trial = replace(trial, patches=_copied(trial, on_s3.parent))
    silent = threading.Event()
    proxied(lambda number, method: DROP if silent.is_set() else None)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    s3._client.cache_clear()
    with pytest.raises(StorageError, match="cannot be"):
        run(trial, stop_at(51, silent.set))
    silent.clear()
    ledger = Ledger(load(on_s3).folder)
    record = ledger.trial(trial.planned.key).record()
    assert record is not None
    assert (record.status, record.epoch, record.cause) == ("running", 50, None)
    assert run(trial, lambda epoch: None)
    assert curve_of(trial) == undisturbed


def test_a_retry_leaves_no_checkpoint_that_cannot_be_continued(on_s3: Path, node: Path) -> None:
    """Not on S3 either, where the next attempt, without `--retry`, would meet it on another node."""
    trial = replace(trial_of(on_s3), retry=True)
    storage = storage_of(trial.folder)
    storage.write("checkpoint.pt", b"half a file")
    with pytest.raises(_NodeLost):
        run(trial, stop_at(1, node_lost))
    assert not storage.exists("checkpoint.pt")


def _copied(trial: Job, folder: Path) -> Path:
    """The trial's patches as a file here: pyarrow has retries of its own, which are not what is tested."""
    path = folder / "patches.parquet"
    path.write_bytes(S3(str(trial.patches).rpartition("/")[0]).read("patches.parquet"))
    return path


@pytest.mark.parametrize("command", ["status", "run"])
def test_no_s3_at_all_is_one_sentence(
    command: str, tmp_path: Path, patches_file: Path, proxied: Callable[[Harm], FaultyProxy]
) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(STUDY.format(data=patches_file, results="s3://nowhere/results", epochs=4))
    proxy = proxied(lambda number, method: DROP)
    os.environ["AWS_MAX_ATTEMPTS"] = "3"
    try:
        done = study(command, path, folder=tmp_path)
    finally:
        del os.environ["AWS_MAX_ATTEMPTS"]
    assert done.returncode == 1
    assert done.stderr.startswith("study: s3://nowhere/results/tiny")
    assert done.stderr.count("\n") == 1, done.stderr
    assert proxy.count >= 3  # tried again


@pytest.mark.parametrize("wrong", ["s3://", "s3:///results", "s3:/bucket/x", "gs://bucket/results", "s3://UPPER/x"])
def test_a_place_that_is_no_place(wrong: str, tmp_path: Path, patches_file: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(STUDY.format(data=patches_file, results=wrong, epochs=4))
    with pytest.raises(InputError, match=r"results: .* is neither a folder nor s3://bucket/folder"):
        load(path)


ODD = ["a b", "a%20b", "a\u0308", "a#b", "a?b", "a//b", "/a", "a//", "./a", "a/..", "a:b", "a\nb", "a\0b"]


@pytest.mark.parametrize("odd", ODD)
def test_a_key_that_reads_back_as_another_is_refused(odd: str, tmp_path: Path, patches_file: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(STUDY.format(data=patches_file, results=json.dumps(f"s3://bucket/{odd}"), epochs=4))
    with pytest.raises(InputError, match=r"tiny.yaml:10: results: .* cannot be read back .*; after the bucket use"):
        load(path)


@pytest.mark.parametrize("key", ["", "/", "/a", "/a/", "/.a/b..c/A_1=2+3-4"])
def test_a_key_that_is_allowed_is_read_where_it_was_written(key: str, tmp_path: Path, patches_file: Path) -> None:
    path = tmp_path / "tiny.yaml"
    results = place().rpartition("/")[0] + key
    path.write_text(STUDY.format(data=patches_file, results=results, epochs=4))
    folder = load(path).folder
    storage_of(folder).write("plan.json", b"here")
    assert (locate(str(folder)) / "plan.json").read_bytes() == b"here"


def test_what_is_fetched_lies_in_this_users_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints are kept in the temporary folder that all users share."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / f"study-{os.getuid()}"
    assert s3.node_folder() == folder and stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    assert s3.node_folder() == folder and stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="a link, a file, or another user's; remove it, or set TMPDIR") as raised:
        S3("s3://bucket/results").file("checkpoint.pt")
    assert is_storage_trouble(raised.value) and raised.value.filename == str(folder)
    others = os.getuid() + 1
    (tmp_path / f"study-{others}").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: others)
    with pytest.raises(PermissionError, match="another user's"):
        s3.node_folder()
