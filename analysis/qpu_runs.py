"""The final trials of a study, each with its circuits on a machine or on what stands in for one: results/STUDY/qpu."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.errors import ResultsError
from analysis.final_scores import ScoredCurve, final_scores
from analysis.location import Place
from analysis.records import TrialRecord, read_trial
from analysis.results import SCORED, Images, Results
from analysis.single_run import SingleRun, single_run
from analysis.tables import read_curve

LOSSES = ["evaluation", "cycle", "kind", "loss"]
_DESCRIBED = {"arm", "cell_name", "replicate", "backend", "update_epochs", "circuits", "circuits_per_cycle", "gains"}


@dataclass(frozen=True)
class QpuRun:
    """One folder results/STUDY/qpu/RUN."""

    folder: Place
    described: dict[str, Any]  # qpu.json: arm, cell, backend, machine, update_epochs, circuits, gains, ...
    record: TrialRecord | None
    curve: pa.Table | None  # the columns SCORED
    journal: dict[str, Any] | None  # journal.json; None for a simulated backend, or before the first cycle

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def hardware(self) -> bool:
        """Whether a real machine measures its circuits: neither a simulator nor a rehearsal."""
        return str(self.described["backend"]).startswith("qpu.")

    @property
    def begun(self) -> str:
        """When it was started or, where that is not recorded, ordered first: ISO 8601 UTC; empty where unknown."""
        started = self.record.attempts[0]["start"] if self.record and self.record.attempts else None
        return str(started or (self.journal or {}).get("first_order") or "")

    @property
    def epoch(self) -> int:
        """The last epoch of its curve."""
        return 0 if self.curve is None else pc.max(self.curve["epoch"]).as_py() or 0

    def epochs(self) -> pd.DataFrame:
        """One row per scored epoch, like `Results.scored_epochs`; the arm is the run's name."""
        names = ["epoch", "mmd_v", "floor_v"]
        if self.curve is None:
            return pd.DataFrame(columns=["arm", "cell", "replicate", *names])
        scored: pd.DataFrame = self.curve.select(names).filter(pc.is_valid(self.curve["mmd_v"])).to_pandas()
        place = {"arm": self.name, "cell": self.described["cell_name"], "replicate": self.described["replicate"]}
        return scored.assign(**place)

    def losses(self) -> pd.DataFrame:
        """One row per SPSA evaluation: evaluation (1 ...), cycle (1 ...), kind: plus | minus | final, loss."""
        calls = sorted((int(call), losses) for call, losses in (self.journal or {}).get("losses", {}).items())
        told = [(loss, kind) for _, losses in calls for loss, kind in zip(losses, _kinds(losses), strict=True)]
        size = int(self.described["circuits_per_cycle"])
        rows = [(number + 1, number // size + 1, kind, loss) for number, (loss, kind) in enumerate(told)]
        return pd.DataFrame(rows, columns=LOSSES)

    def images(self) -> Images | None:
        """Its images; None where it has written none, or they are damaged."""
        return Images.of(self.folder)


def qpu_runs(results: Results) -> list[QpuRun]:
    """All final trials that have begun, those on hardware first, then the latest first; a damaged one is left out."""
    home = results.folder / "qpu"
    if not home.is_dir():
        return []
    folders: list[Place] = sorted(home.iterdir(), key=str)
    found = [_read(folder) for folder in folders if (folder / "qpu.json").is_file()]
    return sorted(filter(None, found), key=lambda run: (run.hardware, run.begun), reverse=True)


def placed(run: QpuRun, results: Results) -> SingleRun | str:
    """The run among the baseline's runs of its cell at the longest horizon, or why it cannot be placed."""
    horizon = max(results.plan.horizons)
    if run.epoch < horizon:
        return f"at epoch {run.epoch} of {horizon}"
    assert run.curve is not None
    state, metrics = ScoredCurve(run.curve).score(horizon, min(results.plan.window, horizon))
    if state != "scored":
        return "its final window has no MMD that can be logged"
    scores = final_scores(results)
    rivals = scores[
        (scores["arm"] == results.plan.baseline)
        & (scores["cell"] == run.described["cell_name"])
        & (scores["horizon"] == horizon)
        & (scores["state"] == "scored")
    ]
    if rivals.empty:
        return f"no run of {results.plan.baseline} is scored in its cell"
    return single_run(metrics[0], np.asarray(rivals["mmd_v"], dtype=float))


def _read(folder: Place) -> QpuRun | None:
    try:
        described = json.loads((folder / "qpu.json").read_text())
        if not isinstance(described, dict) or _DESCRIBED - described.keys():
            return None
        record = read_trial(folder)
        curve = read_curve(folder / "curve.parquet", SCORED) if (folder / "curve.parquet").is_file() else None
        path = folder / "journal.json"
        journal = json.loads(path.read_text()) if path.is_file() else None
    except (ValueError, ResultsError):
        return None
    return QpuRun(folder, described, record, curve, journal)


def _kinds(losses: list[float]) -> list[str]:
    return ["plus", "minus"] if len(losses) == 2 else ["final"]
