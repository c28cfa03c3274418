"""How long 600 trials of 4,000 epochs on S3 take to look through and to read for a report, beside a local folder.

Run with: python benchmarks/scale_s3.py

The server is moto's, in a process of its own on this machine; it answers from memory and shares the cores. A real
bucket answers later (10 to 50 ms a request) and many requests at a time.
"""

import argparse
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

BUCKET, MOST_S = "benchmark", 10.0


def main() -> None:
    """Print the table."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--replicates", type=int, default=150, help="of 2 arms in 2 cells: 600 trials")
    words.add_argument("--epochs", type=int, default=4000)
    asked = words.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), _free_port()
        os.environ.update(
            AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
            AWS_ACCESS_KEY_ID="test",
            AWS_SECRET_ACCESS_KEY="test",
            AWS_DEFAULT_REGION="us-east-1",
        )
        server = subprocess.Popen(
            [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _measure(folder / "study", asked.replicates, asked.epochs)
        finally:
            server.terminate()
            server.wait()


def _measure(local: Path, replicates: int, epochs: int) -> None:
    from analysis import load
    from analysis.synthetic import write_study
    from study.ledger import Ledger
    from study.storage import Uri

    seeds = dict.fromkeys(("bernoulli", "qcbm"), range(replicates))
    write_study(local, replicates=seeds, horizons=[epochs], window=100, images=False, scores=True)
    remote = f"s3://{BUCKET}/results/study"
    sent = _seconds(lambda: _send(local, remote))
    keys = [each.name for each in (local / "trials").iterdir()]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{len(keys)} trials x {epochs} epochs; sent in {sent:.1f} s")
    print(f"{'':44} {'folder':>9} {'S3':>9}")
    places: tuple[Any, ...] = (local, Uri(remote))
    for name, run in (
        ("records and states, as `study status` asks", lambda place: Ledger(place).look(keys, epochs)),
        (f"all curves, as a report reads (at most {MOST_S:g} s)", lambda place: load(str(place))),
    ):
        took = [min(_seconds(partial(run, place)) for _ in range(2)) for place in places]
        print(f"{name:44} {took[0]:7.2f} s {took[1]:7.2f} s")
    shutil.rmtree(local)


def _send(local: Path, remote: str) -> None:
    import boto3
    from botocore.config import Config

    client = boto3.client("s3", config=Config(retries={"total_max_attempts": 20, "mode": "standard"}))
    client.create_bucket(Bucket=BUCKET)
    prefix = remote.removeprefix(f"s3://{BUCKET}/")

    def put(path: Path) -> None:
        client.put_object(Bucket=BUCKET, Key=f"{prefix}/{path.relative_to(local)}", Body=path.read_bytes())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, [path for path in local.rglob("*") if path.is_file()]))


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    main()
