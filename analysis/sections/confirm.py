"""Cells chosen by some replicates, quoted on the others."""

from typing import Any

from analysis.findings import Findings


def values(findings: Findings) -> dict[str, Any] | None:
    """None where the study file has no section `confirm:`."""
    if findings.confirmed is None:
        return None
    return {"rows": findings.confirmed.to_dict("records"), "declared": findings.plan.confirm}
