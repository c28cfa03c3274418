"""How often an arm beats the baseline."""

from typing import Any

from analysis.figures.catalogue import CATALOGUE
from analysis.findings import Findings
from analysis.sections.pictures import picture


def values(findings: Findings) -> dict[str, Any]:
    found = findings.comparison
    rows = []
    for arm, rate in found.pair_wins.items():
        strict = found.strict_wins.get(arm)
        rows.append({
            "arm": arm,
            "pairs": rate,
            "strict": strict if strict != rate else None,
            "cells": found.cell_wins[arm],
        })  # fmt: skip
    figure = picture(CATALOGUE["wins"].draw(findings).figure, "Win rates with their intervals") if rows else None
    return {"figure": figure, "wins": rows, "horizon": found.horizon, "published": findings.published}
