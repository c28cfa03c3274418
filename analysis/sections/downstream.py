"""Classifiers with and without generated images: what `study trial --downstream` found."""

from typing import Any

from analysis.downstream import downstream_gains
from analysis.findings import Findings


def values(findings: Findings) -> dict[str, Any] | None:
    gains = downstream_gains(findings.results)
    return None if gains.empty else {"rows": gains.to_dict("records")}
