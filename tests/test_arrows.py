"""Arrows point one way: each package is imported in a fresh interpreter and must bring nothing forbidden along."""

import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

PLATFORM = {"ray", "optuna", "pandas", "pydantic", "click", "rich", "matplotlib", "seaborn", "jinja2"}
QGAN = PLATFORM | {"analysis", "study", "search_spaces", "qiskit", "qiskit_aer", "qiskit_ionq"}
ANALYSIS = {"torch", "ray", "qiskit", "qgan", "study", "optuna", "pydantic", "click"}
NO_TORCH = {"torch", "ray", "qiskit", "optuna", "matplotlib", "pandas", "scipy"}


def loaded_after(statements: str) -> set[str]:
    script = f"{statements}\nimport sys; print(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def modules(package: str) -> list[str]:
    paths = import_module(package).__path__
    return [package, *(each.name for each in pkgutil.walk_packages(paths, f"{package}."))]


def test_qgan_needs_neither_platform_nor_analysis() -> None:
    names = modules("qgan")
    assert "qgan.training" in names
    assert not loaded_after("\n".join(f"import {name}" for name in names)) & QGAN


def test_analysis_stands_alone() -> None:
    names = modules("analysis")
    assert "analysis.report" in names
    assert not loaded_after("\n".join(f"import {name}" for name in names)) & ANALYSIS


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("import analysis.tables", ANALYSIS | {"pandas", "matplotlib", "scipy", "jinja2"}),
        ("import qgan.trial", QGAN | {"torch", "numpy", "scipy", "pyarrow"}),
        ("import study.cli", NO_TORCH | {"pyarrow", "numpy", "pydantic"}),
        ("import study.plan, study.spec, study.progress, study.estimate", NO_TORCH),
    ],
)
def test_light_modules_stay_light(statement: str, forbidden: set[str]) -> None:
    assert not loaded_after(statement) & forbidden
