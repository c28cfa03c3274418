"""Which process is which, and whether it still runs."""

import hashlib
import os
import socket
from pathlib import Path


def place() -> str:
    """What process numbers are unique in: this boot of this machine, and its PID namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return socket.gethostname()


def runs(process: int) -> bool:
    """Whether a process of this place runs; one that ended and that nobody has asked for does not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (OSError, IndexError):
        return True


def stamp() -> str:
    """This process, as the beginning of a name of what it leaves if it is killed; see `abandoned`."""
    return f"{_here()}-{os.getpid()}-"


def abandoned(name: str) -> bool:
    """Whether a name begins with the stamp of a process of this place that runs no more."""
    process = name.removeprefix(f"{_here()}-").partition("-")[0]
    return process.isdigit() and not runs(int(process))


def _here() -> str:
    return hashlib.sha256(place().encode()).hexdigest()[:8]
