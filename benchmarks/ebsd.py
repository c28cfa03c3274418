"""The way from a scan to a tensor: seconds per megapixel, synthetic patches, memory of large files, loading.

Run with: python -m benchmarks.ebsd [--count 10000] [--stream-gb 1] [--only chain synthetic loading streaming]
Each measurement runs in a process of its own, so that its peak memory is its own.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from qgan.ebsd import synthetic_maps
from qgan.ebsd.channels import kernel_average, ks_deviation
from qgan.ebsd.cleaning import clean
from qgan.ebsd.dataset import read_patches
from qgan.ebsd.grains import segment
from qgan.ebsd.patches import cut_scan, windows
from qgan.ebsd.readers import read_scan
from qgan.ebsd.scan import Scan
from qgan.ebsd.settings import Settings
from qgan.ebsd.synthetic import generate
from qgan.ebsd.unpacked import node_patches

REPEATS = 5


def chain(arguments: argparse.Namespace) -> None:
    """The whole chain of a map of 1000 x 1000, and its parts: wall time, processor time of all threads, first call."""
    for microstructure in ("ferrite", "bainite"):
        scan = synthetic_maps.synthetic_map(microstructure, 1000, 0.25, np.random.default_rng(0), "map")
        for name, part in _parts(scan).items():
            walls, processor = [], []
            for _ in range(REPEATS + 1):
                start = time.perf_counter(), time.process_time()
                part()
                walls.append(time.perf_counter() - start[0])
                processor.append(time.process_time() - start[1])
            most = "   (at most 1.0 s)" if name == "whole chain" else ""
            print(
                f"{microstructure:8} {name:14} {np.median(walls[1:]):6.2f} s  shortest {min(walls[1:]):.2f}, "
                f"processor {np.median(processor[1:]):.2f}, first call {walls[0]:.2f}{most}"
            )


def _parts(scan: Scan) -> dict[str, Callable[[], object]]:
    settings = Settings()
    cleaned = clean(scan, settings)
    grains = segment(cleaned.orientations, cleaned.phase, settings.grain_angle_deg)
    return {
        "whole chain": lambda: cut_scan(scan, settings),
        "clean": lambda: clean(scan, settings),
        "grains": lambda: segment(cleaned.orientations, cleaned.phase, settings.grain_angle_deg),
        "KAM": lambda: kernel_average(cleaned, grains, settings),
        "KS deviation": lambda: ks_deviation(cleaned, grains, settings),
        "windows": lambda: windows(grains, settings),
    }


def synthetic(arguments: argparse.Namespace) -> None:
    """`--count` patches of 60 x 60, half of each microstructure, in two processes."""
    total = 0.0
    for microstructure in ("ferrite", "bainite"):
        start = time.perf_counter()
        patches = generate(microstructure, arguments.count // 2, 0, 60, processes=2)
        took = time.perf_counter() - start
        total += took
        print(f"{microstructure:8} {len(patches)} patches of {len(patches.footer.cleaning)} maps {took:6.1f} s")
    print(f"{arguments.count} patches {total:6.1f} s   (10,000: at most 60 s)")


def loading(arguments: argparse.Namespace) -> None:
    """Parquet to one array: time, and peak memory against its size; then from the node's copy."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "patches.parquet")
        script = "write_patches({!r}, generate('bainite', {}, 0, 60, processes=2))"
        imports = "from qgan.ebsd.dataset import write_patches\nfrom qgan.ebsd.synthetic import generate\n"
        code = f"{imports}if __name__ == '__main__':\n    {script.format(str(path), arguments.count)}"
        Path(folder, "make.py").write_text(code)
        subprocess.run([sys.executable, f"{folder}/make.py"], check=True)
        before = _resident()
        start = time.perf_counter()
        patches = read_patches(path)
        took = time.perf_counter() - start
        size = patches.images.nbytes
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(f"{len(patches)} patches, {size / 1e6:.0f} MB: {took:.2f} s, peak {peak / size:.2f} of their size")
        print("   (10,000: at most 1 s and 1.2)")
        for what in ("unpacked once", "mapped again"):
            start = time.perf_counter()
            node_patches(path, Path(folder, "copies"))
            print(f"node's copy, {what}: {time.perf_counter() - start:.3f} s")


def streaming(arguments: argparse.Namespace) -> None:
    """Peak memory of reading a large .ctf file against the columns kept."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.ctf")
        side = int(np.sqrt(arguments.stream_gb * 1e9 / 60))
        with path.open("w") as file:
            file.write("Channel Text File\nPhases\t1\n2.866;2.866;2.866\t90;90;90\tIron bcc\t11\t229\n")
            file.write("Phase\tX\tY\tBands\tError\tEuler1\tEuler2\tEuler3\tMAD\tBC\tBS\n")
            for row in range(side):
                tail = f"\t{row / 2:.4f}\t8\t0\t{row % 360:.4f}\t45.1234\t12.3456\t0.5000\t120\t90\n"
                file.write("".join(f"1\t{column / 2:.4f}{tail}" for column in range(side)))
        before = _resident()
        start = time.perf_counter()
        scan = read_scan(path)
        took = time.perf_counter() - start
        kept = scan.euler.nbytes + scan.phase.nbytes + scan.quality.nbytes
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(
            f".ctf of {path.stat().st_size / 1e9:.2f} GB, {scan.phase.size / 1e6:.1f} million points: {took:.0f} s, "
            f"peak {peak / 1e6:.0f} MB, {peak / kept:.2f} of the {kept / 1e6:.0f} MB kept   (at most 3)"
        )


def _resident() -> int:
    """Memory of this process now, bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


MEASUREMENTS = {each.__name__: each for each in (chain, synthetic, loading, streaming)}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--stream-gb", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS))
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        MEASUREMENTS[arguments.only[0]](arguments)
        return
    load = os.getloadavg()[0]
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, numpy {np.__version__}"
    )
    words = ["--count", str(arguments.count), "--stream-gb", str(arguments.stream_gb), "--here"]
    for name in arguments.only:
        print(f"\n{name}", flush=True)
        subprocess.run([sys.executable, "-m", "benchmarks.ebsd", *words, "--only", name], check=True)


if __name__ == "__main__":
    main()
