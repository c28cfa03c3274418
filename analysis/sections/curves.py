"""MMD against epoch, one panel per cell (Fig. 3), and which arm trains faster."""

from typing import Any

from analysis import figures
from analysis.answer import convergence_answers
from analysis.figures.catalogue import final_lines
from analysis.findings import Findings
from analysis.sections.pictures import picture


def values(findings: Findings) -> dict[str, Any]:
    rolling, window = findings.windows
    smoothed, final = findings.smoothed, final_lines(findings)
    panels = [
        picture(
            figures.arms_figure(
                smoothed[smoothed["cell"] == cell],
                final[final["cell"] == cell],
                colours=findings.colours,
                rolling=rolling,
                window=window,
                horizons=findings.plan.horizons,
            ),
            f"MMD against epoch, {cell}",
        )
        for cell in findings.results.cells
    ]
    return {
        "panels": panels,
        "rolling": rolling,
        "window": window,
        "speed": convergence_answers(findings.results, threshold=findings.plan.threshold)
        if len(findings.plan.arms) > 1
        else [],
    }
