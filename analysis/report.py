"""One self-contained HTML report of relative improvement from a study's results folder."""

import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from analysis import answer, figures, quality
from analysis.effects import FAILURES, Comparison, compare, signed_percent, win_rate
from analysis.errors import ResultsError
from analysis.inference import Interval
from analysis.micrographs import contact_sheet
from analysis.results import Results

SWAPS = ("fair", "marginals", "shuffled")  # priors that stand in for a trained one
IMAGES = 3  # of each arm and of the real ones in an image grid
# arXiv 2504.08728, QCBM against Bernoulli
PUBLISHED = {
    "ferrite": "+22 % to +99 %, every cell positive",
    "bainite": "−45 % to +150 %, 7 of 10 cells positive (95 % interval 35 % to 93 %, two-sided p = 0.34)",
}


def write_report(results: Results, output: Path) -> Path:
    """Write the report of a study to `output`, whole or not at all.

    A study that has just begun gets a report that says what cannot be said yet; an output that cannot be written is
    a ResultsError.
    """
    if not output.parent.is_dir() or output.is_dir():
        raise ResultsError(f"{output}: cannot be written; name a file in a folder that exists")
    html = render(results)
    handle, temporary = tempfile.mkstemp(dir=output.parent, prefix=output.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(html)
        os.chmod(temporary, 0o644)
        os.replace(temporary, output)
    except BaseException:
        os.unlink(temporary)
        raise
    return output


def render(results: Results) -> str:
    """The report as HTML."""
    comparison = compare(results)
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
        "interval": lambda row: answer.interval_text(Interval(row["d"], row["low"], row["high"], 0)),
        "plural": answer.plural,
        "wins": answer.win_text,
    }
    return environment.get_template("report.html").render(
        plan=results.plan,
        answers=answer.answers(results, comparison),
        caveats=answer.caveats(results, comparison),
        counts=answer.trial_counts(results),
        colours=figures.arm_colours(results.plan.arms),
        effects=comparison.cells.to_dict("records"),
        horizon=comparison.horizon,
        published=PUBLISHED.get(str(results.plan.data.get("microstructure"))),
        **_what_was_run(results),
        **_figures(results, comparison),
        wins=_wins(comparison),
        **_quality(results),
        grids=[_image_grid(results, cell) for cell in results.cells],
        failures=_failures(results, comparison),
        **_provenance(results),
    )


