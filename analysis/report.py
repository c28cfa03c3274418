"""One self-contained HTML report of a study: the answer first, then the sections of `analysis.sections`."""

from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup

from analysis import answer
from analysis.effects import signed_percent
from analysis.files import whole_file
from analysis.findings import Findings
from analysis.inference import Interval
from analysis.results import Results
from analysis.sections import SECTIONS, provenance
from analysis.wording import chance_text, interval_text, p_text, plural


def write_report(results: Results, output: Path) -> Path:
    """Write the report of a study to `output`, whole or not at all.

    A study that has just begun gets a report that says what cannot be said yet; an output that cannot be written is
    a ResultsError.
    """
    with whole_file(output) as temporary:
        temporary.write_text(render(results), encoding="utf-8")
    return output


def render(results: Results) -> str:
    """The report as HTML."""
    findings = Findings(results)
    environment = _environment()
    environment.globals |= {"plan": results.plan, "colours": findings.colours, "cells": results.cells}
    bodies = []
    for section in SECTIONS:
        if (values := section.values(findings)) is not None:
            body = environment.get_template(f"{section.name}.html").render(values)
            bodies.append((section, Markup(body)))
    seen = [attempt["last_seen"] for each in results.records.values() for attempt in each.attempts]
    return environment.get_template("report.html").render(
        answers=answer.answers(results, findings.comparison),
        caveats=answer.caveats(results, findings.comparison),
        last_seen=str(max(seen)).replace("T", " ")[:16] + " UTC" if seen else None,
        warnings=provenance.warnings(results),
        sections=bodies,
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": signed_percent,
        "mmd": _mmd,
        "interval": lambda row, low="low", high="high": interval_text(Interval(np.nan, row[low], row[high], 0)),
        "plural": plural,
        "p": p_text,
        "chance": lambda p: chance_text(p).replace(" ", "\u00a0"),
        "nobreak": lambda sentence: sentence.replace(" %", "\u00a0%"),
    }
    return environment


def _mmd(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    text = f"{value:z.5f}" if abs(value) < 0.001 else f"{value:#.3g}".rstrip(".")
    return text.replace("-", "−")
