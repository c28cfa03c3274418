"""Synthetic patches: maps of generator "synthetic-v1" through the same cleaning, channels and windows as scans."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count as count_from
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd.ang_writer import write_ang
from qgan.ebsd.patches import MapPatches, cut_scan, join
from qgan.ebsd.patchset import Patches
from qgan.ebsd.settings import Settings
from qgan.ebsd.synthetic_maps import GENERATOR, VERSION, synthetic_map
from qgan.errors import InputError

FIELD_UM = 15.0  # side of a patch: fewer pixels mean a coarser step, not a smaller piece of steel
MAPS = 12  # at least: each has its own steel, and patches are split by map
LARGEST = 400 / 60  # side of a map in patches: more maps show more steels
# patches per patch area in the part of a map where windows fit, a cautious estimate
DENSITY = {"ferrite": 2.6, "bainite": 5.5}
MICROSTRUCTURES = tuple(DENSITY)


def recipe(microstructure: str, count: int, seed: int, patch: int) -> str:
    """The words that name a synthetic set; with the same versions the same words make the same bytes."""
    return f"{GENERATOR} generator={VERSION} {microstructure} count={count} seed={seed} patch={patch}"


def generate(
    microstructure: str,
    count: int,
    seed: int,
    patch: int,
    processes: int = 1,
    progress: Callable[[int], None] | None = None,
    maps_folder: Path | None = None,
) -> Patches:
    """Exactly `count` patches of `patch` x `patch` pixels from `MAPS` maps or more, as evenly as they allow.

    The number of processes changes nothing but the time. `progress` hears of how many patches there are so far.
    The maps themselves go into `maps_folder`, an empty one, as .ang.
    """
    if microstructure not in DENSITY:
        raise InputError(
            f"microstructure must be {' or '.join(MICROSTRUCTURES)}, not {microstructure!r}", "microstructure"
        )
    if count < 1:
        raise InputError(f"count must be 1 or more patches, not {count}", "count")
    if seed < 0:
        raise InputError(f"seed must be 0 or more, not {seed}", "seed")
    settings = Settings(patch=patch)
    words = recipe(microstructure, count, seed, patch)
    side = 1 + math.sqrt(1.2 * count / MAPS / DENSITY[microstructure])
    side = min(max(side, 2.0), LARGEST)
    size = round(side * patch)
    maps: list[MapPatches] = []
    made = 0
    for each in _maps(microstructure, seed, size, settings, words, processes, maps_folder):
        maps.append(each)
        made += len(each)
        if progress:
            progress(min(made, count))
        if made >= count and len(maps) >= MAPS:
            break
    kept = [each.take(chosen) for each, chosen in zip(maps, _even_shares(maps, count, seed), strict=True)]
    if maps_folder:  # processes run ahead of what is needed
        for stray in set(maps_folder.iterdir()) - {map_file(maps_folder, microstructure, k) for k in range(len(maps))}:
            stray.unlink()
    return join(kept, settings, recipe=words)


def map_file(folder: Path, microstructure: str, number: int) -> Path:
    """Where a map of a set is written."""
    return folder / f"{microstructure}-{number:03}.ang"


def _maps(
    microstructure: str,
    seed: int,
    size: int,
    settings: Settings,
    source: str,
    processes: int,
    folder: Path | None,
) -> Iterator[MapPatches]:
    """Endless maps 0, 1, ...; each depends on its number only."""
    jobs = ((microstructure, seed, number, size, settings, source, folder) for number in count_from(0))
    if processes == 1:
        yield from map(_make_map, jobs)
        return
    # spawn: a fork of a process with threads, Ray's or torch's, may hang
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        while True:
            yield from pool.map(_make_map, islice(jobs, 2 * processes))


def _make_map(job: tuple[str, int, int, int, Settings, str, Path | None]) -> MapPatches:
    microstructure, seed, number, size, settings, source, folder = job
    rng = np.random.default_rng([seed, number, MICROSTRUCTURES.index(microstructure)])
    scan = synthetic_map(microstructure, size, FIELD_UM / settings.patch, rng, source)
    if folder:
        write_ang(map_file(folder, microstructure, number), scan)
    return cut_scan(scan, settings, microstructure=microstructure)


def _even_shares(maps: list[MapPatches], count: int, seed: int) -> list[NDArray[np.int64]]:
    """Which patches of each map to keep, `count` in all, the same number from every map that has so many."""
    rng = np.random.default_rng(seed)
    shuffled = [rng.permutation(len(each)) for each in maps]
    turn = np.concatenate([np.arange(len(each)) for each in maps])
    owner = np.repeat(np.arange(len(maps)), [len(each) for each in maps])
    quota = np.bincount(owner[np.argsort(turn, kind="stable")[:count]], minlength=len(maps))
    return [np.sort(order[:share]) for order, share in zip(shuffled, quota, strict=True)]
