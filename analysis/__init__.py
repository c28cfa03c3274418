"""Reads result tables, draws figures and writes the report. Needs neither torch, ray nor qiskit.

results = analysis.load(Path("results/ferrite"))
print(analysis.summary(results))
analysis.write_report(results, Path("report.html"))

comparison = analysis.compare(results)                   # or compare(results, baseline="frozen")
comparison.arms, comparison.cells, comparison.pairs, comparison.wins, comparison.scores     # frames
analysis.compare_area(results).arms                      # does an arm train faster?
analysis.single_runs(results)                            # one QPU run among the runs of the baseline
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.answer import convergence_answers, sensitivity, summary
    from analysis.confirm import confirm, confirmed, select
    from analysis.convergence import compare_area, compare_epochs, convergence
    from analysis.effects import Comparison, compare, compare_scores
    from analysis.errors import ResultsError
    from analysis.final_scores import broken_values, final_scores
    from analysis.power import Design, Spread, cells_needed, pilot, replicates_needed
    from analysis.report import write_report
    from analysis.results import Results, load
    from analysis.single_run import single_runs

__all__ = [
    "Comparison",
    "Design",
    "Results",
    "ResultsError",
    "Spread",
    "broken_values",
    "cells_needed",
    "compare",
    "compare_area",
    "compare_epochs",
    "compare_scores",
    "confirm",
    "confirmed",
    "convergence",
    "convergence_answers",
    "final_scores",
    "load",
    "pilot",
    "replicates_needed",
    "select",
    "sensitivity",
    "single_runs",
    "summary",
    "write_report",
]

_HOMES = {
    "Comparison": "analysis.effects",
    "Design": "analysis.power",
    "Results": "analysis.results",
    "ResultsError": "analysis.errors",
    "Spread": "analysis.power",
    "broken_values": "analysis.final_scores",
    "cells_needed": "analysis.power",
    "compare": "analysis.effects",
    "compare_area": "analysis.convergence",
    "compare_epochs": "analysis.convergence",
    "compare_scores": "analysis.effects",
    "confirm": "analysis.confirm",
    "confirmed": "analysis.confirm",
    "convergence": "analysis.convergence",
    "convergence_answers": "analysis.answer",
    "final_scores": "analysis.final_scores",
    "load": "analysis.results",
    "pilot": "analysis.power",
    "replicates_needed": "analysis.power",
    "select": "analysis.confirm",
    "sensitivity": "analysis.answer",
    "single_runs": "analysis.single_run",
    "summary": "analysis.answer",
    "write_report": "analysis.report",
}


# Late, because a training process imports analysis.tables only and must not wait for pandas and matplotlib.
def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
