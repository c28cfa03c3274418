"""The sections of the report, in the order of the page.

To add one, write two files and one line:

analysis/sections/NAME.py         def values(findings: Findings) -> dict[str, Any] | None: what its template needs;
                                  None where the study has nothing of the kind (its files are missing): no section
analysis/templates/NAME.html      the section's body; import what it needs from macros.html: chip, picture, ...
SECTIONS, below                   Section("NAME", its heading and its link in the contents, NAME.values)

Frames that several sections or figures share are properties of `Findings`. A figure is drawn by a function of frames
in `analysis.figures`, entered in `analysis.figures.catalogue` if `study report --figure` shall draw it, and turned
into a `Picture` by `pictures.picture`, which `{{ picture(NAME) }}` shows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from analysis.findings import Findings
from analysis.sections import (
    confirm,
    curves,
    downstream,
    failures,
    gains,
    images,
    improvement,
    methods,
    prior,
    provenance,
    qpu,
    quality,
    run,
    single,
    study_file,
    wins,
)


@dataclass(frozen=True)
class Section:
    """One section of the report."""

    name: str  # of its template, and its id in the page
    title: str
    values: Callable[[Findings], dict[str, Any] | None]


SECTIONS = [
    Section("run", "What was run", run.values),
    Section("improvement", "Relative improvement", improvement.values),
    Section("confirm", "Chosen cells, on fresh replicates", confirm.values),
    Section("wins", "Win rate", wins.values),
    Section("single", "One run against many", single.values),
    Section("qpu", "The final trial", qpu.values),
    Section("curves", "MMD against epoch", curves.values),
    Section("images", "Images", images.values),
    Section("quality", "Full scores", quality.values),
    Section("downstream", "Worth to a classifier", downstream.values),
    Section("prior", "Trained priors", prior.values),
    Section("gains", "Search of SPSA's gains", gains.values),
    Section("failures", "Cost and failures", failures.values),
    Section("provenance", "Provenance", provenance.values),
    Section("methods", "Methods", methods.values),
    Section("study_file", "Study file", study_file.values),
]
