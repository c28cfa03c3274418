"""How long the platform takes to look at a plan of 10,000 trials.

python -m benchmarks.ledger
"""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from analysis.records import SCHEMA, TrialRecord
from benchmarks.clock import machine
from study.estimate import estimate
from study.nodes import this_machine
from study.pace import from_ledger
from study.plan import Look, look

STUDY = """\
study: large
data: {{source: synthetic, microstructure: bainite, count: 12000, evaluation: 2000, seed: 0}}
arms: {{bernoulli: {{prior: bernoulli}}, qcbm: {{prior: qcbm, gradient: exact, update_every: 10, train_epochs: 100}}}}
baseline: bernoulli
grid: {{latent_dim: [8, 10, 12, 14, 16], images: [3000, 9000], epochs: [2000, 4000]}}
replicates: 500
results: {results}
"""


def best(what: Callable[[], object], repeats: int = 3) -> float:
    """Seconds of the fastest of some repeats."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        what()
        times.append(time.perf_counter() - start)
    return min(times)


def plan(file: Path) -> None:
    here = look(file)
    estimate(here, from_ledger(here), [this_machine(here.study.resources)], (5, 60, 60))


def finish(here: Look) -> None:
    """Every trial done, with the records that a real one leaves."""
    attempt = {
        "start": "2026-01-01T00:00:00.000+00:00", "last_seen": "2026-01-01T01:30:00.000+00:00", "host": "node",
        "place": "elsewhere", "process": 1, "gpu": "NVIDIA A100-SXM4-80GB", "gpus": 0.25, "usd_per_hour": 0.6,
        "checkpoint": 4000, "ended": "done",
    }  # fmt: skip
    packages = {f"package-{number}": "1.2.3" for number in range(10)}
    provenance = {"git": {"revision": "0" * 40, "dirty": False}, "packages": packages, "gpu": attempt["gpu"]}
    for each in here.planned:
        record = TrialRecord(
            each.key, "done", 4000, 4000, [attempt], None, [], "study trial", provenance, asdict(each.trial), 5400.0
        )
        folder = here.ledger.trial(each.key).storage
        folder.write("trial.json", json.dumps({"schema": SCHEMA, **vars(record)}, indent=1).encode())
        folder.write("curve.parquet", b"PAR1 only its ends are looked at PAR1")


def main() -> None:
    print(machine("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.yaml"
        file.write_text(STUDY.format(results=Path(folder) / "results"))
        here = look(file)
        print(f"plan of {len(here.planned)} trials, none begun: {best(lambda: plan(file)):.2f} s")
        finish(here)
        print(f"plan of {len(here.planned)} trials, all done:   {best(lambda: plan(file)):.2f} s")


if __name__ == "__main__":
    main()