def _mmd(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    text = f"{value:z.5f}" if abs(value) < 0.001 else f"{value:#.3g}".rstrip(".")
    return text.replace("-", "−")


def _what_was_run(results: Results) -> dict[str, Any]:
    planned = results.plan.trials
    counts: dict[tuple[str, str], str] = {}
    for cell in results.cells:
        for arm in results.plan.arms:
            here = Counter(results.status(t.key) for t in planned if (t.cell_name, t.arm) == (cell, arm))
            counts[cell, arm] = ", ".join(f"{here[status]} {status}" for status in sorted(here)) or "–"
    seen = [attempt["last_seen"] for each in results.records.values() for attempt in each.attempts]
    seconds = [curve["seconds"][-1].as_py() for curve in results.curves.values() if len(curve)]
    return {
        "cells": results.cells,
        "status": counts,
        "replicates": {
            arm: len({trial.replicate for trial in planned if trial.arm == arm}) for arm in results.plan.arms
        },
        "last_seen": str(max(seen)).replace("T", " ")[:16] + " UTC" if seen else None,
        "minutes": sum(each or 0 for each in seconds) / 60,
    }


def _figures(results: Results, comparison: Comparison) -> dict[str, Any]:
    plan = results.plan
    colours = figures.arm_colours(plan.arms)
    epochs, scores = results.scored_epochs(), comparison.scores
    final = scores[scores["horizon"] == max(plan.horizons)]
    curves = {
        cell: figures.svg(
            figures.mmd_figure(
                epochs[epochs["cell"] == cell],
                final[final["cell"] == cell],
                colours=colours,
                window=plan.window,
                horizons=plan.horizons,
                title=cell,
            )
        )
        for cell in results.cells
    }
    improvement = None
    if comparison.horizon is not None:
        pairs, cells = comparison.pairs, comparison.cells
        improvement = figures.svg(
            figures.forest_figure(
                pairs[(pairs["horizon"] == comparison.horizon) & (pairs["state"] == "scored")],
                cells[(cells["horizon"] == comparison.horizon) & np.isfinite(cells["d"])],
                comparison.pooled,
                colours=colours,
            )
        )
    return {"curves": curves, "improvement": improvement}


def _wins(comparison: Comparison) -> list[dict[str, Any]]:
    pairs = comparison.pairs[comparison.pairs["horizon"] == comparison.horizon]
    rows = []
    for arm, rate in comparison.pair_wins.items():
        # a lost pair counts as a loss of the arm here, whichever of the two failed
        here = pairs[(pairs["arm"] == arm) & pairs["state"].isin(["scored", "failed"])]
        strict = win_rate(here["d"].fillna(-1.0)) if here["d"].isna().any() else None
        rows.append({"arm": arm, "pairs": rate, "strict": strict, "cells": comparison.cell_wins[arm]})
    return rows


def _quality(results: Results) -> dict[str, Any]:
    """Every full score of every arm and swapped prior beside its floor, at the last epoch that all arms have."""
    summary = quality.summarise(quality.latest(quality.full_scores(results)))
    if summary.empty:
        return {"profile": None, "quality": []}
    tables = []
    for (cell, epoch), here in summary.groupby(["cell", "epoch"], sort=False):
        own, swaps = here[here["prior"] == quality.OWN], here[here["prior"] != quality.OWN]
        arms = [arm for arm in results.plan.arms if (own["arm"] == arm).any()]
        values = own.set_index(["score", "arm"])["value"].to_dict()
        floors = own.groupby("score")["floor"].mean().to_dict()
        rows = [
            {"about": about, "floor": floors[name], "values": [values.get((name, arm), np.nan) for arm in arms]}
            for name, about in quality.QUALITY.items()
            if name in floors
        ]
        channels = quality.channel_means(results, str(cell), int(str(epoch)))
        means = channels.groupby(["channel", "arm"], sort=False)["value"].mean().to_dict()
        for name, floor in channels.groupby("channel", sort=False)["floor"].mean().items():
            about = {
                "label": f"MMD of {str(name).replace('_', ' ')}",
                "unit": "",
                "meaning": f"unbiased, of this channel alone; mean of the last {results.plan.window} epochs",
            }
            rows.append({"about": about, "floor": floor, "values": [means.get((name, arm), np.nan) for arm in arms]})
        known = here[here["score"] == "mmd_u"].set_index(["arm", "prior"])["value"].to_dict()
        swapped = [
            {"arm": arm, "values": [known.get((arm, prior), np.nan) for prior in (quality.OWN, *SWAPS)]}
            for arm in dict.fromkeys(swaps["arm"])
        ]
        tables.append({"cell": cell, "epoch": epoch, "arms": arms, "rows": rows, "swaps": swapped})
    profile = figures.profile_figure(summary, colours=figures.arm_colours(results.plan.arms))
    return {"profile": figures.svg(profile), "quality": tables}


def _image_grid(results: Results, cell: str) -> dict[str, str]:
    """Real and generated images of one cell's first replicate with images, as a PNG with its caption."""
    trials = [trial for trial in results.plan.trials if trial.cell_name == cell]
    for replicate in sorted({trial.replicate for trial in trials}):
        arms = {trial.arm: trial.key for trial in trials if trial.replicate == replicate}
        found = {arm: images for arm, key in arms.items() if (images := results.images(key)) is not None}
        if not found:
            continue
        epoch = min(images.last_epoch for images in found.values())
        first = next(iter(found.values()))
        rows = [("real", first.real[:IMAGES])]
        rows += [(arm, images.generated(epoch)[:IMAGES]) for arm, images in found.items()]
        sheet = contact_sheet([row for row in rows if len(row[1])], first.channels, first.step_um)
        missing = [arm for arm in arms if arm not in found]
        caption = f"Replicate {replicate}, epoch {epoch}, images 0 to {IMAGES - 1} of each arm, not picked."
        if missing:
            caption += f" No images yet of {', '.join(missing)}."
        return {"cell": cell, "png": figures.png(sheet), "caption": caption}
    return {"cell": cell, "png": "", "caption": "No trial of this cell has written images yet."}


def _failures(results: Results, comparison: Comparison) -> list[dict[str, Any]]:
    broken = comparison.scores[comparison.scores["state"].isin(["invalid", "unscored"])]
    rows = []
    for trial in results.plan.trials:
        record = results.records.get(trial.key)
        scores = broken[(broken["key"] == trial.key) & (broken["cell"] == trial.cell_name)]
        causes = [
            f"at {horizon} epochs {FAILURES[str(state)]}"
            for horizon, state in scores[["horizon", "state"]].itertuples(index=False)
        ]
        log = ""
        if trial.key in results.damaged:
            causes.append(results.damaged[trial.key])
        elif record is not None and record.status == "failed":
            cause = record.cause or {}
            causes.append(str(cause.get("error", "no cause recorded")))
            log = str(cause.get("log") or "")
        causes += [f"warning at {each}" for each in (record.warnings if record is not None else [])]
        if causes:
            rows.append({"trial": trial, "record": record, "cause": "; ".join(causes), "log": log})
    return rows


def _provenance(results: Results) -> dict[str, Any]:
    """Every value that trials were made with and by how many, and warnings where they differ."""
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
    warnings = [
        f"Trials differ in {name.lower() if name != 'Data hash' else 'their data'} ({len(values)} values): "
        "compare them with care, or run the study again from one state."
        for name, values in seen.items()
        if len(values) > 1 and name in ("Code revision", "Packages", "Data hash")
    ]
    if any("uncommitted" in value for value in seen.get("Code revision", ())):
        warnings.append("Some trials ran with uncommitted changes: no revision holds the code they used.")
    return {"provenance": seen, "warnings": warnings}
