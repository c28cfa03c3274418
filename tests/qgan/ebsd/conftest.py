import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from qgan.ebsd.ang_writer import write_ang
from qgan.ebsd.scan import BCC, FCC, NOISE, Phase, Scan
from qgan.ebsd.synthetic_maps import synthetic_map

SPACE_GROUPS = {BCC: 229, FCC: 225}
Writer = Callable[[Path, Scan], Path]


@pytest.fixture(scope="session")
def scans() -> Path:
    """Real scans of other people, which are no part of this repository."""
    repository = Path(__file__).parents[3]
    folder = repository / os.environ.get("EBSD_SCANS", "../shared/data/scans")
    if not folder.is_dir():
        pytest.skip(f"no real scans at {folder}; name their folder in EBSD_SCANS")
    return folder


@pytest.fixture(scope="session")
def bainite() -> Scan:
    """A small synthetic map with both phases, boundaries and noise."""
    return synthetic_map("bainite", 96, 0.25, np.random.default_rng(3), "bainite map")


@pytest.fixture(scope="session")
def small() -> Scan:
    """A map of 7 x 5 points of which every one is different: both phases, one unindexed point, one absent."""
    index = np.arange(35).reshape(5, 7)
    euler = np.stack([0.1 + index / 50, 0.5 + index / 200, 1 + index / 100], axis=-1).astype(np.float32)
    phase = np.where(index % 3, BCC, FCC).astype(np.uint8)
    quality = (50 + index).astype(np.float32)
    phase[1, 2] = phase[3, 4] = NOISE
    euler[phase == NOISE] = 0
    quality[3, 4] = np.nan
    phases = (Phase(1, "Iron bcc", 2.866, BCC, 229), Phase(2, "Iron fcc", 3.6, FCC, 225))
    return Scan("small", euler, phase, quality, "BC", None, 0.5, "test", phases)


@pytest.fixture(scope="session")
def writers() -> dict[str, Writer]:
    """How every format writes a scan: a new reader is tested by adding its writer here."""
    return {
        "ang": _ang,
        "ctf": _ctf,
        "ctf with commas": _ctf_with_commas,
        "cpr": _cpr,
        **{f"h5oina {version}": _h5oina_of(version) for version in range(1, 9)},
        "edax h5": _edax_h5,
    }


def _ang(path: Path, scan: Scan) -> Path:
    write_ang(path, scan)
    return path


def _columns(scan: Scan) -> tuple[np.ndarray, ...]:
    """Phase number, x, y, Euler angles (radians) and quality of the points that are there."""
    row, column = np.nonzero(~np.isnan(scan.quality))
    number = {phase.code: phase.id for phase in scan.phases} | {NOISE: 0}
    ids = np.array([number[code] for code in scan.phase[row, column].tolist()])
    places = column * scan.step_um, row * scan.step_um
    return ids, *places, scan.euler[row, column], scan.quality[row, column]


def _ctf(path: Path, scan: Scan) -> Path:
    ids, x, y, euler, quality = _columns(scan)
    rows, columns = scan.shape
    lines = ["Channel Text File", "Prj\tmap.cpr", "JobMode\tGrid", f"XCells\t{columns}", f"YCells\t{rows}"]
    lines += [f"XStep\t{scan.step_um}", f"YStep\t{scan.step_um}", "AcqE1\t0"]
    lines += ["Euler angles refer to Sample Coordinate system (CS0)!\tMag\t200\tKV\t15", f"Phases\t{len(scan.phases)}"]
    for phase in scan.phases:
        a = f"{phase.lattice_angstrom:.3f}"
        lines.append(f"{a};{a};{a}\t90;90;90\t{phase.name}\t11\t{phase.space_group or 0}\t\t\tJ. Appl. Phys., vol. 42")
    lines.append("Phase\tX\tY\tBands\tError\tEuler1\tEuler2\tEuler3\tMAD\tBC\tBS")
    for number, left, top, angles, value in zip(ids, x, y, np.degrees(euler.astype(float)), quality, strict=True):
        phi = "\t".join(f"{angle:.7f}" for angle in angles)
        lines.append(f"{number}\t{left:.4f}\t{top:.4f}\t8\t{0 if number else 3}\t{phi}\t0.5000\t{value:.9g}\t90")
    path.write_bytes("\r\n".join([*lines, ""]).encode())
    return path


def _ctf_with_commas(path: Path, scan: Scan) -> Path:
    text = _ctf(path, scan).read_text().replace("J. Appl. Phys., vol", "Ref")
    path.write_text(text.replace(".", ","))
    return path


