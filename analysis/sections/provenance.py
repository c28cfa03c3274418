"""What the trials were made with, and where that differs between them."""

from collections import Counter
from typing import Any

from analysis.findings import Findings
from analysis.results import Results
from analysis.revisions import mixed_revisions, revision


def values(findings: Findings) -> dict[str, Any]:
    return {"made_with": made_with(findings.results)}


def made_with(results: Results) -> dict[str, Counter[str]]:
    """Every value that trials were made with, and by how many of them; a trial that went on has made use of several."""
    seen: dict[str, Counter[str]] = {}
    for record in results.records.values():
        for name, value in dict.fromkeys(pair for made in record.origins for pair in _told(made).items()):
            if value:
                seen.setdefault(name, Counter())[value] += 1
    return seen


def _told(made: dict[str, Any]) -> dict[str, str]:
    """One provenance in words; empty where it says nothing."""
    return {
        "Code revision": revision(made["git"]),
        "Python": made.get("python") or "",
        "Packages": ", ".join(f"{name} {version}" for name, version in made.get("packages", {}).items()),
        "CPU": made.get("cpu") or "",
        "GPU": made.get("gpu") or "none",
        "Data hash": made.get("data_hash") or "",
    }


def warnings(results: Results) -> list[str]:
    """Sentences on trials that differ in code, packages or data, or whose code no revision holds."""
    seen = made_with(results)
    warnings = [
        f"Trials differ in {words} ({len(seen[name])} values): "
        "compare them with care, or run the study again from one state."
        for name, words in (("Packages", "packages"), ("Data hash", "their data"))
        if len(seen.get(name, ())) > 1
    ]
    if told := mixed_revisions(results.records.values()):
        warnings.append(f"{told}. Compare them with care, or run the study again from one committed revision.")
    return warnings
