"""A synthetic ledger: result folders in the schema of analysis.tables, with a planted improvement."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.quality import QUALITY
from analysis.tables import CURVE, PATCHES_KEY, SCHEMA, SCORES, images_schema

SIZE = 20
CHANNELS = [
    {"name": "iq", "unit": "", "full_scale": 255.0, "limit": 255.0, "sentinel": None},
    {"name": "phase", "unit": "", "full_scale": 3.0, "limit": 3.0, "sentinel": None},
    {"name": "kam", "unit": "deg", "full_scale": 3.5, "limit": 3.0, "sentinel": 3.5},
    {"name": "ks_deviation", "unit": "deg", "full_scale": 20.0, "limit": 15.0, "sentinel": 20.0},
    {"name": "mask", "unit": "", "full_scale": 1.0, "limit": 1.0, "sentinel": None},
]
CELLS = [{"latent_dim": 8, "images": 256}, {"latent_dim": 10, "images": 256}]


def key_of(arm: str, cell: dict[str, Any], replicate: int) -> str:
    return hashlib.sha256(f"{arm}{cell}{replicate}".encode()).hexdigest()[:16]


def write_study(
    folder: Path,
    *,
    improvements: dict[str, float] | None = None,  # arm -> planted Eq. 10, per cent
    cells: Sequence[dict[str, Any]] = CELLS,
    replicates: dict[str, Sequence[int]] | None = None,  # of arms that differ from 0, 1, 2
    horizons: Sequence[int] = (20, 40),
    window: int = 10,
    every: int = 1,
    statuses: dict[tuple[str, int, int], tuple[str, int]] | None = None,  # of an arm, cell index and replicate
    revisions: Sequence[str] = ("4c1d0a9e3f",),
    images: bool = True,
    scores: bool = False,  # full scores, and update events of every arm but the baseline
    noise: float = 0.02,
    seed: int = 0,
) -> Path:
    """Writes `folder` as `study run` leaves it; a trial without a status is done, a pending one has no folder."""
    planted = {"bernoulli": 0.0, "qcbm": 30.0} if improvements is None else improvements
    rng = np.random.default_rng(seed)
    places: dict[str, list[dict[str, Any]]] = {}
    for cell_index, cell in enumerate(cells):
        shared = rng.normal(0, 0.1, 1000)  # what the arms of a pair have in common
        for arm, improvement in planted.items():
            for replicate in (replicates or {}).get(arm, range(3)):
                key = key_of(arm, cell, replicate)
                places[key] = [{"arm": arm, "cell": cell, "replicate": replicate}]
                status, epoch = (statuses or {}).get((arm, cell_index, replicate), ("done", max(horizons)))
                if status != "pending":
                    level = 0.08 / (1 + improvement / 100) * np.exp(shared[replicate])
                    revision = revisions[len(places) % len(revisions)]
                    _write_trial(folder / "trials" / key, key, status, epoch, horizons, revision)
                    dims = cell.get("latent_dim", 8) if scores and arm != "bernoulli" else 0
                    _write_curve(folder / "trials" / key, level, epoch, every, noise, rng, dims)
                    if scores:
                        reached = [h for h in horizons if h <= epoch]
                        _write_scores(folder / "trials" / key, reached, 1 + improvement / 100, rng)
                    if images:
                        _write_images(folder / "trials" / key, [1, *(h for h in horizons if h <= epoch)], rng)
    plan = {
        "schema": SCHEMA,
        "study": folder.name,
        "baseline": "bernoulli",
        "arms": list(planted),
        "horizons": list(horizons),
        "window": window,
        "trials": places,
        "study_file": "study: <demo> & co\n",
        "data": {
            "source": "synthetic",
            "content_hash": "9f2c51",
            "microstructure": "ferrite",
            "height": SIZE,
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


def _write_trial(home: Path, key: str, status: str, epoch: int, horizons: Sequence[int], revision: str) -> None:
    home.mkdir(parents=True)
    cause = {
        "error": "RuntimeError: CUDA out of memory <12 GiB>",
        "epoch": epoch,
        "log": "Traceback ...\nboom",
    }
    record = {
        "key": key,
        "status": status,
        "epoch": epoch,
        "horizon": max((h for h in horizons if h <= epoch), default=0),
        "attempts": [
            {"start": "2026-01-01T00:00:00Z", "last_seen": "2026-01-01T01:30:00Z", "host": "a", "gpu": "H100"}
        ],
        "cause": cause if status == "failed" else None,
        "warnings": [],
        "command": f"study trial study.yaml --arm qcbm --replicate 0  # {key}",
        "provenance": {
            "git": {"revision": revision, "dirty": False},
            "python": "3.11.7",
            "packages": {"torch": "2.11.0", "numpy": "2.4.6"},
            "cpu": "x86_64, 8 cores",
            "gpu": "NVIDIA H100",
            "data_hash": "9f2c51",
        },
        "trial": {"prior": {"prior": "bernoulli"}},
    }
    (home / "trial.json").write_text(json.dumps(record))


def _write_curve(
    home: Path, level: float, epochs: int, every: int, noise: float, rng: np.random.Generator, dims: int = 0
) -> None:
    epoch = np.arange(1, epochs + 1)
    mmd = level * (1 + 6 * np.exp(-8 * epoch / 40)) * np.exp(rng.normal(0, noise, epochs))
    scored = epoch % every == 0
    table = {name: pa.nulls(epochs, CURVE.field(name).type) for name in CURVE.names}
    table |= {
        "epoch": pa.array(epoch, pa.int32()),
        "seconds": pa.array(2.5 * epoch, pa.float64()),
        "mmd_v": pa.array(mmd, mask=~scored),
        "mmd_u": pa.array(mmd - 0.004, mask=~scored),
        "floor_v": pa.array(np.full(epochs, 0.004)),
        "floor_u": pa.array(rng.normal(0, 1e-4, epochs)),
    }
    if dims:  # update events of a prior of so many bits, every tenth epoch
        event = epoch % 10 == 0
        entropy = dims * np.log(2) * np.exp(-np.cumsum(event) * rng.uniform(0.01, 0.03))
        table["prior_loss"] = pa.array(-0.1 * np.cumsum(event), mask=~event)
        table["prior_entropy"] = pa.array(entropy, mask=~event)
        table["circuits"] = pa.array(np.full(epochs, 101), mask=~event)
        channels = [list(level * rng.uniform(0.2, 0.6, 5)) if each else None for each in scored]
        table |= {f"channel_{name}": channels for name in ("mmd_v", "mmd_u", "floor_v", "floor_u")}
    pq.write_table(pa.table(table, schema=CURVE), home / "curve.parquet")


def _write_scores(home: Path, epochs: Sequence[int], gain: float, rng: np.random.Generator) -> None:
    """Scores of a generator that is better by `gain` than one ten times as far from the ideal as real images."""
    rows = []
    for epoch in epochs:
        for prior in ("own", "fair"):
            for name, each in QUALITY.items():
                if prior == "fair" and name.startswith(("distinct_", "code_")):
                    continue
                sign = {"lower": 1, "higher": -1, "floor": 1}[each.better]
                floor_fault, fault = rng.uniform(0.005, 0.02), rng.uniform(0.05, 0.2) / gain
                if name.endswith("gap"):
                    floor_fault = 0.0
                floor = None if name.startswith("code_") else each.ideal + sign * floor_fault
                value = None if name == "phase_correlation" else each.ideal + sign * fault
                rows.append({"epoch": epoch, "prior": prior, "score": name, "value": value, "floor": floor})
    if rows:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCORES), home / "scores.parquet")


def _write_images(home: Path, epochs: Sequence[int], rng: np.random.Generator, count: int = 4) -> None:
    schema = images_schema(len(CHANNELS) * SIZE * SIZE).with_metadata(
        {PATCHES_KEY: json.dumps({"height": SIZE, "width": SIZE, "step_um": 0.1, "channels": CHANNELS})}
    )
    rows = [
        {
            "epoch": epoch,
            "kind": kind,
            "index": index,
            "code": "01" * 4 if kind == "generated" else None,
            "microstructure": None,
            "image": rng.integers(0, 256, (len(CHANNELS), SIZE, SIZE), dtype=np.uint8).tobytes(),
        }
        for epoch in epochs
        for kind in ("real", "generated")
        for index in range(count)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), home / "images.parquet")


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes a study with the settings of `write_study` and returns its folder."""
    return lambda name="demo", **settings: write_study(tmp_path / "results" / name, **settings)


@pytest.fixture
def study(written: Callable[..., Path]) -> Path:
    """A finished study: 2 cells, bernoulli and qcbm (+30 %), 3 replicates, horizons 20 and 40, window 10."""
    return written()


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, to be read only."""
    return write_study(tmp_path_factory.mktemp("results") / "demo")


@pytest.fixture(scope="session")
def scored_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with full scores and update events, to be read only."""
    return write_study(tmp_path_factory.mktemp("results") / "scored", scores=True)
