"""What training does to a prior: the entropy of its codes over time."""

from typing import Any

from analysis.figures.catalogue import CATALOGUE
from analysis.findings import Findings
from analysis.sections.pictures import picture


def values(findings: Findings) -> dict[str, Any] | None:
    updates = findings.updates
    if updates.empty or updates["entropy_bits"].isna().all():
        return None
    return {"figure": picture(CATALOGUE["entropy"].draw(findings).figure, "Entropy of the codes against epoch")}
