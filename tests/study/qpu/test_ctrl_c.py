"""Ctrl-C as a person types it: on a terminal that `study qpu` runs in the foreground of."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qgan.ionq.rehearsal.server import RehearsalServer

from .fault_free import angles, fault_free

CIRCUITS = 15  # two cycles of 7, and one for the first codes
PROMPT = "c, d or g: "


class Terminal:
    """A command in a terminal of its own, with what it has printed."""

    def __init__(self, words: list[str]) -> None:
        self.printed = ""
        self.process, self.keyboard = pty.fork()
        if not self.process:
            os.execv(words[0], words)

    def type(self, text: str) -> None:
        os.write(self.keyboard, text.encode())

    def wait_for(self, ready: Callable[[], object], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < deadline, self.printed
            self._read(0.05)

    def shows(self, text: str) -> None:
        """Wait until the text is on the screen, and look no further back than it from now on."""
        self.wait_for(lambda: text in self.printed)
        self.printed = self.printed.partition(text)[2]

    def ended(self) -> int:
        """The exit code, once the command has ended."""
        while self._read(120):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])

    def _read(self, seconds: float) -> bool:
        """False once the terminal is closed."""
        if not select.select([self.keyboard], [], [], seconds)[0]:
            return True
        try:
            found = os.read(self.keyboard, 4096)
        except OSError:  # how Linux says that the other side is closed
            return False
        self.printed += found.decode(errors="replace")
        return bool(found)


@pytest.fixture
def server() -> Iterator[RehearsalServer]:
    """Jobs take long enough for a person to read a question."""
    with RehearsalServer(execution_s=0.3) as running:
        yield running


@pytest.fixture
def words(write: Callable[..., Path], server: RehearsalServer) -> list[str]:
    options = ["--backend", "qpu.aria-2", "--url", server.url, "--yes", "--max-usd", "1000"]
    return [sys.executable, "-m", "study", "qpu", str(write()), *options]


@pytest.mark.faults
def test_asked_on_ctrl_c_one_goes_on_or_detaches(words: list[str], server: RehearsalServer, tmp_path: Path) -> None:
    terminal = Terminal(words)
    terminal.wait_for(lambda: len(server.service.jobs) >= 2)
    terminal.type("\x03")
    terminal.shows("[d]etach: leave the jobs at the service")
    terminal.shows(PROMPT)
    terminal.type("x\n")
    terminal.shows("is not one of")
    terminal.shows(PROMPT)
    terminal.type("g\n")
    before = len(server.service.jobs)
    terminal.wait_for(lambda: len(server.service.jobs) >= before + 2)
    terminal.type("\x03")
    terminal.shows(PROMPT)
    terminal.type("\x03")  # as good as d
    assert terminal.ended() == 130
    assert "detached: what is ordered stays ordered" in terminal.printed
    assert {job.status for job in server.service.jobs.values()} <= {"completed", "started", "ready", "submitted"}
    assert len(server.service.jobs) < CIRCUITS


@pytest.mark.faults
def test_cancelled_the_same_command_goes_on(words: list[str], server: RehearsalServer, tmp_path: Path) -> None:
    terminal = Terminal(words)
    terminal.wait_for(lambda: len(server.service.jobs) >= 4)
    terminal.type("\x03")
    terminal.shows(PROMPT)
    terminal.type("c\n")
    assert terminal.ended() == 130
    assert "cancelled: what had not begun is called off" in terminal.printed
    again = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stdout + again.stderr
    jobs = list(server.service.jobs.values())
    assert sum(job.status == "completed" for job in jobs) == CIRCUITS  # a cancelled one costs nothing
    assert {job.status for job in jobs} <= {"completed", "canceled"}
    (folder,) = [path.parent for path in tmp_path.glob("results/tiny/qpu/*/qpu.json")]
    assert angles(tmp_path / "tiny.yaml", folder) == fault_free(tmp_path / "tiny.yaml")
