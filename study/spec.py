"""A study file, validated: arms over cells, with replicates, up to horizons."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from qgan.downstream.settings import DownstreamSettings
from qgan.errors import InputError
from qgan.prior_settings import PRIOR_SETTINGS, PriorSettings
from qgan.settings import ScoreSettings, TrainSettings
from study.document import Document, Where, nearest
from study.grid import Cell, expand
from study.sections import FileSource, Replicates, Resources, Score, SyntheticSource
from study.validation import validate

T = TypeVar("T")
_SECTIONS = (
    "study", "data", "arms", "baseline", "grid", "replicates", "train", "score", "downstream", "resources", "results",
)  # fmt: skip
_SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class Arm:
    """One prior under its name in the study."""

    name: str
    prior: PriorSettings
    replicates: Replicates


@dataclass(frozen=True)
class Study:
    """A validated study file."""

    document: Document
    name: str
    source: SyntheticSource | FileSource
    arms: dict[str, Arm]
    baseline: str
    cells: list[Cell]
    horizons: list[int]  # ascending
    score: ScoreSettings
    window: int
    downstream: DownstreamSettings
    resources: Resources
    results: Path

    @property
    def folder(self) -> Path:
        """Where this study's results lie: <results>/<study>."""
        return self.results / self.name


def load(path: Path, assignments: Iterable[str] = ()) -> Study:
    """Read and check a study file; `assignments` are `key=value` from the command line.

    Raises InputError with file, line, key, what is allowed and the nearest name.
    """
    document = Document(path)
    for assignment in assignments:
        dotted, equals, value = assignment.partition("=")
        if not (equals and dotted):
            raise InputError(f"--set {assignment}: write it as key=value, like train.batch_size=16")
        document.assign(dotted, value)
    values = document.values
    for key in values:
        if key not in _SECTIONS:
            raise document.error((key,), f"unknown key{nearest(key, _SECTIONS)}; allowed: {', '.join(_SECTIONS)}")
    for key in ("study", "data", "arms", "baseline", "grid", "replicates"):
        if key not in values:
            raise document.error((), f"the key `{key}` is missing; `study init FILE` writes a whole example")
    name = values["study"]
    if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name)):
        raise document.error(("study",), f"{name!r} is no name for a folder; use letters, digits, '-', '_' and '.'")
    arms = _arms(document)
    baseline = values["baseline"]
    if not isinstance(baseline, str) or baseline not in arms:
        raise document.error(
            ("baseline",),
            f"{baseline!r} is no arm{nearest(str(baseline), arms)}; the arms are: {', '.join(arms)}",
        )
    score = _section(document, ("score",), Score)
    scored = _section(document, ("score",), ScoreSettings, score.of_trial)
    train = _section(document, ("train",), TrainSettings)
    cells, horizons = expand(document, {name: arm.prior for name, arm in arms.items()}, train)
    for horizon in horizons:
        if horizon % score.every:
            raise document.error(
                ("grid", "epochs"),
                f"horizon {horizon} is never scored: score.every = {score.every} does not divide it",
            )
    source = _source(document)
    if 2 * scored.images > source.evaluation:
        raise document.error(
            ("score", "images"),
            f"is {scored.images}, but score and floor need two disjoint batches out of data.evaluation = "
            f"{source.evaluation}; use at most {source.evaluation // 2}, or keep more patches for evaluation",
        )
    results = values.get("results", "results/")
    if not isinstance(results, str) or "://" in results or "\0" in results:
        raise document.error(("results",), f"{results!r} is not a folder on this machine's file system")
    if Path(results).exists() and not Path(results).is_dir():
        raise document.error(("results",), f"{results} is a file; name a folder")
    return Study(
        document=document,
        name=name,
        source=source,
        arms=arms,
        baseline=baseline,
        cells=cells,
        horizons=horizons,
        score=scored,
        window=score.window,
        downstream=_section(document, ("downstream",), DownstreamSettings),
        resources=_section(document, ("resources",), Resources),
        results=Path(results),
    )


def _source(document: Document) -> SyntheticSource | FileSource:
    data = document.values["data"]
    if not (isinstance(data, dict) and isinstance(data.get("source"), str)):
        raise document.error(("data",), "needs `source:`, either `synthetic` or a Parquet file of `study data`")
    if data["source"] == _SYNTHETIC:
        return _section(document, ("data",), SyntheticSource)
    return _section(document, ("data",), FileSource)


def _arms(document: Document) -> dict[str, Arm]:
    raw = document.values["arms"]
    if not (isinstance(raw, dict) and raw):
        raise document.error(("arms",), "needs at least one arm, like `bernoulli: {prior: bernoulli}`")
    shared = _replicates(document, ("replicates",), document.values["replicates"])
    arms = {}
    for name, settings in raw.items():
        where = ("arms", name)
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
            raise document.error(where, "an arm's name has letters, digits, '-' and '_' only")
        if not isinstance(settings, dict) or "prior" not in settings:
            raise document.error(where, f"needs `prior:`, one of {', '.join(PRIOR_SETTINGS)}")
        prior = settings["prior"]
        if not isinstance(prior, str) or prior not in PRIOR_SETTINGS:
            raise document.error(
                (*where, "prior"),
                f"{prior!r} is no prior{nearest(str(prior), PRIOR_SETTINGS)}; allowed: {', '.join(PRIOR_SETTINGS)}",
            )
        own = {key: value for key, value in settings.items() if key != "replicates"}
        replicates = shared
        if "replicates" in settings:
            replicates = _replicates(document, (*where, "replicates"), settings["replicates"])
        arms[name] = Arm(name, validate(document, where, PRIOR_SETTINGS[prior], own), replicates)
    return arms


def _replicates(document: Document, where: Where, value: Any) -> Replicates:
    if isinstance(value, int) and not isinstance(value, bool):
        value = {"count": value}
        if value["count"] < 1:
            raise document.error(where, f"is {value['count']}; at least one replicate is needed")
    if not isinstance(value, dict):
        raise document.error(where, f"is {value!r}; write a number of paired seeds, or {{first: 6, count: 6}}")
    return validate(document, where, Replicates, value)


def _section(document: Document, where: Where, settings: type[T], values: Any = None) -> T:
    if values is None:
        values = document.values.get(str(where[0]), {})
    if not isinstance(values, dict):
        raise document.error(where, "should hold keys with values")
    return validate(document, where, settings, values)
