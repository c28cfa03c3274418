"""The final trial: the run against the baseline's runs (Fig. 5), its images (Fig. 6), losses, machine, money."""

from datetime import datetime
from typing import Any

from analysis import figures
from analysis.figures.losses import losses_figure
from analysis.findings import Findings
from analysis.micrographs import contact_sheet
from analysis.qpu_runs import QpuRun, placed
from analysis.sections.pictures import Picture, picture
from analysis.single_run import SingleRun

SHOWN = 4  # images of every row
DPI = 120


def values(findings: Findings) -> dict[str, Any] | None:
    runs = findings.qpu_runs
    return {"final": [_run(findings, run) for run in runs]} if runs else None


def _run(findings: Findings, run: QpuRun) -> dict[str, Any]:
    plan, journal = findings.plan, run.journal
    found = placed(run, findings.results)
    place = found if isinstance(found, SingleRun) else None
    losses = run.losses()
    return {
        "name": run.name,
        "described": run.described,
        "gains": run.described.get("gains") or {},
        "epoch": run.epoch,
        "horizon": max(plan.horizons),
        "place": place,
        "reason": "" if place else found,
        "curve": _curve(findings, run) if run.epoch else None,
        "losses": picture(
            losses_figure(losses, colour=findings.colour(run), update_epochs=run.described["update_epochs"]),
            f"Loss of every SPSA evaluation, {run.name}",
        )
        if len(losses)
        else None,
        "images": _images(run),
        "journal": journal,
        "cycles": [_cycle(number, each) for number, each in enumerate((journal or {}).get("cycles", []), 1)],
        "hours": _hours(journal) if journal else None,
    }


def _curve(findings: Findings, run: QpuRun) -> Picture:
    from analysis.figures.catalogue import final_trial_figure

    return picture(final_trial_figure(findings, run).figure, f"{run.name} among the runs of {findings.plan.baseline}")


def _images(run: QpuRun) -> Picture | None:
    images = run.images()
    if images is None or not images.last_epoch:
        return None
    rows = [("real", images.real[:SHOWN]), (run.name, images.generated(images.last_epoch)[:SHOWN])]
    sheet = contact_sheet(rows, images.channels, images.step_um)
    caption = f"Epoch {images.last_epoch}, images 0 to {SHOWN - 1}, not picked."
    return Picture(figures.png(sheet, DPI), f"Real and generated images by channel, {run.name}", caption)


def _cycle(number: int, record: dict[str, Any]) -> dict[str, Any]:
    """One row: the machine as an update event began."""
    calibration = record.get("characterization") or {}
    fidelity = calibration.get("fidelity") or {}
    return {
        "number": number,
        "time": str(record.get("time", ""))[:16].replace("T", " "),
        "calibrated": str(calibration.get("date") or "")[:16].replace("T", " "),
        "id": str(calibration.get("id") or "none")[:8],
        "fidelity": {name: (fidelity.get(name) or {}).get("median") for name in ("1q", "2q", "spam")},
        "queue_s": None if (queue := record["machine"].get("queue_ms")) is None else queue / 1000,
        "drifts": len(record.get("drifts", [])),
    }


def _hours(journal: dict[str, Any]) -> float | None:
    """From the first order to the last result."""
    first, last = journal.get("first_order"), journal.get("last_result")
    if not (first and last):
        return None
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds() / 3600
