"""Mutated headers and truncated files: a plain error or a map with warnings, never a traceback, never a hang."""

import random
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from qgan.ebsd.channels import map_channels
from qgan.ebsd.patches import cleaned_grains
from qgan.ebsd.readers import read_scan
from qgan.ebsd.scan import OTHER, Scan
from qgan.ebsd.settings import Settings
from qgan.errors import InputError

Writer = Callable[[Path, Scan], Path]
FORMATS = ("ang", "ctf", "ctf with commas", "cpr", "h5oina 5", "h5oina 6", "edax h5")
MANY = 2000
_WORDS = (b"0", b"-1", b"nan", b"inf", b"1e308", b"-1e-308", b"99999999999999999999", b"1_0", b"\xff\xfe", b"", b"1,5")
_SECONDS = 20


@contextmanager
def no_hang() -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        raise TimeoutError(f"a reader took more than {_SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def mutated(content: bytes, rng: random.Random) -> bytes:
    """One to three injuries, most of them in the header."""
    for _ in range(rng.randint(1, 3)):
        end = min(len(content), 900) if rng.random() < 0.7 else len(content)
        at = rng.randrange(end + 1)
        length = rng.choice((1, 1, 4, 30, 300))
        match rng.randrange(7):
            case 0:
                content = content[:at] + rng.randbytes(length) + content[at + length :]
            case 1:
                content = content[:at] + content[at + length :]
            case 2:
                content = content[:at] + content[at : at + length] + content[at:]
            case 3:
                content = content[:at]
            case 4:
                lines = content.splitlines(keepends=True)
                lines.insert(rng.randrange(len(lines) + 1), lines.pop(rng.randrange(len(lines))) if lines else b"")
                content = b"".join(lines)
            case _:
                numbers = list(re.finditer(rb"[\d.,+-]+", content[:end]))
                if numbers:
                    found = rng.choice(numbers)
                    content = content[: found.start()] + rng.choice(_WORDS) + content[found.end() :]
    return content


def injured_hdf5(path: Path, rng: random.Random) -> None:
    """A sound HDF5 file whose members are missing, of another type or another shape."""
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = rng.choice(names)
        del file[name]
        values = (
            np.zeros(0),
            np.full((35, 2), np.nan),
            np.full(35, 1e300),
            np.arange(34.0),
            np.array([b"text"] * 35),
            np.float64(-3),
            np.array([[np.inf]]),
            np.zeros(35, [("a", "f4"), ("b", "i4")]),
            h5py.Empty("f4"),
            np.full((35, 1), 2**63, np.uint64),
        )
        choice = rng.randrange(len(values) + 3)
        if choice < len(values):
            file[name] = values[choice]
        elif choice == len(values):
            file.create_group(name)
        elif choice == len(values) + 1:
            file[name] = h5py.SoftLink(rng.choice(("/", "/nowhere", f"/{name}")))


def fault(base: Path, name: str, seed: int, folder: Path) -> None:
    rng = random.Random(f"{name} {seed}")
    path = folder / base.name
    path.write_bytes(base.read_bytes())
    if name == "cpr":
        points = base.with_suffix(".crc").read_bytes()
        path.with_suffix(".crc").write_bytes(mutated(points, rng) if rng.random() < 0.2 else points)
    if h5py.is_hdf5(path) and rng.random() < 0.5:
        injured_hdf5(path, rng)
    else:
        path.write_bytes(mutated(path.read_bytes(), rng))
    try:
        with no_hang():
            scan = read_scan(path)
    except InputError as error:
        assert str(path.parent) in str(error) and "\n" not in str(error), f"{name} {seed}: {error}"
        return
    assert scan.euler.shape == (*scan.shape, 3) and scan.quality.shape == scan.shape, f"{name} {seed}"
    assert np.isfinite(scan.euler).all() and scan.phase.max(initial=0) <= OTHER, f"{name} {seed}"
    assert np.isfinite(scan.step_um) and scan.step_um > 0, f"{name} {seed}"
    assert not any("\n" in warning for warning in scan.warnings), f"{name} {seed}"
    try:
        map_channels(*cleaned_grains(scan, Settings()), Settings())
    except InputError as error:
        assert scan.source in str(error) and "\n" not in str(error), f"{name} {seed}: {error}"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "seeds", [range(80), pytest.param(range(80, MANY), marks=pytest.mark.faults)], ids=["few", "many"]
)
def test_faults_end_in_a_sentence_or_a_map(
    writers: dict[str, Writer], small: Scan, tmp_path: Path, name: str, seeds: range
) -> None:
    folder = tmp_path / "injured"
    folder.mkdir()
    base = writers[name](tmp_path / "map.dat", small)
    for seed in seeds:
        try:
            fault(base, name, seed, folder)
        except InputError:
            raise
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}: {error!r}") from error
