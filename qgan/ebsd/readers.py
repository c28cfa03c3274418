"""Reading a scan, whatever its format: the file's content decides, not its name."""

from collections.abc import Callable, Mapping
from pathlib import Path

from qgan.ebsd.ang import looks_like_ang, read_ang
from qgan.ebsd.crc import header_of, looks_like_cpr, read_cpr
from qgan.ebsd.ctf import looks_like_ctf, read_ctf
from qgan.ebsd.phases import CODES
from qgan.ebsd.scan import Scan
from qgan.errors import InputError

_HEAD = 16384  # bytes that tell the format

Reader = Callable[[Path, Mapping[str, int]], Scan]


def _looks_like_hdf5(head: bytes) -> bool:
    return head.startswith(b"\x89HDF\r\n\x1a\n")


def _read_hdf5(path: Path, phase_map: Mapping[str, int]) -> Scan:
    from qgan.ebsd.hdf5 import read_hdf5  # h5py only where it is needed

    return read_hdf5(path, phase_map)


# (does a file that begins so have the format, its reader): a new format is one file and one line
READERS: tuple[tuple[Callable[[bytes], bool], Reader], ...] = (
    (_looks_like_hdf5, _read_hdf5),
    (looks_like_ctf, read_ctf),
    (looks_like_cpr, read_cpr),
    (looks_like_ang, read_ang),
)
# what else is met, so that the refusal can name it
_KNOWN: tuple[tuple[bytes, str], ...] = (
    (b"PAR1", "a Parquet file, not a scan"),
    (b"\x89PNG", "a picture"),
)
_SUPPORTED = "supported are .ang, .ctf, .cpr with .crc, .h5oina and EDAX .h5"


def read_scan(path: str | Path, phase_map: Mapping[str, str] | None = None) -> Scan:
    """A scan file as a `Scan`.

    `phase_map`: phase name -> "bcc", "fcc" or "other", for names that do not tell. `InputError`, one sentence, for
    whatever is not a scan.
    """
    path = Path(path)
    codes = {}
    for name, word in (phase_map or {}).items():
        if word.lower() not in CODES:
            raise InputError(f'phase map "{name}={word}": the phase must be bcc, fcc or other', "phase_map")
        codes[name] = CODES[word.lower()]
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name its scans, such as {path}/*.ang")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if not head:
            raise InputError(f"{path}: the file is empty")
        for has_format, reader in READERS:
            if has_format(head) and (reader is _read_hdf5 or b"\0" not in head):
                return reader(path, codes)
        if path.suffix.lower() == ".crc" and (header := header_of(path)):  # records say nothing of themselves
            return read_cpr(header, codes)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    if path.suffix.lower() == ".osc":
        raise InputError(f"{path}: EDAX's .osc format is not published; export the map as .ang from OIM")
    what = next((words for start, words in _KNOWN if head.startswith(start)), "not a scan this program knows")
    raise InputError(f"{path}: {what}; {_SUPPORTED}")
