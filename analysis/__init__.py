"""Reads result tables, draws figures and writes the report. Needs neither torch, ray nor qiskit.

results = analysis.load(Path("results/ferrite"))
print(analysis.summary(results))
analysis.write_report(analysis.load(Path("results/ferrite")), Path("report.html"))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.answer import summary
    from analysis.effects import compare
    from analysis.errors import ResultsError
    from analysis.report import write_report
    from analysis.results import Results, load

__all__ = ["Results", "ResultsError", "compare", "load", "summary", "write_report"]

_HOMES = {
    "Results": "analysis.results",
    "ResultsError": "analysis.errors",
    "compare": "analysis.effects",
    "load": "analysis.results",
    "summary": "analysis.answer",
    "write_report": "analysis.report",
}


# Late, because a training process imports analysis.tables only and must not wait for pandas and matplotlib.
def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
