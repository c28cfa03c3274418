"""The cluster file for one's own machines, really brought up: two hosts with their own SSH servers."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from qgan.ebsd.dataset import Patches, write_patches
from study.ledger import Ledger
from study.plan import Planned, trials
from study.spec import Study, load
from study.trainable import Job, run

from .hosts import Host, Network, missing

ROOT = Path(__file__).parents[2]

STUDY = """\
study: two-hosts
data: {{source: {folder}/patches.parquet, evaluation: 40}}
arms: {{bernoulli: {{prior: bernoulli}}, qcbm: {{prior: qcbm, gradient: exact, update_every: 2, train_epochs: 4}}}}
baseline: bernoulli
grid: {{latent_dim: [3], images: [16], epochs: [{epochs}]}}
replicates: 2
train: {{batch_size: 8, width: 4}}
score: {{images: 20, window: 3}}
resources: {{cpu: 1}}
results: {folder}/results
"""


@dataclass
class Cluster:
    """What is up: two hosts, and a laptop that `ray up` is typed on."""

    network: Network
    head: Host
    worker: Host
    shared: Path

    def ray(self, *words: str, timeout: float = 120) -> str:
        """A `ray` command on the laptop; its output."""
        command = f"ray {words[0]} cluster-onprem.yaml {shlex.join(words[1:])}"
        done = self.network.run(command, timeout, **self.environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def study_run(self) -> "subprocess.Popen[str]":
        """`study run` on the head, typed on the laptop."""
        command = f"study run {self.shared}/study.yaml --address auto | cat; exit ${{PIPESTATUS[0]}}"
        return self.network.popen(f"ray exec cluster-onprem.yaml {shlex.quote(command)}", **self.environment)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.network.folder / "home"),
            "RAY_TMPDIR": str(self.network.folder),
            "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
            "PYTHONPATH": "",
            "RAY_UP_enable_autoscaler_v2": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
        }


def cluster_file(network: Network, head: Host, worker: Host) -> str:
    """The file as it is shipped, its blanks filled in; Python's environment is linked instead of installed."""
    config = yaml.safe_load((ROOT / "cluster-onprem.yaml").read_text())
    config["provider"].update(head_ip=head.address, worker_ips=[worker.address])
    config["auth"].update(ssh_user="root", ssh_private_key=str(network.key))
    config["file_mounts"]["~/steel-qgan"] = str(ROOT)
    installed = [number for number, line in enumerate(config["setup_commands"]) if "pip install" in line]
    config["setup_commands"][installed[0]] = (
        f"ln -sfn {(ROOT / '.venv').resolve()} ~/steel-qgan/.venv && "
        "echo 'export PYTHONPATH=$HOME/steel-qgan OMP_NUM_THREADS=1 AUTOSCALER_UPDATE_INTERVAL_S=1' >> ~/.bashrc"
    )
    return yaml.safe_dump(config, width=1000)


@pytest.fixture
def cluster(tmp_path: Path, patches: Patches) -> Iterator[Cluster]:
    reason = missing()
    if reason:
        pytest.skip(reason)
    shared = tmp_path / "shared"
    shared.mkdir()
    (tmp_path / "home").mkdir()
    network = Network(tmp_path)
    try:
        up = Cluster(network, network.host("head"), network.host("worker"), shared)
        (tmp_path / "cluster-onprem.yaml").write_text(cluster_file(network, up.head, up.worker))
        write_patches(shared / "patches.parquet", patches)
        made = network.run("ray get-auth-token --generate", **up.environment)
        assert made.returncode == 0, made.stderr
        up.ray("up", "-y", "--no-config-cache")
        yield up
    finally:
        network.close()


def test_a_sweep_over_two_hosts(cluster: Cluster) -> None:
    study, planned = plan(cluster, epochs=2)
    sweep = cluster.study_run()
    output, _ = sweep.communicate(timeout=240)
    assert sweep.returncode == 0, output
    assert "4 done" in output
    records = [Ledger(study.folder).trial(each.key).record() for each in planned]
    assert {record.attempts[0]["host"] for record in records if record} == {"head", "worker"}

    # /run is each host's own
    path = cluster.shared / "study.yaml"
    path.write_text(path.read_text().replace(f"results: {cluster.shared}", "results: /run"))
    refused = cluster.study_run()
    output, _ = refused.communicate(timeout=240)
    assert refused.returncode == 1, output
    assert "results: /run/results/two-hosts is not one folder for all nodes: worker does not see" in output
    assert "Traceback" not in output
    assert "trials to run" not in output


@pytest.mark.faults
def test_a_worker_is_killed_in_the_middle(cluster: Cluster) -> None:
    study, planned = plan(cluster, epochs=150)
    ledger = Ledger(study.folder)
    sweep = cluster.study_run()
    # epoch 50 has the checkpoint that a killed trial goes on from
    wait_for(lambda: [key for key in on(study, planned, "worker") if epoch(study, key) >= 50], "a trial on the worker")
    killed = on(study, planned, "worker")
    for process in cluster.worker.pids():
        os.kill(process, signal.SIGKILL)
    output, _ = sweep.communicate(timeout=240)
    assert sweep.returncode == 0, output
    assert "4 done" in output
    assert "Traceback" not in output
    for each in planned:
        record = ledger.trial(each.key).record()
        assert record is not None
        assert (len(record.attempts) > 1) == (each.key in killed)
        assert curve(study.folder / "trials" / each.key) == undisturbed(study, each, cluster.shared)

    cluster.ray("down", "-y")
    cluster.worker.run("ray stop --force")  # `ray down` stops the head alone; see docs/cluster.md
    wait_for(lambda: not cluster.head.pids() + cluster.worker.pids(), "an end of all processes")


def plan(cluster: Cluster, epochs: int) -> tuple[Study, list[Planned]]:
    """The study file in the shared folder; both hosts are there when this returns."""
    path = cluster.shared / "study.yaml"
    path.write_text(STUDY.format(folder=cluster.shared, epochs=epochs))
    study = load(path)
    wait_for(lambda: "2 local.cluster.node" in cluster.head.run("ray status").stdout, "two nodes")
    return study, trials(study)


def wait_for(condition: Callable[[], object], what: str, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.2)


def on(study: Study, planned: list[Planned], host: str) -> list[str]:
    """Keys of the trials whose last attempt was begun on `host` and has not ended."""
    records = [Ledger(study.folder).trial(each.key).record() for each in planned]
    return [each.key for each in records if each and each.status == "running" and each.attempts[-1]["host"] == host]


def epoch(study: Study, key: str) -> int:
    record = Ledger(study.folder).trial(key).record()
    return record.epoch if record else 0


def curve(folder: Path) -> dict[str, list[object]]:
    table = pq.read_table(folder / "curve.parquet")
    return {name: values for name, values in table.to_pydict().items() if name != "seconds"}


def undisturbed(study: Study, planned: Planned, shared: Path) -> dict[str, list[object]]:
    """The curve of the same trial, trained here and without a break."""
    job = Job(
        planned=planned,
        horizons=study.horizons,
        patches=shared / "patches.parquet",
        folder=shared / "undisturbed" / planned.key,
        features=study.results / "data",
        command="",
        cpus=1,
        gpus=0,
    )
    assert run(job, lambda epoch: None)
    return curve(job.folder)
