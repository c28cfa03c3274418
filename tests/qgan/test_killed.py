"""A process that is killed at any instant leaves a checkpoint from which the same curve comes."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from qgan.ebsd.dataset import Patches, read_patches, write_patches

PROGRAM = """
import sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from qgan.ebsd.dataset import read_patches
from qgan.prior_settings import QcbmSettings
from qgan.settings import DataSettings, ScoreSettings, TrainSettings
from qgan.training import train
from qgan.trial import Trial
import pyarrow as pa, pyarrow.parquet as pq

folder = Path(sys.argv[1])
trial = Trial(
    DataSettings("test", 40), 4, 40, 0, QcbmSettings(gradient="finite_difference", update_every=3, train_epochs=60),
    TrainSettings(batch_size=8, width=4, gaussian_dims=1, ema=0.9, critic_steps=2), ScoreSettings(20),
)
rows = []
for row in train(trial, read_patches(folder / "patches.parquet"), horizons=[80], checkpoint=folder / "checkpoint.pt",
                 checkpoint_every=2):
    rows.append(row)
    (folder / "begun").touch()
columns = ["epoch", "critic_loss", "generator_loss", "mmd_v", "mmd_u", "prior_loss", "prior_entropy"]
pq.write_table(pa.table({name: [getattr(row, name) for row in rows] for name in columns}), folder / "curve.parquet")
"""


def test_a_run_killed_again_and_again_gives_the_same_curve(patches: Patches, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
        write_patches(folder / "patches.parquet", patches)
    assert len(read_patches(whole / "patches.parquet")) == len(patches)
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", PROGRAM, str(whole)], check=True)
    lasted = time.monotonic() - start
    chance, kills = random.Random(0), 0  # the instants are not reproducible anyway
    for _ in range(2):
        (killed / "begun").unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(killed)])
        while process.poll() is None and not (killed / "begun").exists():
            time.sleep(0.002)
        try:
            process.wait(chance.uniform(0, 0.2 * lasted))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break
        kills += 1
    else:
        subprocess.run([sys.executable, "-c", PROGRAM, str(killed)], check=True)
    if kills == 0:
        pytest.fail("the run ended before it could be killed once")
    expected, found = (pq.read_table(folder / "curve.parquet") for folder in (whole, killed))
    assert found.num_rows == 80
    assert found.equals(expected)
