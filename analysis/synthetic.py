"""A synthetic ledger: result folders in the schema of `analysis.tables`, with a planted improvement.

For tests, for benchmarks, and to see what a report looks like before anything is trained.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.quality import QUALITY
from analysis.records import SCHEMA
from analysis.tables import CURVE, PATCHES_KEY, SCORES, images_schema, write_table

LIST = pa.list_(pa.float64())
SIZE = 20  # pixels
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
    threshold: float | None = None,
    confirm: dict[str, int] | None = None,
    every: int = 1,
    statuses: dict[tuple[str, int, int], tuple[str, int]] | None = None,  # of an arm, cell index and replicate
    revisions: Sequence[str] = ("4c1d0a9e3f",),
    images: bool = True,
    scores: bool = False,  # full scores, and update events of every arm but the baseline
    noise: float = 0.02,
    size: int = SIZE,
    kept: int = 4,  # images of each kind at each marked epoch
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
                    home = folder / "trials" / key
                    _write_curve(home, level, epoch, max(horizons), every, noise, rng, dims, scores)
                    if scores:
                        reached = [h for h in horizons if h <= epoch]
                        _write_scores(folder / "trials" / key, reached, 1 + improvement / 100, rng)
                    if images:
                        marked = [1, *(h for h in horizons if h <= epoch)]
                        _write_images(folder / "trials" / key, marked, rng, kept, size)
    plan = {
        "schema": SCHEMA,
        "study": folder.name,
        "baseline": "bernoulli",
        "arms": list(planted),
        "horizons": list(horizons),
        "window": window,
        "threshold": threshold,
        "confirm": confirm,
        "trials": places,
        "study_file": "study: <demo> & co\n",
        "data": {
            "source": "synthetic",
            "content_hash": "9f2c51",
            "microstructure": "ferrite",
            "height": size,
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
            {"start": "2026-01-01T00:00:00Z", "last_seen": "2026-01-01T01:30:00Z", "host": "a", "gpu": "NVIDIA H100"}
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
    home: Path,
    level: float,
    epochs: int,
    longest: int,
    every: int,
    noise: float,
    rng: np.random.Generator,
    dims: int,
    channels: bool,
) -> None:
    epoch = np.arange(1, epochs + 1)
    mmd = level * (1 + 6 * np.exp(-8 * epoch / longest)) * np.exp(rng.normal(0, noise, epochs))
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
    if channels:
        table["critic_loss"], table["generator_loss"] = (pa.array(rng.normal(x, 0.1, epochs)) for x in (-1, 0))
        values = pa.FixedSizeListArray.from_arrays(level * rng.uniform(0.2, 0.6, 5 * epochs), 5).cast(LIST)
        values = pc.if_else(pa.array(scored), values, pa.scalar(None, LIST))
        table |= {f"channel_{name}": values for name in ("mmd_v", "mmd_u", "floor_v", "floor_u")}
    write_table(pa.table(table, schema=CURVE), home / "curve.parquet")


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
        write_table(pa.Table.from_pylist(rows, schema=SCORES), home / "scores.parquet")


def _write_images(home: Path, epochs: Sequence[int], rng: np.random.Generator, count: int, size: int) -> None:
    schema = images_schema(len(CHANNELS) * size * size).with_metadata(
        {PATCHES_KEY: json.dumps({"height": size, "width": size, "step_um": 0.1, "channels": CHANNELS})}
    )
    rows = [
        {
            "epoch": epoch,
            "kind": kind,
            "index": index,
            "code": "01" * 4 if kind == "generated" else None,
            "microstructure": None,
            "image": _grains(rng, size).tobytes(),
        }
        for epoch in epochs
        for kind in ("real", "generated")
        for index in range(count)
    ]
    write_table(pa.Table.from_pylist(rows, schema=schema), home / "images.parquet")


def _grains(rng: np.random.Generator, size: int, pixels: int = 4) -> NDArray[np.uint8]:
    """Every channel as squares of one value each, (channels, size, size): like a micrograph, it is no noise."""
    noise = rng.integers(0, 256, (len(CHANNELS), size, size), dtype=np.uint8)
    return np.kron(noise[:, ::pixels, ::pixels], np.ones((1, pixels, pixels), np.uint8))[:, :size, :size]
