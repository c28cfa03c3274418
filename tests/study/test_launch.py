"""What the launcher makes of workers that die, and how many trials it lets wait."""

import errno
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
import yaml
from ray.air.execution._internal.tracked_actor import TrackedActor
from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
from ray.train._internal.storage import StorageContext
from ray.tune.execution import tune_controller
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.utils.callback import _create_default_callbacks

from analysis.records import TrialRecord
from analysis.tables import read_curve
from qgan.errors import InputError
from study import cluster, connection, trainable
from study.estimate import passed_horizons
from study.gate import Gate
from study.launch import _signals
from study.ledger import Snapshot, TrialFolder
from study.nodes import Node
from study.outcomes import Outcomes
from study.plan import Look, look
from study.progress import Progress, duration
from study.sections import Budget, Resources
from study.spending import Spent
from study.storage import StorageError
from study.trainable import job
from study.tuning import Scheduler, notes_folder


@pytest.fixture
def here(study_file: Path) -> Look:
    return look(study_file)


@pytest.fixture
def watch(here: Look, patches_file: Path) -> Outcomes:
    study = here.study
    jobs = {each.key: job(study, each, patches_file, study.folder / "trials" / each.key) for each in here.planned}
    lease = here.ledger.lease()
    assert lease.acquire()
    return Outcomes(jobs, here, Progress(here, list(jobs)), Gate(study.budget, 0.0, here.now.records, lease))


def died(key: str, error: Exception | None = None) -> Any:
    """A trial as Tune shows it once its process has died, back in the queue."""
    trial = Trial("_run_on_worker", config={"key": key}, stub=True, storage=_storage())
    trial.init_local_path()
    trial.handle_error(error or ray.exceptions.RayActorError())
    return trial


def waiting(keys: Iterable[str]) -> list[Any]:
    """Trials in Tune's queue."""
    return [Trial("_run_on_worker", config={"key": key}, stub=True) for key in keys]


def chosen(watch: Outcomes, trials: list[Any]) -> tuple[str | None, list[str]]:
    """The key of the trial that the scheduler starts, and those that it takes back."""
    back: list[str] = []
    controller = SimpleNamespace(
        get_live_trials=lambda: trials, stop_trial=lambda trial: back.append(trial.config["key"])
    )
    found = Scheduler(watch.jobs, watch.gate, watch.settled).choose_trial_to_run(controller)
    return (None if found is None else found.config["key"]), back


class _Storage(StorageContext):  # type: ignore[misc]
    """Where Tune keeps what a trial raised, without a Ray session."""

    @property
    def experiment_driver_staging_path(self) -> str:
        return str(self.storage_fs_path)


def _storage() -> _Storage:
    return _Storage(tempfile.mkdtemp(prefix="tune-"), "sweep", trial_dir_name="trial")


def begin(watch: Outcomes, key: str, checkpoint: int | None) -> None:
    """An attempt as the worker records it."""
    folder: TrialFolder = watch.ledger.trial(key)
    record = folder.begin(key, trial={}, command="study trial", provenance={})
    record.attempts[-1]["checkpoint"] = checkpoint
    folder.write_record(record)


def record(watch: Outcomes, key: str) -> TrialRecord:
    found = watch.ledger.trial(key).record()
    assert found is not None
    return found


def test_three_attempts_in_a_row_without_a_checkpoint_are_a_failure(watch: Outcomes) -> None:
    key = next(iter(watch.jobs))
    for checkpoint in (None, None, 3, None, None):
        begin(watch, key, checkpoint)
        watch.on_trial_recover(0, [], died(key))
        assert record(watch, key).status == "running"
        assert key not in watch.settled
    begin(watch, key, None)
    watch.on_trial_recover(0, [], died(key))
    failure = record(watch, key)
    assert failure.status == "failed"
    assert failure.cause is not None
    assert "3 times in a row without a new checkpoint" in failure.cause["error"]
    assert key in watch.settled  # and the scheduler takes it out of Tune's queue:
    assert chosen(watch, waiting([key])) == (None, [key])
    watch.on_trial_complete(0, [], died(key))
    assert watch.progress.states[key] == "failed"  # as it was before it was taken back


def test_waiting_trials_start_in_the_plans_order_until_the_gate_closes(watch: Outcomes) -> None:
    keys = list(watch.jobs)
    assert chosen(watch, waiting(reversed(keys))) == (keys[0], [])
    started = waiting(keys[:1])
    started[0].temporary_state.ray_actor = object()  # its process is being made ready
    assert chosen(watch, [*started, *waiting(keys[2:])]) == (keys[2], [])
    watch.settled.add(keys[0])  # the gate is asked although a trial has ended
    watch.gate.budget = Budget(gpu_hours=1e-9)
    watch.gate.total = Spent(1.0, 0.0)
    assert chosen(watch, waiting(keys[1:])) == (None, keys[1:])
    assert watch.gate.closed is not None


