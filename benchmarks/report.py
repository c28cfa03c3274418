"""How fast a study of 600 trials and 4,000 epochs is read, drawn and reported: 5 arms, 12 cells, 10 replicates.

    python benchmarks/report.py [--folder /tmp/ledger] [--epochs 4000] [--replicates 10]

The ledger is synthetic, with a planted improvement per arm (see `analysis.synthetic`), and is written to the folder
unless it is there already. Every row is a process of its own: wall time with its imports, and peak memory. `final
scores` is the mean MMD of the last 100 epochs of every trial, imports left out; `drawn` is a figure of results that are
loaded already, as in a notebook.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from analysis.figures.catalogue import CATALOGUE
from analysis.synthetic import write_study

ARMS = {"bernoulli": 0.0, "qcbm": 30.0, "frozen": 5.0, "marginals": 20.0, "gaussian": -15.0}
CELLS = [{"latent_dim": n, "images": images} for n in (8, 10, 12, 14, 16, 18) for images in (3000, 9000)]
READ = """
import time
from pathlib import Path
from analysis.final_scores import final_scores
from analysis.results import load
start = time.perf_counter()
scores = final_scores(load(Path({folder!r})))
assert (scores["state"] == "scored").all()
print(time.perf_counter() - start)
"""
DRAW = """
import time
from pathlib import Path
from analysis.figures.catalogue import draw
from analysis.figures.files import save
from analysis.results import load
results = load(Path({folder!r}))
start = time.perf_counter()
drawn = draw(results, {name!r})
save(drawn.figure, drawn.frame, Path({folder!r}) / "drawn.svg")
print(time.perf_counter() - start)
"""


def ledger(folder: Path, epochs: int, replicates: int) -> Path:
    """The study's folder, written where it is missing."""
    if not (folder / "plan.json").exists():
        write_study(
            folder,
            improvements=ARMS,
            cells=CELLS,
            replicates=dict.fromkeys(ARMS, range(replicates)),
            horizons=[epochs // 2, epochs],
            window=100,
            noise=0.1,
            scores=True,
            size=60,
            kept=16,
        )
    return folder


def run(words: list[str]) -> tuple[float, float, str]:
    """Wall time in s, peak memory in GB and output of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)}: exit status {status}")
    return time.perf_counter() - start, usage.ru_maxrss / (1e6 if sys.platform != "darwin" else 1e9), output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--epochs", type=int, default=4000)
    parser.add_argument("--replicates", type=int, default=10)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = ledger(chosen.folder or Path(temporary) / "large", chosen.epochs, chosen.replicates)
        trials = len(ARMS) * len(CELLS) * chosen.replicates
        load = os.getloadavg()[0]
        print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, "
              f"Python {platform.python_version()}; {trials} trials of {chosen.epochs} epochs")  # fmt: skip
        print("\n| what | s | GB | drawn, s |\n|---|---|---|---|")
        read = [run([sys.executable, "-c", READ.format(folder=str(folder))]) for _ in range(3)]
        print(f"| final scores | {min(float(output) for _, _, output in read):.2f} | {read[0][1]:.2f} | |")
        page = folder / "report.html"
        command = [sys.executable, "-m", "study", "report", str(folder), "-o"]
        seconds, memory, _ = run([*command, str(page)])
        print(f"| report, {page.stat().st_size / 1e6:.1f} MB | {seconds:.1f} | {memory:.2f} | |", flush=True)
        for name in CATALOGUE:
            picture = folder / f"{name}.svg"
            seconds, memory, _ = run([*command, str(picture), "--figure", name])
            _, _, drawn = run([sys.executable, "-c", DRAW.format(folder=str(folder), name=name)])
            size = picture.stat().st_size / 1e6
            print(f"| {name}, {size:.2f} MB | {seconds:.1f} | {memory:.2f} | {float(drawn):.1f} |", flush=True)


if __name__ == "__main__":
    main()
