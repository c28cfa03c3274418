"""What Ray and the ledger add to trials: seconds between one trial's end and the next one's start in each worker.

    python -m benchmarks.overhead --trials 12 --epochs 150

Reads what `study run` has left in trial.json. A trial of 60 s is the yardstick: overhead / (60 s + overhead).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from statistics import fmean, median

from benchmarks.clock import machine

STUDY = """\
study: overhead
data: {{source: synthetic, microstructure: bainite, count: 900, patch: 32, evaluation: 512, seed: 0}}
arms: {{bernoulli: {{prior: bernoulli}}}}
baseline: bernoulli
grid: {{latent_dim: [6], images: [256], epochs: [{epochs}]}}
replicates: {trials}
train: {{batch_size: 32, width: 16}}
score: {{images: 256, window: 10}}
resources: {{cpu: 1}}
results: {folder}/results
"""
YARDSTICK_S = 60.0


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=60)
    chosen = parser.parse_args()
    print(machine("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "overhead.yaml"
        file.write_text(STUDY.format(folder=folder, trials=chosen.trials, epochs=chosen.epochs))
        words = [sys.executable, "-m", "study", "trial", str(file), "--arm", "bernoulli", "--epochs", "1"]
        subprocess.run(words, check=True, capture_output=True)  # makes patches and feature network
        begin = time.time()
        subprocess.run([sys.executable, "-m", "study", "run", str(file)], check=True, capture_output=True)
        wall = time.time() - begin
        slots: dict[int, list[tuple[float, float]]] = defaultdict(list)
        trained = []
        for path in Path(folder).glob("results/overhead/trials/*/trial.json"):
            record = json.loads(path.read_text())
            (attempt,) = record["attempts"]
            slots[attempt["process"]].append((seconds(attempt["start"]), seconds(attempt["last_seen"])))
            trained.append(record["seconds"])
    lasted = [end - start for times in slots.values() for start, end in times]
    gaps = [
        later[0] - earlier[1]
        for times in slots.values()
        for earlier, later in zip(sorted(times), sorted(times)[1:], strict=False)
    ]
    first = min(start for times in slots.values() for start, _ in times) - begin
    print(f"{len(lasted)} trials in {len(slots)} workers, {wall:.1f} s; the first one began after {first:.1f} s")
    print(f"a trial lasted {median(lasted):.2f} s, {median(trained):.2f} s of them training")
    if gaps:
        each = fmean(gaps)
        print(f"between two trials of a worker: mean {each:.3f} s, median {median(gaps):.3f} s, most {max(gaps):.3f} s")
        print(
            f"overhead here {each / (each + fmean(lasted)):.2%}; of a trial of 60 s {each / (each + YARDSTICK_S):.2%}"
        )


if __name__ == "__main__":
    main()
