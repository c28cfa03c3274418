"""Relative improvement: Fig. 4, the forest of cells, the pooled effects and the effect of every cell."""

from typing import Any

from analysis.figures.catalogue import CATALOGUE
from analysis.findings import Findings
from analysis.sections.pictures import picture


def values(findings: Findings) -> dict[str, Any]:
    comparison = findings.comparison
    drawn = comparison.horizon is not None
    return {
        "forest": _draw(findings, "forest", "Relative improvement per cell and pooled") if drawn else None,
        "improvement": _draw(findings, "improvement", "Relative improvement against the latent dimension")
        if drawn
        else None,
        "effects": comparison.cells.to_dict("records"),
        "arms": comparison.arms.to_dict("records"),
        "horizon": comparison.horizon,
    }


def _draw(findings: Findings, name: str, alt: str) -> Any:
    return picture(CATALOGUE[name].draw(findings).figure, alt)
