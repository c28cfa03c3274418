"""The science needs torch, numpy, scipy and pyarrow, and nothing else."""

import importlib.metadata as metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import qgan

PROGRAM = """
import sys
from qgan.ebsd.synthetic import generate
from qgan.prior_settings import PRIOR_SETTINGS, TrainedSettings
from qgan.settings import DataSettings, ScoreSettings, TrainSettings
from qgan.training import train
from qgan.trial import Trial

patches = generate("bainite", 60, seed=0, patch=16)
for name, settings in PRIOR_SETTINGS.items():
    schedule = {"update_every": 1, "train_epochs": 1} if issubclass(settings, TrainedSettings) else {}
    trial = Trial(DataSettings("test", 20), 3, 20, 0, settings(**schedule),
                  TrainSettings(batch_size=8, width=4, critic_latent=name == "qcbm_aan"), ScoreSettings(10))
    rows = list(train(trial, patches, horizons=[2]))
    assert rows[-1].mmd_v > 0
print("trained", len(PRIOR_SETTINGS))
"""


def closure(*names: str) -> set[str]:
    """The distributions and all that they need, as installed here."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # of another platform
        found.add(name)
        waiting += [re.match(r"[\w.-]+", need).group() for need in needs if "extra ==" not in need]  # type: ignore[union-attr]
    return found


def test_every_prior_trains_with_four_packages_only(tmp_path: Path) -> None:
    allowed = closure("torch", "numpy", "scipy", "pyarrow")
    for forbidden in ("h5py", "pandas", "qiskit", "ray", "pydantic", "matplotlib", "click", "PyYAML"):
        assert forbidden.lower() not in allowed
    for name in allowed:
        for file in metadata.files(name) or []:
            top = file.parts[0]
            source, link = Path(str(file.locate())) if len(file.parts) == 1 else None, tmp_path / top
            if top in ("..", "__pycache__") or link.exists():
                continue
            link.symlink_to(source or Path(str(metadata.distribution(name).locate_file(top))))
    (tmp_path / "qgan").symlink_to(Path(qgan.__file__).parent)
    # -I -S: no site-packages, no environment; the folder of links is all there is
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{PROGRAM}"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if not done.stdout.startswith("trained"):
        pytest.fail(done.stdout)