def test_a_worker_that_dies_before_it_begins_costs_nothing(watch: Outcomes) -> None:
    """A budget in US dollars needs the price of what was used, and nothing was."""
    key = next(iter(watch.jobs))
    watch.jobs[key] = replace(watch.jobs[key], gpus=1.0)
    watch.gate.budget = Budget(usd=100.0)
    watch.on_trial_error(0, [], died(key))
    assert watch.gate.check()


def test_a_worker_that_dies_before_it_begins_counts_too(watch: Outcomes) -> None:
    key = next(iter(watch.jobs))
    for expected in ("running", "running", "failed"):
        watch.on_trial_error(0, [], died(key))
        assert record(watch, key).status == expected
    assert [attempt["ended"] for attempt in record(watch, key).attempts] == ["lost", "lost", "failed"]


def test_a_worker_that_dies_after_its_last_word_has_done_its_work(watch: Outcomes) -> None:
    key = next(iter(watch.jobs))
    begin(watch, key, 6)
    folder = watch.ledger.trial(key)
    done = record(watch, key)
    done.attempts[-1]["ended"] = "done"
    folder.write_record(TrialRecord(**{**vars(done), "status": "done", "horizon": 6, "epoch": 6}))
    watch.on_trial_recover(0, [], died(key))
    assert record(watch, key).status == "done"
    assert key in watch.settled
    assert watch.gate.ended == 1


@pytest.mark.parametrize("kind", ["OutOfMemoryError", "NodeDiedError"])
def test_a_worker_that_the_memory_monitor_kills_has_died_like_any_other(watch: Outcomes, kind: str) -> None:
    """Ray's own manager raises there, and the sweep would end with it."""
    key = next(iter(watch.jobs))
    begin(watch, key, None)
    resources = SimpleNamespace(free_resources=lambda acquired_resource: None)
    manager = tune_controller.RayActorManager(resource_manager=resources)
    died_of: list[Exception] = []
    actor = TrackedActor(0, on_error=lambda _, error: None)
    manager._live_actors_to_ray_actors_resources[actor] = (None, None)
    task = TrackedActorTask(actor, on_error=lambda _, error: died_of.append(error))
    manager._actor_task_failed(task, getattr(ray.exceptions, kind)("low on memory"))
    assert manager.is_actor_failed(actor)
    watch.on_trial_recover(0, [], died(key, died_of[0]))
    assert record(watch, key).status == "running"
    assert record(watch, key).attempts[-1]["ended"] == "lost"


@pytest.mark.parametrize(
    ("signals", "budget", "ends"),
    [
        ([signal.SIGINT], False, False),
        ([signal.SIGINT], True, False),  # the budget has closed the gate: one press drains all the same
        ([signal.SIGINT, signal.SIGINT], False, True),
        ([signal.SIGTERM], False, True),
    ],
)
def test_one_ctrl_c_drains_and_a_second_one_ends_tune_once_it_listens(
    watch: Outcomes, signals: list[signal.Signals], budget: bool, ends: bool
) -> None:
    if budget:
        watch.gate.close("budget.usd = 1 is used up", 4)
    heard: list[int] = []
    with _signals(watch):
        for each in signals:
            os.kill(os.getpid(), each)  # Tune does not listen yet: its signal would kill this process
        assert not watch.gate.check()
        before = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
        watch.on_step_end(0, [])
        signal.signal(signal.SIGUSR1, before)
    assert bool(heard) == ends


def test_an_error_of_the_program_is_a_failure_at_once(watch: Outcomes) -> None:
    key = next(iter(watch.jobs))
    begin(watch, key, None)
    raised = ray.exceptions.RayTaskError("train", "first line\nValueError: last line", ValueError("last line"))
    watch.on_trial_error(0, [], died(key, raised))
    failure = record(watch, key)
    assert failure.cause is not None
    assert failure.cause["error"] == "ValueError: last line"
    assert "first line" in failure.cause["log"]


def test_a_finished_trial_of_an_earlier_horizon_is_not_taken_for_this_launchs(watch: Outcomes) -> None:
    key = next(iter(watch.jobs))
    begin(watch, key, 3)
    watch.attempts[key] = 1  # as it was when the launch began
    watch._take_note(key, {})
    assert key not in watch.settled
    assert watch.progress.states[key] == "pending"


