"""Reading a scan, whatever its format: the file's content decides, not its name."""

from collections.abc import Callable, Mapping
from pathlib import Path

from qgan.ebsd.ang import looks_like_ang, read_ang
from qgan.ebsd.phases import CODES
from qgan.ebsd.scan import Scan
from qgan.errors import InputError

_HEAD = 16384  # bytes that tell the format

# (does a file that begins so have the format, its reader): a new format is one file and one line
READERS: tuple[tuple[Callable[[bytes], bool], Callable[[Path, dict[str, int]], Scan]], ...] = (
    (looks_like_ang, read_ang),
)
# what else is met, so that the refusal can name it
_KNOWN: tuple[tuple[bytes, str], ...] = (
    (b"\x89HDF", "an HDF5 scan"),
    (b"Channel Text File", "an Oxford .ctf scan"),
    (b"PAR1", "a Parquet file, not a scan"),
    (b"\x89PNG", "a picture"),
)


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
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if not head:
        raise InputError(f"{path}: the file is empty")
    if b"\0" not in head:
        for has_format, reader in READERS:
            if has_format(head):
                return reader(path, codes)
    what = next((words for start, words in _KNOWN if head.startswith(start)), "not a scan this program knows")
    raise InputError(f"{path}: {what}; supported is EDAX .ang text, so export the map as .ang")
