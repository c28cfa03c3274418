"""The results of one study, read once: the plan, every trial's record, curve and full scores."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.errors import ResultsError, UnreachableError
from analysis.location import Place, Remote, locate
from analysis.records import Plan, TrialRecord, read_plan, read_trial
from analysis.tables import read_curve, read_images, read_scores

SCORED = ["epoch", "mmd_v", "mmd_u", "floor_v", "floor_u"]  # what is read of every curve
_REMOTE_READERS = 32  # requests at once: their time is spent waiting
_R = TypeVar("_R")


@dataclass(frozen=True)
class Images:
    """images.parquet of one trial: a few real and generated images, always of the same codes and patches."""

    table: pa.Table
    channels: list[dict[str, Any]]  # see PATCHES_KEY
    height: int
    width: int
    step_um: float | None  # width of a pixel, um

    @classmethod
    def of(cls, home: Place) -> "Images | None":
        """Those in a trial's folder; None where there are none, or none that can be read."""
        try:
            table, footer = read_images(home / "images.parquet")
            return cls(table, footer["channels"], footer["height"], footer["width"], footer.get("step_um"))
        except (ResultsError, KeyError):
            return None

    @property
    def last_epoch(self) -> int:
        """The last marked epoch with generated images, 0 where there is none."""
        return pc.max(self._of("generated")["epoch"]).as_py() or 0

    @property
    def epochs(self) -> list[int]:
        """The marked epochs with generated images, ascending."""
        return sorted(set(self._of("generated")["epoch"].to_pylist()))

    @property
    def real(self) -> NDArray[np.uint8]:
        """Real images by index: (k, channels, height, width)."""
        real = self._of("real")
        return self._pixels(real.filter(pc.equal(real["epoch"], pc.min(real["epoch"]))))

    def generated(self, epoch: int) -> NDArray[np.uint8]:
        """Images generated at a marked epoch, by index: (k, channels, height, width)."""
        generated = self._of("generated")
        return self._pixels(generated.filter(pc.equal(generated["epoch"], epoch)))

    def _of(self, kind: str) -> pa.Table:
        return self.table.filter(pc.equal(self.table["kind"], kind))

    def _pixels(self, rows: pa.Table) -> NDArray[np.uint8]:
        flat = b"".join(rows.sort_by("index")["image"].to_pylist())
        return np.frombuffer(flat, np.uint8).reshape(-1, len(self.channels), self.height, self.width)