def test_results_that_cannot_be_kept_close_the_gate(watch: Outcomes) -> None:
    trouble = {"trouble": "results/x: No space left on device"}
    trial = SimpleNamespace(config={"key": next(iter(watch.jobs))}, last_result=trouble)
    watch.on_trial_complete(0, [], trial)
    assert watch.gate.closed is not None
    assert watch.gate.closed.exit_code == 1


def test_tune_prints_nothing_of_its_own(watch: Outcomes) -> None:
    """Not even where a trial is taken back."""
    assert [each for each in _create_default_callbacks([watch]) if isinstance(each, TrialProgressCallback)] == [watch]


def test_what_killed_launchers_left_of_tune_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with notes_folder() as mine:
        running = Path(mine)
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        left = running.with_name(running.name.replace(f"-{os.getpid()}-", f"-{ended.pid}-"))
        (left / "sweep").mkdir(parents=True)
        with notes_folder() as other:
            assert {*tmp_path.iterdir()} == {running, Path(other)}
    assert not any(tmp_path.iterdir())


def test_time_left_adds_up(here: Look) -> None:
    keys = list(here.states)
    progress = Progress(here, keys)
    assert set(progress.seconds_left().values()) == {None}
    each = here.planned[0]  # 16 images; the other cell has 32
    for other in here.planned[:2]:
        progress.epoch(other.key, 2, 2 * 3.0 if other is each else 2 * 6.0, 1.0)
    left = progress.seconds_left()
    shared = {place: sum((other.cell_name, other.arm) == place for other in here.planned) for place in left}
    assert set(shared.values()) == {2}
    place = each.cell_name, each.arm
    assert left[place] == pytest.approx((4 + 6) * 3.0 / 2)  # two at once
    assert all(seconds is not None for seconds in left.values())
    progress.ended(each.key, "done", "")
    assert progress.seconds_left()[place] == pytest.approx(6 * 3.0)  # one at once


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (42.4, "42 s"), (89, "89 s"), (90, "2 min"), (7200, "2.0 h"), (2e5, "2.3 days")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_later_attempt_supersedes_an_earlier_one(watch: Outcomes) -> None:
    from study.ledger import Superseded

    key = next(iter(watch.jobs))
    folder: TrialFolder = watch.ledger.trial(key)
    first = folder.begin(key, trial={}, command="study trial", provenance={})
    folder.require_current(first)
    second = folder.begin(key, trial={}, command="study trial", provenance={})
    folder.require_current(second)
    with pytest.raises(Superseded):
        folder.require_current(first)


def test_a_superseded_attempt_that_fails_leaves_the_later_ones_word(watch: Outcomes) -> None:
    """A worker that was taken for dead comes back and meets an error."""
    job = next(iter(watch.jobs.values()))
    folder: TrialFolder = watch.ledger.trial(job.planned.key)

    def taken_over(epoch: Any) -> None:
        if epoch.epoch == 2:
            assert trainable.run(job, lambda epoch: None)
            raise RuntimeError("a late fault")

    assert not trainable.run(job, taken_over)
    record = folder.record()
    assert record is not None
    assert (record.status, record.epoch, len(record.attempts), record.cause) == ("done", 6, 2, None)
    assert len(read_curve(watch.ledger.folder / "trials" / job.planned.key / "curve.parquet")) == 6


def test_a_horizon_that_joins_when_trials_are_past_it_is_told(here: Look, watch: Outcomes) -> None:
    job = next(iter(watch.jobs.values()))
    assert trainable.run(job, lambda epoch: None)
    assert record(watch, job.planned.key).horizons == [6]
    assert passed_horizons(here.again()) == []
    shorter = replace(here.again(), study=replace(here.study, horizons=[2, 6]))
    (told,) = passed_horizons(shorter)
    assert told.startswith("horizon 2 is new to 1 trial that was past it already: there are no full scores")
    assert trainable.run(replace(job, horizons=[2, 4, 8]), lambda epoch: None)
    assert record(watch, job.planned.key).horizons == [6, 8]


