"""A study file, validated: arms over cells, with replicates, up to horizons."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from qgan.downstream.settings import DownstreamSettings
from qgan.errors import InputError, nearest
from qgan.prior_settings import PRIOR_SETTINGS, PriorSettings, TrainedCircuitSettings, TrainedSettings
from qgan.settings import ScoreSettings, TrainSettings
from study.document import Document, Where
from study.grid import Cell, expand
from study.saved_gains import read_gains
from study.sections import (
    Budget,
    Confirm,
    FileSource,
    GainsSearch,
    QpuRun,
    Replicates,
    Resources,
    Score,
    SyntheticSource,
)
from study.storage import Place, Uri
from study.validation import validate

T = TypeVar("T")
NEEDED = ("study", "data", "arms", "baseline", "grid", "replicates")
SECTIONS = (*NEEDED, "train", "score", "confirm", "downstream", "resources", "budget", "gains", "qpu", "results")
MOST_TRIALS = 1_000_000
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
    threshold: float | None  # an MMD, for analysis
    confirm: Confirm | None  # for analysis
    downstream: DownstreamSettings
    resources: Resources
    budget: Budget
    gains: GainsSearch | None  # for `study gains`
    qpu: QpuRun | None  # for `study qpu`
    results: Place

    @property
    def folder(self) -> Place:
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
        if key not in SECTIONS:
            raise document.error((key,), f"unknown key{nearest(key, SECTIONS)}; allowed: {', '.join(SECTIONS)}")
    for key in NEEDED:
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
    number = len(cells) * sum(arm.replicates.count for arm in arms.values())
    if number > MOST_TRIALS:
        raise document.error(("grid",), f"makes {number} trials; at most {MOST_TRIALS} are planned at once")
    source = _source(document)
    if 2 * scored.images > source.evaluation:
        raise document.error(
            ("score", "images"),
            f"is {scored.images}, but score and floor need two disjoint batches out of data.evaluation = "
            f"{source.evaluation}; use at most {source.evaluation // 2}, or keep more patches for evaluation",
        )
    resources = _section(document, ("resources",), Resources)
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
        threshold=score.threshold,
        confirm=_confirm(document, arms),
        downstream=_section(document, ("downstream",), DownstreamSettings),
        resources=resources,
        budget=_budget(document, resources),
        gains=_gains_search(document, arms, cells, score.every),
        qpu=_qpu_run(document, arms, cells),
        results=_results(document),
    )


def _results(document: Document) -> Place:
    results = document.values.get("results", "results/")
    if isinstance(results, str) and re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+[a-z0-9](/(?s:.*))?", results):
        from analysis.location import S3_KEY  # pyarrow, which other study files do not need

        if not S3_KEY.fullmatch(results.removeprefix("s3://").partition("/")[2]):
            told = f"{results!r} cannot be read back by this address; after the bucket use letters of ASCII, digits, "
            raise document.error(("results",), told + "'.', '_', '=', '+' and '-', with one '/' between folders' names")
        return Uri(results.rstrip("/"))
    # a word and a colon in front is a URI to what reads
    if not isinstance(results, str) or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:(/|$)|.*(://|\0)", results, re.DOTALL):
        raise document.error(("results",), f"{results!r} is neither a folder nor s3://bucket/folder")
    folder = Path(os.path.expanduser(results))
    if folder.exists() and not folder.is_dir():
        raise document.error(("results",), f"{results} is a file; name a folder")
    return folder


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
        if isinstance(own.get("gains"), str):
            with document.locating(*where, key="gains"):
                own["gains"] = read_gains(Path(os.path.expanduser(own["gains"])))
        replicates = shared
        if "replicates" in settings:
            replicates = _replicates(document, (*where, "replicates"), settings["replicates"])
        arms[name] = Arm(name, validate(document, where, PRIOR_SETTINGS[prior], own), replicates)
    return arms


def _budget(document: Document, resources: Resources) -> Budget:
    budget = _section(document, ("budget",), Budget)
    for name in ("gpu_hours", "usd"):
        if getattr(budget, name) is not None and not resources.gpu:
            told = (
                "counts the time of GPUs, and trials of resources.gpu = 0 use none: remove it, or raise resources.gpu"
            )
            raise document.error(("budget", name), told)
    return budget


def _confirm(document: Document, arms: dict[str, Arm]) -> Confirm | None:
    if "confirm" not in document.values:
        return None
    found = _section(document, ("confirm",), Confirm)
    for name, arm in arms.items():
        first, end = arm.replicates.first, arm.replicates.first + arm.replicates.count
        if not first < found.fresh_from < end:
            told = f"is {found.fresh_from}, but arm {name} has the replicates {first} to {end - 1}: "
            told += "some must choose, and some must be left to be quoted"
            raise document.error(("confirm", "fresh_from"), told)
    return found


def _gains_search(document: Document, arms: dict[str, Arm], cells: list[Cell], every: int) -> GainsSearch | None:
    if "gains" not in document.values:
        return None
    search = _section(document, ("gains",), GainsSearch)
    prior = _arm_of(document, "gains", search.arm, arms).prior
    if not (isinstance(prior, TrainedSettings) and prior.optimizer == "spsa"):
        raise document.error(("gains", "arm"), f"arm {search.arm} has no SPSA gains; give it optimizer: spsa")
    _one_cell(document, "gains", cells)
    end = search.start_epoch + search.continuation
    if search.continuation and end // every == search.start_epoch // every:
        told = f"none of the epochs {search.start_epoch + 1} to {end} is scored: score.every = {every}"
        raise document.error(("gains", "continuation"), told)
    return search


def _qpu_run(document: Document, arms: dict[str, Arm], cells: list[Cell]) -> QpuRun | None:
    if "qpu" not in document.values:
        return None
    run = _section(document, ("qpu",), QpuRun)
    arm = _arm_of(document, "qpu", run.arm, arms)
    if not isinstance(arm.prior, TrainedCircuitSettings):
        raise document.error(("qpu", "arm"), f"arm {run.arm} trains no circuit; name one with prior: qcbm")
    if run.replicate not in arm.replicates:
        known = f"{arm.replicates.first} to {arm.replicates.first + arm.replicates.count - 1}"
        raise document.error(("qpu", "replicate"), f"is {run.replicate}; arm {run.arm} has the replicates {known}")
    _one_cell(document, "qpu", cells)
    return run


def _arm_of(document: Document, section: str, name: str, arms: dict[str, Arm]) -> Arm:
    if name not in arms:
        known = f"{nearest(name, arms)}; the arms are: {', '.join(arms)}"
        raise document.error((section, "arm"), f"{name!r} is no arm{known}")
    return arms[name]


def _one_cell(document: Document, section: str, cells: list[Cell]) -> None:
    if len(cells) > 1:
        raise document.error(("grid",), f"has {len(cells)} cells, but `{section}:` needs one; leave one value per key")


def _replicates(document: Document, where: Where, value: Any) -> Replicates:
    if isinstance(value, int) and not isinstance(value, bool):
        with document.locating(*where):
            return Replicates(value)
    if not isinstance(value, dict):
        raise document.error(where, f"is {value!r}; write a number of paired seeds, or {{first: 6, count: 6}}")
    return validate(document, where, Replicates, value)


def _section(document: Document, where: Where, settings: type[T], values: Any = None) -> T:
    if values is None:
        values = document.values.get(str(where[0]), {})
    if not isinstance(values, dict):
        raise document.error(where, "should hold keys with values")
    return validate(document, where, settings, values)
