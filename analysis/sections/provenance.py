"""What the trials were made with, and where that differs between them."""

from collections import Counter
from typing import Any

from analysis.findings import Findings
from analysis.results import Results


def values(findings: Findings) -> dict[str, Any]:
    return {"made_with": made_with(findings.results)}


def made_with(results: Results) -> dict[str, Counter[str]]:
    """Every value that trials were made with, and by how many of them."""
    seen: dict[str, Counter[str]] = {}
    for record in results.records.values():
        made = record.provenance
        git = made.get("git") or {}
        dirty = " with uncommitted changes" if git.get("dirty") else ""
        values = {
            "Code revision": (git.get("revision") or "unknown")[:12] + dirty,
            "Python": made.get("python"),
            "Packages": ", ".join(f"{name} {version}" for name, version in made.get("packages", {}).items()),
            "CPU": made.get("cpu"),
            "GPU": made.get("gpu") or "none",
            "Data hash": made.get("data_hash"),
        }
        for name, value in values.items():
            if value:
                seen.setdefault(name, Counter())[str(value)] += 1
    return seen


def warnings(results: Results) -> list[str]:
    """Sentences on trials that differ in code, packages or data, or whose code no revision holds."""
    seen = made_with(results)
    warnings = [
        f"Trials differ in {name.lower() if name != 'Data hash' else 'their data'} ({len(values)} values): "
        "compare them with care, or run the study again from one state."
        for name, values in seen.items()
        if len(values) > 1 and name in ("Code revision", "Packages", "Data hash")
    ]
    if any("uncommitted" in value for value in seen.get("Code revision", ())):
        warnings.append("Some trials ran with uncommitted changes: no revision holds the code they used.")
    return warnings