def _cpr(path: Path, scan: Scan) -> Path:
    rows, columns = scan.shape
    fields = [3, 4, 5, 6, 7, 8, 10, 11, 12, 13]
    text = f"[General]\r\nVersion=5.0\r\n[Job]\r\nGridDistX={scan.step_um}\r\nGridDistY={scan.step_um}\r\n"
    text += f"xCells={columns}\r\nyCells={rows}\r\n[Fields]\r\nCount={len(fields)}\r\n"
    text += "".join(f"Field{k}={field}\r\n" for k, field in enumerate(fields, 1)) + "[Phases]\r\n"
    for phase in scan.phases:
        text += f"[Phase{phase.id}]\r\nStructureName={phase.name}\r\n" + "".join(
            f"{key}={phase.lattice_angstrom}\r\n{angle}=90.00\r\n"
            for key, angle in (("a", "alpha"), ("b", "beta"), ("c", "gamma"))
        )
        text += f"LaueGroup=11\r\nSpaceGroup={phase.space_group or 0}\r\n"
    path = path.with_suffix(".cpr")
    path.write_bytes(text.encode())
    kinds = [("phase", "u1"), ("3", "<f4"), ("4", "<f4"), ("5", "<f4"), ("6", "<f4"), ("7", "u1"), ("8", "u1")]
    records = np.zeros(scan.shape, [*kinds, ("10", "u1"), ("11", "u1"), ("12", "<f4"), ("13", "<f4")])
    number = {phase.code: phase.id for phase in scan.phases} | {NOISE: 0}
    records["phase"] = np.vectorize(number.get)(scan.phase)
    for k, field in enumerate("345"):
        records[field] = scan.euler[..., k]
    records["7"] = np.nan_to_num(scan.quality)
    records.tofile(path.with_suffix(".crc"))
    return path


def _h5oina_of(version: int) -> Writer:
    """Oxford's public specification: what a version lacks is left out."""

    def write(path: Path, scan: Scan) -> Path:
        rows, columns = scan.shape
        absent = np.isnan(scan.quality).ravel()
        number = {phase.code: phase.id for phase in scan.phases} | {NOISE: 0}
        ids = np.vectorize(number.get)(scan.phase).ravel()
        compression = "lzf" if version >= 5 else None
        with h5py.File(path, "w") as file:
            file["Manufacturer"] = ["Oxford Instruments"]
            file["Format Version"] = [f"{version}.0"]
            file["Index"] = ["1"]
            data, header = file.create_group("1/EBSD/Data"), file.create_group("1/EBSD/Header")
            euler = np.where(absent[:, None], np.nan, scan.euler.reshape(-1, 3)).astype(np.float32)
            data.create_dataset("Euler", data=euler, compression=compression)
            data["Euler"].attrs["Unit"] = "rad"
            data["Phase"] = ids.astype(np.uint8)[:, None]
            data["Error"] = np.where(ids > 0, 1, 2).astype(np.uint8)[:, None]
            data["Band Contrast"] = np.nan_to_num(scan.quality).ravel().astype(np.uint8)[:, None]
            if version % 2:  # positions are optional
                y, x = np.indices(scan.shape) * scan.step_um
                data["X"], data["Y"] = (each.ravel().astype(np.float32)[:, None] for each in (x, y))
            if version >= 2:
                file["1/Data Processing/Data/Phase"] = np.ones((len(ids), 1), np.uint8)
            for key, value in (("X Cells", columns), ("Y Cells", rows)):
                header[key] = np.array([value], np.int32)
            for key in ("X Step", "Y Step"):
                header[key] = np.array([scan.step_um], np.float32)
            for phase in scan.phases:
                group = header.create_group(f"Phases/{phase.id}")
                group["Phase Name"] = [phase.name]
                group["Lattice Dimensions"] = np.full((1, 3), phase.lattice_angstrom, np.float32)
                group["Lattice Angles"] = np.full((1, 3), np.pi / 2, np.float32)
                group["Laue Group"] = np.array([11], np.int32)
                group["Space Group"] = np.array([phase.space_group or 0], np.int32)
        return path

    return write


def _edax_h5(path: Path, scan: Scan) -> Path:
    ids, x, y, euler, quality = _columns(scan)
    with h5py.File(path, "w") as file:
        file[" Manufacturer"], file[" Version"] = [b"EDAX"], [b"OIM Analysis 8"]
        data, header = file.create_group("Scan 1/EBSD/Data"), file.create_group("Scan 1/EBSD/Header")
        euler = np.where(ids[:, None] == 0, 4 * np.pi, euler).astype(np.float32)
        for name, angle in zip(("Phi1", "Phi", "Phi2"), euler.T, strict=True):
            data[name] = angle
        data["X Position"], data["Y Position"] = x.astype(np.float32), y.astype(np.float32)
        data["IQ"], data["CI"] = quality, np.where(ids == 0, -1, 0.5).astype(np.float32)
        data["Phase"] = ids.astype(np.int8)
        header["Grid Type"], header["Step X"], header["Step Y"] = [b"SqrGrid"], [scan.step_um], [scan.step_um]
        header["nRows"], header["nColumns"] = [scan.shape[0]], [scan.shape[1]]
        for phase in scan.phases:
            group = header.create_group(f"Phase/{phase.id}")
            group["MaterialName"], group["Symmetry"] = [phase.name.encode()], [43]
            for k in "abc":
                group[f"Lattice Constant {k}"] = [np.float32(phase.lattice_angstrom)]
            for k in ("alpha", "beta", "gamma"):
                group[f"Lattice Constant {k}"] = [np.float32(90)]
    return path
