"""What must not change a patch: frames, symmetry, turns of the map, full turns of an angle, the order of rows."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qgan.ebsd import crystal
from qgan.ebsd.channels import map_channels
from qgan.ebsd.patches import cleaned_grains
from qgan.ebsd.readers import read_scan
from qgan.ebsd.rows import is_row
from qgan.ebsd.scan import NOISE, Scan
from qgan.ebsd.settings import Settings
from qgan.ebsd.synthetic_maps import synthetic_map

Writer = Callable[[Path, Scan], Path]
SETTINGS = Settings(patch=32)
few = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
seeds = st.integers(0, 10_000)


def random_map(seed: int, size: int = 64) -> Scan:
    """A synthetic map without equal qualities: of two equal donors either may fill a noise pixel."""
    rng = np.random.default_rng(seed)
    scan = synthetic_map(("ferrite", "bainite")[seed % 2], size, 0.25, rng, "map")
    return replace(scan, quality=scan.quality + rng.uniform(0, 0.04, scan.shape).astype(np.float32))


def channels(scan: Scan) -> np.ndarray:
    """The bytes of a map, from its raw points on."""
    return map_channels(*cleaned_grains(scan, SETTINGS), SETTINGS).pixels.astype(int)


def same(found: np.ndarray, expected: np.ndarray, rounded: float) -> None:
    """Equal but for bytes that were about to turn; `rounded`: the share of them that float32 angles may turn."""
    off = np.abs(found - expected)
    assert off.max() <= 1
    assert (off > 0).mean() <= rounded


def with_orientations(scan: Scan, q: np.ndarray) -> Scan:
    return replace(scan, euler=np.where(scan.phase[..., None] == NOISE, 0, crystal.to_euler(q)).astype(np.float32))


@few
@given(seeds)
def test_another_equivalent_in_every_pixel(seed: int) -> None:
    scan = random_map(seed)
    operators = crystal.symmetries()[np.random.default_rng(seed).integers(24, size=scan.shape)]
    same(channels(with_orientations(scan, crystal.multiply(operators, scan.orientations))), channels(scan), 2e-3)


@few
@given(seeds)
def test_another_frame_of_the_specimen(seed: int) -> None:
    scan = random_map(seed)
    turn = crystal.unit(np.random.default_rng(seed).normal(size=4))
    same(channels(with_orientations(scan, crystal.multiply(scan.orientations, turn))), channels(scan), 2e-3)


@few
@given(seeds, st.sampled_from([360.0, -360.0, 720.0]))
def test_full_turns_of_phi1_and_phi2(seed: int, turn: float) -> None:
    scan = random_map(seed)
    for angle in (0, 2):
        euler = scan.euler.copy()
        euler[..., angle] += np.float32(np.radians(turn))
        euler[scan.phase == NOISE] = 0
        same(channels(replace(scan, euler=euler)), channels(scan), 2e-3)


@few
@given(seeds)
def test_flips_transposes_and_quarter_turns_of_the_map(seed: int) -> None:
    scan = random_map(seed)
    expected = channels(scan)
    assert scan.confidence is not None
    for move in (np.flipud, np.fliplr, lambda each: each.swapaxes(0, 1), np.rot90):
        columns = {name: move(getattr(scan, name)) for name in ("euler", "phase", "quality", "confidence")}
        found = channels(replace(scan, **columns))
        same(found, np.stack([move(each) for each in expected]), 2e-3)  # sums in another order round differently


@few
@given(seed=seeds)
def test_one_map_as_ang_and_as_ctf_with_rows_in_any_order(
    seed: int, writers: dict[str, Writer], tmp_path: Path
) -> None:
    scan = replace(random_map(seed, 40), confidence=None)
    found = []
    for name in ("ang", "ctf"):
        path = writers[name](tmp_path / f"map.{name}", scan)
        lines = path.read_text().splitlines(keepends=True)
        first = next(k for k, line in enumerate(lines) if is_row(line, 8))
        rows = lines[first:]
        random.Random(seed).shuffle(rows)
        path.write_text("".join([*lines[:first], *rows]))
        found.append(channels(read_scan(path)))
    same(found[0], channels(scan), 0)
    same(found[1], found[0], 5e-3)


def test_other_kernels_and_relations_do_change_it() -> None:
    """The comparison above is not blind."""
    scan = random_map(1)
    expected = channels(scan)
    for other in (replace(SETTINGS, kam_order=2), replace(SETTINGS, ks_relation="NW")):
        off = np.abs(map_channels(*cleaned_grains(scan, other), other).pixels.astype(int) - expected)
        assert off.max() > 1
    shifted = replace(scan, euler=scan.euler + np.float32(0.2) * (scan.euler[..., :1] > 3))
    with pytest.raises(AssertionError):
        same(channels(shifted), expected, 2e-3)
