"""The search of SPSA's gains: what it found, and by how much it beats SPSA's own calibration on fresh seeds."""

from typing import Any

from analysis.figures.catalogue import CATALOGUE
from analysis.findings import Findings
from analysis.gains import GAINS
from analysis.sections.pictures import picture

_SLICES = "Darker: later candidates, with the standard error over seeds; given up: after the first seeds."


def values(findings: Findings) -> dict[str, Any] | None:
    search = findings.gains
    if search is None:
        return None
    candidates = search.candidates
    states = candidates["state"].value_counts()
    return {
        "slices": picture(CATALOGUE["gains"].draw(findings).figure, "The objective against every gain", _SLICES),
        "progress": picture(CATALOGUE["gains-progress"].draw(findings).figure, "Best so far, and losses of a cycle"),
        "states": {state: int(states[state]) for state in ("done", "pruned", "failed", "running") if state in states},
        "candidates": len(candidates),
        "failures": candidates.loc[candidates["state"] == "failed", ["number", "cause"]].to_dict("records"),
        "objective": search.objective,
        "names": GAINS,
        "found": search.found,
        "front": candidates[candidates["on_front"]].sort_values("circuits").to_dict("records"),
    }
