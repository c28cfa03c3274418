"""Relative improvement: Fig. 4, the forest of cells, the pooled effects and the effect of every cell."""

from typing import Any

from analysis import figures
from analysis.figures.catalogue import CATALOGUE, improvements
from analysis.findings import Findings
from analysis.sections.pictures import Picture, picture


def values(findings: Findings) -> dict[str, Any]:
    comparison = findings.comparison
    forest = None
    if comparison.horizon is not None:
        forest = picture(CATALOGUE["forest"].draw(findings).figure, "Relative improvement per cell and pooled")
    return {
        "forest": forest,
        "panels": _panels(findings) if forest else [],
        "effects": comparison.cells.to_dict("records"),
        "arms": comparison.arms.to_dict("records"),
        "horizon": comparison.horizon,
    }


def _panels(findings: Findings) -> list[Picture]:
    """Fig. 4 as one picture per arm, which a narrow screen can show one below the other."""
    frame = improvements(findings.results, findings.comparison)
    return [
        picture(
            figures.improvement_figure(frame, colours=findings.colours, published=findings.published, only=arm),
            f"Relative improvement of {arm} against the latent dimension",
        )
        for arm in findings.colours
        if (frame["arm"] == arm).any()
    ]
