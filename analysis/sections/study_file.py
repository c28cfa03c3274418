"""The study file, verbatim."""

from typing import Any

from analysis.findings import Findings


def values(findings: Findings) -> dict[str, Any]:
    return {}
