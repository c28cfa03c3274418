"""The file of a checkpoint."""

import errno
import subprocess
import sys
from pathlib import Path

FULL = """
import resource, signal, sys, torch
from pathlib import Path
from qgan import checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # as good as a full disk
try:
    checkpoint.write(Path(sys.argv[1]), {"theta": torch.zeros(10000)})
except OSError as error:
    print(error.errno)
"""


def test_a_disk_that_takes_no_more_is_an_os_error_and_leaves_nothing(tmp_path: Path) -> None:
    """torch's own writer raises a RuntimeError, which looks like a fault of the trial."""
    command = [sys.executable, "-c", FULL, str(tmp_path / "checkpoint.pt")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(errno.EFBIG)]
    assert not list(tmp_path.iterdir())
