"""How long `study --help` and `study plan` of 10,000 trials take, each in a process of its own; torch stays out.

Run with: python benchmarks/commands.py
"""

import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPEATS = 5
STUDY = """\
study: large
data: {source: synthetic, microstructure: bainite, count: 10000, evaluation: 800}
arms:
  bernoulli: {prior: bernoulli}
  qcbm: {prior: qcbm}
baseline: bernoulli
grid: {latent_dim: [8, 10, 12, 14, 16], images: [1000, 2000, 3000, 6000, 9000], epochs: [2000, 4000]}
replicates: 200
score: {images: 400}
"""


def seconds(words: list[str], folder: str) -> float:
    """Median wall time of `study WORDS`, s; fails where the command fails or torch was imported."""
    script = (
        "import sys; from study.cli import main\n"
        f"try: main({words!r})\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules"
    )
    times = []
    for _ in range(REPEATS + 1):  # the first one warms the file cache
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, cwd=folder)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "large.yaml").write_text(STUDY)
        rows = [
            ("study --help", seconds(["--help"], folder), 0.5),
            ("study plan, 10,000 trials", seconds(["plan", "large.yaml"], folder), 2.0),
        ]
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, median of {REPEATS}")
    for name, measured, most in rows:
        print(f"{name:30} {measured:6.2f} s   (at most {most:g} s)")


if __name__ == "__main__":
    main()
