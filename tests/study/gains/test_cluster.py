"""`study gains --address`: the seeds of a candidate run on a cluster that is there already."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import ray

from analysis.gains import read_gains

FEW = "gains.candidates=3"


@pytest.mark.faults
def test_a_search_on_a_cluster_finds_what_one_in_this_process_finds(gains_file: Path, search_here: Any) -> None:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        address = ray.get_runtime_context().gcs_address
        words = [sys.executable, "-m", "study", "gains", str(gains_file), "--concurrency", "1", "--address", address]
        words += ["--set", FEW]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    finally:
        ray.shutdown()
    assert done.returncode == 0, done.stdout + done.stderr
    there = read_gains(gains_file.parent / "results/tiny")
    assert there is not None
    search, found, _ = search_here(gains_file, FEW, f"results={gains_file.parent / 'here'}")
    assert there.candidates["objective"].tolist() == [each.mean for each in search.tried()]
    assert there.found is not None
    assert there.found["improvement"]["estimate"] == found.improvement.estimate
