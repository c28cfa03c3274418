"""SIGKILL of a whole node at random instants: nothing is lost, nothing done twice to the end."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from study.ledger import Ledger
from study.plan import trials
from study.spec import load
from study.trainable import job, run

ROUNDS = 20
NODES = 2
EPOCHS = 60
STUDY = """\
study: nodes
data: {{source: {patches}, evaluation: 40}}
arms: {{bernoulli: {{prior: bernoulli}}, qcbm: {{prior: qcbm, gradient: exact, update_every: 2, train_epochs: 40}}}}
baseline: bernoulli
grid: {{latent_dim: [3], images: [16, 32], epochs: [{epochs}]}}
replicates: {replicates}
train: {{batch_size: 8, width: 4}}
score: {{images: 20, window: 3, draws: 50}}
resources: {{cpu: 1}}
results: {folder}/results
"""


# Ray reads how it authenticates when it is imported, so the cluster lives in a process of its own. A line with a
# number kills that node, with the processes of its trials, and puts a new one in its place.
CLUSTER = """
import os, signal, sys
from pathlib import Path
from ray.cluster_utils import Cluster

def below(pid):
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        own = [int(each) for task in tasks for each in (task / "children").read_text().split()]
    except OSError:
        return []
    return own + [each for child in own for each in below(child)]

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
nodes = [cluster.add_node(num_cpus=1, object_store_memory=80_000_000) for _ in range(int(sys.argv[1]))]
print(cluster.address, flush=True)
for line in sys.stdin:
    number = int(line)
    raylets = [each.process.pid for each in nodes[number].all_processes["raylet"]]
    for pid in raylets + [child for raylet in raylets for child in below(raylet)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    cluster.remove_node(nodes[number], allow_graceful=False)
    nodes[number] = cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
    print("killed", flush=True)
cluster.shutdown()
"""


@dataclass
class Nodes:
    """A head that runs no trials, and nodes of one CPU each."""

    process: "subprocess.Popen[str]"
    address: str

    def kill(self, number: int) -> None:
        """One node is gone at once; a new one has come when this returns."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "killed\n"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    with (tmp_path / "ray.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", CLUSTER, str(NODES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, (tmp_path / "ray.log").read_text()
        yield Nodes(process, address)
        process.communicate(timeout=120)  # its input ends


def sweep(path: Path, address: str, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "study", "run", str(path), "--address", address, *words]
    return subprocess.Popen(command, cwd=path.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def trials_run(path: Path) -> bool:
    """Whether some trial has begun and not ended."""
    ledger = Ledger(load(path).folder)
    return "running" in ledger.look(ledger.begun(), EPOCHS).states.values()


def curve(folder: Path) -> dict[str, Any]:
    table: dict[str, Any] = pq.read_table(folder / "curve.parquet").to_pydict()
    table.pop("seconds")
    return table


@pytest.mark.faults
def test_nodes_killed_at_random_instants(cluster: Nodes, tmp_path: Path, patches_file: Path) -> None:
    chance = random.Random(9)
    path = tmp_path / "nodes.yaml"
    kills, replicates = 0, 0
    while kills < ROUNDS:  # the study grows as long as there are nodes to kill
        replicates += 3
        path.write_text(STUDY.format(patches=patches_file, folder=tmp_path, replicates=replicates, epochs=EPOCHS))
        running = sweep(path, cluster.address, "--retry", "failed")
        while running.poll() is None:
            while running.poll() is None and not trials_run(path):
                time.sleep(0.1)
            time.sleep(chance.uniform(0, 4))
            if running.poll() is None and kills < ROUNDS:
                cluster.kill(chance.randrange(NODES))
                kills += 1
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
