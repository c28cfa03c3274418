"""`study rehearsal` as typed by a user."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from qgan.ionq.client import Ionq
from study.cli import main


def test_it_serves_until_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "study", "rehearsal", "--port", "0", "--log", str(tmp_path / "log.jsonl")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("rehearsing at http://127.0.0.1:")
        url = line.split()[2].rstrip(":")
        assert "qpu.aria-2" in {machine.name for machine in Ionq("qpu.aria-2", url).machines()}
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert out.startswith("0 jobs, which IonQ would have charged $0.00")
    assert "backends" in (tmp_path / "log.jsonl").read_text()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--fault", "post:teapot"], "fault 'post:teapot' is not WHERE:WHAT"),
        (["--port", "0", "--host", "192.0.2.1"], "port 0 of 192.0.2.1 cannot be used"),
    ],
)
def test_wrong_options_get_one_sentence(options: list[str], says: str) -> None:
    result = CliRunner().invoke(main, ["rehearsal", *options])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"study: {says}")
    assert result.stderr.count("\n") == 1
