"""How often an arm beats the baseline."""

from typing import Any

from analysis.figures.catalogue import CATALOGUE
from analysis.findings import Findings
from analysis.sections.pictures import picture


def values(findings: Findings) -> dict[str, Any]:
    found = findings.comparison
    rows = found.wins.to_dict("records")
    figure = picture(CATALOGUE["wins"].draw(findings).figure, "Win rates with their intervals") if rows else None
    return {"figure": figure, "wins": rows, "horizon": found.horizon, "published": findings.published}