@dataclass(frozen=True)
class Results:
    """What a study's folder holds of its plan; trials that are not in plan.json are not here."""

    folder: Place
    plan: Plan
    records: dict[str, TrialRecord]  # by key, of every trial that has begun
    curves: dict[str, pa.Table]  # by key, the columns SCORED of every trial that has written a curve
    damaged: dict[str, str]  # by key: what is wrong with the trial's files, and the way out
    unread: dict[str, str] = field(default_factory=dict)  # the same of what is read later: see `columns`, `full_scores`
    now: datetime = field(default_factory=lambda: datetime.now(UTC))  # when a trial that is silent counts as dead

    def status(self, key: str) -> str:
        """pending | running | done | failed | damaged."""
        if key in self.damaged:
            return "damaged"
        record = self.records.get(key)
        if record is None:
            return "pending"
        if record.status == "failed":
            return "failed"
        if record.horizon >= max(self.plan.horizons):
            return "done"
        # a plan that got a longer horizon makes a finished trial unfinished again
        return "running" if record.status == "running" and record.alive(self.now) else "pending"

    @property
    def cells(self) -> list[str]:
        """The names of the study's cells, in the plan's order."""
        return list(dict.fromkeys(trial.cell_name for trial in self.plan.trials))

    def only(self, cell: str) -> "Results":
        """The same results, of the cells that have all grid values of `cell`: latent_dim=8,images=256."""
        trials = [trial for trial in self.plan.trials if trial.fits(cell)]
        if not trials:
            raise ResultsError(f"no cell fits {cell}; {self.folder} has: {'; '.join(self.cells)}")
        return replace(self, plan=replace(self.plan, trials=trials))

    def scored_epochs(self) -> pd.DataFrame:
        """One row per planned trial and scored epoch: arm, cell, replicate, epoch, mmd_v, floor_v."""
        found = []
        for trial in self.plan.trials:
            if trial.key in self.curves:
                curve = self.curves[trial.key].select(["epoch", "mmd_v", "floor_v"])
                found.append((trial, curve.filter(pc.is_valid(curve["mmd_v"]))))
        if not found:
            return pd.DataFrame(columns=["arm", "cell", "replicate", "epoch", "mmd_v", "floor_v"])
        lengths = [len(scored) for _, scored in found]
        names = {"arm": [trial.arm for trial, _ in found], "cell": [trial.cell_name for trial, _ in found]}
        # categories: millions of rows hold a few names
        columns: dict[str, Any] = {
            name: pd.Categorical(each, list(dict.fromkeys(each))).repeat(lengths) for name, each in names.items()
        }
        columns["replicate"] = np.repeat([trial.replicate for trial, _ in found], lengths)
        table = pa.concat_tables([scored for _, scored in found])
        return pd.DataFrame(columns | {name: table[name].to_numpy() for name in table.column_names})

    def columns(self, names: Sequence[str]) -> dict[str, pa.Table]:
        """More columns of CURVE, by key, of every planned trial that has a curve.

        A curve whose columns turn out damaged is left out and named in `unread`.
        """
        return self._later("curve.parquet", lambda path: read_curve(path, names))

    def full_scores(self) -> dict[str, pa.Table]:
        """SCORES, by key, of every planned trial that was scored in full; a damaged one is named in `unread`."""
        return self._later("scores.parquet", lambda path: read_scores(path) if path.exists() else None)

    def _later(self, name: str, read: Callable[[Place], pa.Table | None]) -> dict[str, pa.Table]:
        keys = [key for key in dict.fromkeys(trial.key for trial in self.plan.trials) if key in self.curves]
        tables = _at_once(_or_error(lambda key: read(self.folder / "trials" / key / name)), keys, self.folder)
        self.unread.update(
            {key: str(each) for key, each in zip(keys, tables, strict=True) if isinstance(each, Exception)}
        )
        return {key: each for key, each in zip(keys, tables, strict=True) if isinstance(each, pa.Table)}

    def images(self, key: str) -> Images | None:
        """The images of a trial; None where it has written none, or none that can be read."""
        return Images.of(self.folder / "trials" / key)


def load(folder: str | Place, *, now: datetime | None = None) -> Results:
    """The results of the study whose folder is `<results>/<study>`, finished or half finished.

    The folder is a local path or a URI (s3://bucket/results/ferrite). A damaged trial is named in `Results.damaged`
    and left out; a folder without a plan is a ResultsError. A trial that is silent at `now`, the time of the call by
    default, is not running.
    """
    folder = locate(folder)
    plan = read_plan(folder)
    results = Results(folder, plan, {}, {}, {}, now=now or datetime.now(UTC))
    keys = list(dict.fromkeys(trial.key for trial in plan.trials))
    trials = folder / "trials"
    listed = trials.listed() if isinstance(trials, Remote) else None

    def read(key: str) -> tuple[TrialRecord, pa.Table | None] | None:
        if listed is not None:
            with suppress(ResultsError):  # a running trial may have replaced a file since it was listed
                return _read(listed / key)
        return _read(trials / key)

    for key, found in zip(keys, _at_once(_or_error(read), keys, folder), strict=True):
        if isinstance(found, ResultsError):
            results.damaged[key] = str(found)
        elif found is not None:
            results.records[key], curve = found
            if curve is not None:
                results.curves[key] = curve
    return results


def _read(home: Place) -> tuple[TrialRecord, pa.Table | None] | None:
    """Record and curve of one trial; None where it has not begun."""
    record = read_trial(home)
    if record is None:
        return None
    path = home / "curve.parquet"
    return record, read_curve(path, SCORED) if record.status == "done" or path.exists() else None


def _or_error(read: Callable[[str], _R]) -> Callable[[str], _R | ResultsError]:
    """The same, with the error of a damaged file returned: it does not stop the others."""

    def attempt(key: str) -> _R | ResultsError:
        try:
            return read(key)
        except UnreachableError:
            raise
        except ResultsError as error:
            return error

    return attempt


def _at_once(read: Callable[[str], _R], keys: Iterable[str], folder: Place) -> list[_R]:
    """`read` of every key, in order, by as many threads as the place can feed."""
    threads = _REMOTE_READERS if isinstance(folder, Remote) else os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(read, keys))
