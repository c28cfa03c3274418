"""How every number is computed, with its formula and source."""

from typing import Any

from analysis.findings import Findings


def values(findings: Findings) -> dict[str, Any]:
    return {"windows": findings.windows}
