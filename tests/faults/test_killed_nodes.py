"""SIGKILL of a whole node at random instants: nothing is lost, nothing done twice to the end."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from ray.cluster_utils import Cluster

from study.ledger import Ledger
from study.plan import trials
from study.spec import load
from study.trainable import job, run

ROUNDS = 20
NODES = 2
STUDY = """\
study: nodes
data: {{source: {patches}, evaluation: 40}}
arms: {{bernoulli: {{prior: bernoulli}}, qcbm: {{prior: qcbm, gradient: exact, update_every: 2, train_epochs: 40}}}}
baseline: bernoulli
grid: {{latent_dim: [3], images: [16, 32], epochs: [60]}}
replicates: {replicates}
train: {{batch_size: 8, width: 4}}
score: {{images: 20, window: 3, draws: 50}}
resources: {{cpu: 1}}
results: {folder}/results
"""


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head that runs no trials, and nodes of one CPU each. Their processes are children of this one."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(NODES):
            add_node(made)
        yield made
    finally:
        made.shutdown()


def add_node(cluster: Cluster) -> Any:
    return cluster.add_node(num_cpus=1, object_store_memory=80_000_000)


def kill(cluster: Cluster, node: Any) -> None:
    """The node is gone at once, the processes of its trials with it."""
    raylets = [each.process.pid for each in node.all_processes["raylet"]]
    below = [child for pid in raylets for child in children(pid)]
    for pid in (*raylets, *below):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)


def children(pid: int) -> list[int]:
    """All processes below one, of every generation."""
    try:
        own = [
            int(each)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for each in (task / "children").read_text().split()
        ]
    except OSError:
        return []
    return [*own, *(each for child in own for each in children(child))]


def sweep(path: Path, address: str, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "study", "run", str(path), "--address", address, *words]
    return subprocess.Popen(command, cwd=path.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def curve(folder: Path) -> dict[str, Any]:
    table: dict[str, Any] = pq.read_table(folder / "curve.parquet").to_pydict()
    table.pop("seconds")
    return table


@pytest.mark.faults
def test_nodes_killed_at_random_instants(cluster: Cluster, tmp_path: Path, patches_file: Path) -> None:
    chance = random.Random(9)
    path = tmp_path / "nodes.yaml"
    kills, replicates = 0, 0
    while kills < ROUNDS:  # the study grows as long as there are nodes to kill
        replicates += 3
        path.write_text(STUDY.format(patches=patches_file, folder=tmp_path, replicates=replicates))
        running = sweep(path, cluster.address, "--retry", "failed")
        while running.poll() is None:
            until = time.monotonic() + chance.uniform(2, 12)
            while running.poll() is None and time.monotonic() < until:
                time.sleep(0.1)
            if running.poll() is None and kills < ROUNDS:
                kill(cluster, chance.choice(sorted(cluster.worker_nodes, key=id)))
                kills += 1
                add_node(cluster)
        assert running.stdout is not None
        output = running.stdout.read()
        assert "Traceback" not in output, output
        assert running.returncode in (0, 3), output
    running = sweep(path, cluster.address, "--retry", "failed")
    output, _ = running.communicate(timeout=300)
    assert running.returncode == 0, output

    study = load(path)
    ledger = Ledger(study.folder)
    lost = 0
    for each in trials(study):
        record = ledger.trial(each.key).record()
        assert record is not None
        assert record.status == "done"
        ends = [attempt["ended"] for attempt in record.attempts]
        assert ends.count("done") == 1
        assert ends[-1] == "done"
        lost += ends.count("lost")
        undisturbed = job(study, each, patches_file, tmp_path / "undisturbed" / each.key)
        assert run(undisturbed, lambda epoch: None)
        assert curve(study.folder / "trials" / each.key) == curve(tmp_path / "undisturbed" / each.key)
    assert lost >= ROUNDS // 2  # most kills hit a trial
