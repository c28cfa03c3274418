"""What the study cost, and every trial that failed, is damaged, has a value that cannot be used or a warning."""

from typing import Any

from analysis.effects import FAILURES
from analysis.figures.catalogue import CATALOGUE
from analysis.final_scores import broken_values
from analysis.findings import Findings
from analysis.sections.pictures import picture
from analysis.wording import plural


def values(findings: Findings) -> dict[str, Any]:
    figure = picture(CATALOGUE["cost"].draw(findings).figure, "Trials by state, and training time")
    return {"figure": figure, "failures": _failures(findings)}


def _failures(findings: Findings) -> list[dict[str, Any]]:
    results, scores = findings.results, findings.comparison.scores
    unusable, unread = broken_values(results), findings.unread
    broken = scores[scores["state"].isin(["invalid", "unscored"])]
    rows = []
    for trial in results.plan.trials:
        record = results.records.get(trial.key)
        here = broken[(broken["key"] == trial.key) & (broken["cell"] == trial.cell_name)]
        causes = [
            f"at {horizon} epochs {FAILURES[str(state)]}"
            for horizon, state in here[["horizon", "state"]].itertuples(index=False)
        ]
        values = unusable[(unusable["key"] == trial.key) & (unusable["cell"] == trial.cell_name)]
        if count := len(values):
            first, epoch = values["mmd_v"].iloc[0], values["epoch"].iloc[0]
            said = f"{plural(count, 'scored epoch')} with an MMD that cannot be logged"
            causes.append(f"{said}, the first {first:g} at epoch {epoch}")
        log = ""
        if trial.key in results.damaged:
            causes.append(results.damaged[trial.key])
        elif record is not None and record.status == "failed":
            cause = record.cause or {}
            causes.append(str(cause.get("error", "no cause recorded")))
            log = str(cause.get("log") or "")
        if trial.key in unread:
            causes.append(unread[trial.key])
        causes += [f"warning at {each}" for each in (record.warnings if record is not None else [])]
        if causes:
            rows.append({"trial": trial, "record": record, "cause": "; ".join(causes), "log": log})
    return rows
