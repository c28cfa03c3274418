"""What thousands of trials on many nodes cost the launcher: fake nodes on this machine replay recorded curves.

Run with: python benchmarks/scale.py --nodes 16 --trials 1000 --seconds 1

Everything is real but the training: `study.launch.sweep`, the ledger with its files, Ray with one process per node and
slot. A trial replays the epochs of one that was trained before, over so many seconds. Nodes of one machine share its
cores, so what is measured here is an upper bound; a node of 64 takes about 110 MB, and its worker 100 MB more.
"""

import argparse
import os
import pickle
import resource
import sys
import tempfile
import time
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

EPOCHS = 40
STUDY = """\
study: scale
data: {{source: {folder}/patches.parquet, evaluation: 40}}
arms: {{bernoulli: {{prior: bernoulli}}, qcbm: {{prior: qcbm, gradient: exact}}}}
baseline: bernoulli
grid: {{latent_dim: [3, 4, 5, 6, 7], images: [16], epochs: [{epochs}]}}
replicates: {replicates}
train: {{batch_size: 8, width: 4}}
score: {{images: 20, window: 3}}
results: {folder}/results
"""
RECORDED, SECONDS = "STUDY_SCALE_RECORDED", "STUDY_SCALE_SECONDS"


def replay() -> None:
    """Run in every worker as it starts: training yields what was recorded, and torch (250 MB) stays out."""
    from study import trainable

    torch = types.SimpleNamespace(
        set_num_threads=lambda number: None, cuda=types.SimpleNamespace(is_available=lambda: False)
    )
    with open(os.environ[RECORDED], "rb") as file:
        rows = pickle.load(file)
    step = float(os.environ[SECONDS]) / len(rows)

    def train(*words: Any, **settings: Any) -> Any:
        del sys.modules["torch"]  # Ray would ask it for its types
        start = time.monotonic()
        for number, row in enumerate(rows, 1):
            time.sleep(max(0.0, start + number * step - time.monotonic()))
            yield types.SimpleNamespace(**row, seconds=time.monotonic() - start)

    training = types.SimpleNamespace(train=train, CheckpointError=type("CheckpointError", (Exception,), {}))
    run = trainable.run

    def run_replayed(*words: Any, **settings: Any) -> bool:
        sys.modules.update({"torch": torch, "qgan.training": training})  # type: ignore[dict-item]
        return run(*words, **settings)

    trainable.run = run_replayed


def main() -> None:
    """Print one row."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--nodes", type=int, default=16)
    words.add_argument("--trials", type=int, default=1000, help="a multiple of 10")
    words.add_argument("--seconds", type=float, default=1.0, help="length of a trial")
    asked = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ[SECONDS], os.environ[RECORDED] = str(asked.seconds), f"{folder}/recorded"
        path = _study(Path(folder), asked.trials)
        # Ray reads these when it is imported
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="0" * 64, OMP_NUM_THREADS="1", PYTHONPATH=os.getcwd())
        _run(path, asked.nodes, asked.trials, asked.seconds)


def _study(folder: Path, trials: int) -> Path:
    """A study of so many trials; one of its trials is trained and recorded, in a process of its own."""
    path = folder / "scale.yaml"
    path.write_text(STUDY.format(folder=folder, epochs=EPOCHS, replicates=trials // 10))
    child = os.fork()
    if child == 0:
        _record(folder, path)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise SystemExit("no curve was recorded")
    return path


def _record(folder: Path, path: Path) -> None:
    from qgan.ebsd import synthetic
    from qgan.ebsd.dataset import read_patches, write_patches
    from qgan.training import train
    from study.plan import trials
    from study.spec import load

    write_patches(folder / "patches.parquet", synthetic.generate("bainite", 120, 0, 12, processes=1))
    study = load(path)
    rows = []
    for epoch in train(trials(study)[1].trial, read_patches(folder / "patches.parquet"), horizons=study.horizons):
        rows.append({name: value for name, value in vars(epoch).items() if name not in ("seconds", "images")})
        rows[-1]["images"] = None
    (folder / "recorded").write_bytes(pickle.dumps(rows))


def _run(path: Path, nodes: int, trials: int, seconds: float) -> None:
    import ray
    from ray.cluster_utils import Cluster

    from study import connection, launch
    from study.gate import Gate
    from study.plan import look, record
    from study.trainable import job

    started = time.monotonic()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(nodes):
        cluster.add_node(num_cpus=1, object_store_memory=80_000_000, wait=False)
    cluster.wait_for_nodes()
    up = time.monotonic() - started
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
    ray.init(
        address=cluster.address,
        log_to_driver=False,
        runtime_env={"worker_process_setup_hook": replay, "env_vars": {k: os.environ[k] for k in (RECORDED, SECONDS)}},
    )
    here = look(path)
    connection.require_room(cluster.address, here.study.resources)
    here.ledger.write_plan(record(here.study, here.planned, path.parent / "patches.parquet"))
    with (lease := here.ledger.lease()).hold():
        gate = Gate(here.study.budget, 0, {}, lease)
        folders = here.study.folder / "trials"
        jobs = [job(here.study, each, path.parent / "patches.parquet", folders / each.key) for each in here.planned]
        before, cpu, wall = _rss_mb(), time.process_time(), time.monotonic()
        sys.stdout.flush()
        quiet = os.dup(1)
        with open(os.devnull, "w") as nowhere:  # a line for every trial
            os.dup2(nowhere.fileno(), 1)
            launch.sweep([replace(each, retry=False) for each in jobs], here, gate)
            os.dup2(quiet, 1)
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    records = here.again().now.records.values()
    attempts = [(each.attempts[0]["start"], each.attempts[-1]["last_seen"]) for each in records]
    from datetime import datetime

    first = min(datetime.fromisoformat(start) for start, _ in attempts)
    busy = sum((datetime.fromisoformat(e) - datetime.fromisoformat(s)).total_seconds() for s, e in attempts)
    span = (max(datetime.fromisoformat(end) for _, end in attempts) - first).total_seconds()
    processes = len({each.attempts[-1]["process"] for each in records})
    done = sum(each.status == "done" for each in records)
    if gate.closed is not None:
        print(f"stopped: {gate.closed.reason}")
    for cause in {each.cause["error"] for each in records if each.cause}:
        print(f"failed: {cause}")
    ideal = trials * seconds / nodes
    print(
        f"{nodes} nodes, {trials} trials of {seconds:g} s: {done} done in {processes} processes; "
        f"cluster up {up:.0f} s, sweep {wall:.0f} s (ideal {ideal:.0f} s, efficiency {ideal / wall:.2f}), from first "
        f"to last trial {span:.0f} s: slots busy "
        f"{busy / span / nodes:.0%}, {trials / span:.1f} trials/s; driver {1e3 * cpu / trials:.1f} ms CPU per trial, "
        f"{before:.0f} -> {_rss_mb():.0f} MB; load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores"
    )
    ray.shutdown()
    cluster.shutdown()


def _rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
