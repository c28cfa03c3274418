"""Where a number comes from: code, packages, machine and command."""

import platform
import shlex
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "torch", "numpy", "scipy", "pyarrow", "ray", "optuna", "qiskit", "qiskit-aer", "qiskit-aer-gpu", "qiskit-ionq",
)  # fmt: skip


@cache
def collect() -> dict[str, Any]:
    """Provenance of this process, as values for JSON."""
    return {
        "git": _git(),
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "cpu": _cpu(),
        "gpu": _gpu(),
    }


def command() -> str:
    """The command line of this process."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _git() -> dict[str, Any] | None:
    folder = Path(__file__).parent.parent
    try:
        asked = [
            subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=True)
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        ]
    except (OSError, subprocess.SubprocessError):
        return None  # installed without its repository
    return {"revision": asked[0].stdout.strip(), "dirty": bool(asked[1].stdout.strip())}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpu() -> str | None:
    torch = sys.modules.get("torch")  # a plan or a report does not load torch to ask
    return torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else None