def test_a_worker_whose_torch_sees_no_gpu_does_not_train_on_the_cpu(
    watch: Outcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    job = replace(next(iter(watch.jobs.values())), gpus=0.5)
    assert not trainable.run(job, lambda epoch: None, gpu_needed=True)
    failure = record(watch, job.planned.key)
    assert failure.cause is not None
    assert re.match(f"{socket.gethostname()}: torch .* sees no GPU there.* gpu 0.5; ", failure.cause["error"])


def test_a_snapshot_counts_trials_that_are_not_planned(here: Look, watch: Outcomes) -> None:
    begin(watch, "f" * 16, None)
    now: Snapshot = here.again().now
    assert "f" * 16 in now.records
    assert "f" * 16 not in now.states


def test_a_trial_waits_for_every_slot_that_is_there_or_may_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tune lets a searcher have one trial waiting, so it would start the processes of a cluster one after the other."""
    monkeypatch.setenv("TUNE_MAX_PENDING_TRIALS_PG", "auto")
    monkeypatch.delenv("TUNE_MAX_PENDING_TRIALS_PG")
    monkeypatch.setattr(cluster, "nodes", lambda: [Node(4, 0)] * 8)
    monkeypatch.setattr(cluster, "growth", lambda: [Node(8, 0)] * 2)
    connection.require_room("auto", Resources(cpu=2))
    assert os.environ["TUNE_MAX_PENDING_TRIALS_PG"] == "25"


def test_results_on_a_disk_of_the_head_are_refused_before_nodes_come(
    here: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster.own_disk(Path("/proc")) is None
    monkeypatch.setattr(cluster, "growth", lambda: [Node(8, 1)])
    monkeypatch.setattr(cluster, "own_disk", lambda folder: "ext4" if folder == here.study.folder.absolute() else None)
    with pytest.raises(InputError, match=r"results: .*tiny lies on a disk of .* \(ext4\), .* s3://bucket/folder"):
        cluster.require_shared(here.study)


def test_a_copy_of_the_results_is_not_taken_for_them(
    here: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ray up` sends the project's folder to every node, an earlier run's results with it."""
    monkeypatch.setattr(cluster, "_SEEN_WITHIN_S", 0.0)
    results, copy = tmp_path / "results", tmp_path / "copy"
    patches = Path(here.study.source.source)
    with cluster.marked(results):
        pass
    with cluster.marked(results) as mark:
        shutil.copytree(results, copy)
    with cluster.marked(results) as mark:
        cluster.require_seen(results, mark, patches)
        with pytest.raises(StorageError, match=f"not seen by the node {socket.gethostname()}"):
            cluster.require_seen(copy, mark, patches)
        with pytest.raises(StorageError, match="not seen by") as raised:
            cluster.require_seen(results, mark, tmp_path / "nothing.parquet")
        assert raised.value.filename == str(tmp_path / "nothing.parquet")
    assert not any((results / "seen").iterdir())


def test_a_mark_stays_while_the_command_that_made_it_runs(tmp_path: Path) -> None:
    """`study qpu` looks whether nodes see the results in the middle of a sweep, which goes on adding nodes."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    with cluster.marked(tmp_path) as sweep:
        left = tmp_path / sweep.replace(f"-{os.getpid()}-", f"-{dead.pid}-")
        elsewhere = tmp_path / "seen" / f"00000000-{dead.pid}-0"
        for path in (left, elsewhere):
            path.write_bytes(b"")
        with cluster.marked(tmp_path) as other:
            assert (tmp_path / sweep).exists() and (tmp_path / other).exists()
        assert (tmp_path / sweep).exists() and elsewhere.exists() and not left.exists()


def test_results_that_cannot_be_read_end_the_sweep_with_a_sentence(
    watch: Outcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = next(iter(watch.jobs))

    def silent(folder: TrialFolder) -> None:
        raise StorageError(errno.EIO, "cannot be read (no answer)", "s3://bucket/trial.json")

    monkeypatch.setattr(TrialFolder, "record", silent)
    watch.on_trial_recover(1, [], died(key))
    assert watch.gate.closed is not None
    assert watch.gate.closed.reason == "s3://bucket/trial.json: cannot be read (no answer)"


def test_how_far_a_cluster_of_ray_up_may_grow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From the file that `ray up` leaves on the head, with the resources that it has filled in."""
    config = yaml.safe_load(Path("cluster.yaml").read_text())
    (worker,) = [name for name in config["available_node_types"] if name != config["head_node_type"]]
    config["available_node_types"][worker] |= {"resources": {"CPU": 16, "GPU": 1}, "max_workers": 6}
    monkeypatch.setattr(cluster, "BOOTSTRAP", tmp_path / "bootstrap.yaml")
    alive = [{"Alive": True}, {"Alive": True}, {"Alive": False}]  # the head, one worker, and one that was lost
    monkeypatch.setattr("ray.nodes", lambda: alive)
    assert cluster.growth() == []
    cluster.BOOTSTRAP.write_text(yaml.safe_dump(config | {"max_workers": 4}))
    assert cluster.growth() == [Node(16, 1)] * 3
