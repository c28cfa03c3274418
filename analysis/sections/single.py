"""One run of an arm, as on a quantum computer, among the runs of the baseline: rank, exact p, prediction interval."""

from typing import Any

from analysis.figures.catalogue import one_arm_figure
from analysis.findings import Findings
from analysis.sections.pictures import picture
from analysis.single_run import place_single_runs


def values(findings: Findings) -> dict[str, Any] | None:
    comparison = findings.comparison
    runs = place_single_runs(comparison.scores, comparison.baseline)
    if runs.empty:
        return None
    figure = one_arm_figure(findings).figure
    return {"figure": picture(figure, "One run among the runs of the baseline"), "runs": runs.to_dict("records")}
