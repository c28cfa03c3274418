"""The sections of a study file that are the platform's own; a trial's are in `qgan.settings`.

The comment behind a field is its help in `study schema` and in the file that `study init` writes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from qgan.errors import InputError
from qgan.prior_settings import BACKENDS
from qgan.settings import STRICT, ScoreSettings, require
from study.qpu.ladder import Rung

MOST_REPLICATES = 10_000


@dataclass(frozen=True)
class SyntheticSource:
    """Patches cut from synthetic maps, made on first use."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    source: str  # synthetic
    microstructure: str  # ferrite | bainite
    count: int  # patches to make
    evaluation: int  # patches held out, from other maps: half score, half give the floor
    seed: int = 0
    patch: int = 60  # pixels

    def __post_init__(self) -> None:
        if self.microstructure not in ("ferrite", "bainite"):
            raise InputError(f"is {self.microstructure!r}; synthetic maps are ferrite or bainite", "microstructure")
        if not 8 <= self.patch <= 256:
            raise InputError(f"is {self.patch}; patches have 8 to 256 pixels", "patch")
        if not 4 <= self.evaluation < self.count:
            raise InputError(f"is {self.evaluation}; at least 4 and fewer than count = {self.count}", "evaluation")


@dataclass(frozen=True)
class FileSource:
    """Patches of a Parquet file written by `study data`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    source: str  # Parquet file of `study data`
    evaluation: int  # patches held out, from other maps: half score, half give the floor
    microstructure: str | None = None  # keep only patches with this label

    def __post_init__(self) -> None:
        require("\0" not in self.source, "source", "the name of a file", self.source)
        require(self.evaluation >= 4, "evaluation", "4 or more patches", self.evaluation)


@dataclass(frozen=True)
class Replicates:
    """Which paired seeds to run: first, first + 1, ..."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    count: int  # paired seeds
    first: int = 0  # number of the first one

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError(f"is {self.count}; at least one replicate is needed", "count")
        if self.count > MOST_REPLICATES:
            raise InputError(f"is {self.count}; at most {MOST_REPLICATES} replicates are planned at once", "count")
        if not 0 <= self.first <= 10**9:
            raise InputError(f"is {self.first}; replicates count from 0, to 1000000000 at most", "first")

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.first + self.count))

    def __contains__(self, replicate: int) -> bool:
        return self.first <= replicate < self.first + self.count


@dataclass(frozen=True)
class Resources:
    """What one trial occupies."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    cpu: float = 1.0  # CPU cores
    gpu: float = 0.0  # share of a GPU: 0.25 lets four trials share one

    def __post_init__(self) -> None:
        if not 0 < self.cpu <= 1024:
            raise InputError(f"is {self.cpu:g}; a trial needs some CPU", "cpu")
        if not 0 <= self.gpu <= 1:
            raise InputError(f"is {self.gpu:g}; a trial uses from 0 to 1 GPU", "gpu")


@dataclass(frozen=True)
class Score:
    """The section `score:`; window and threshold are analysis, the rest is the trial's."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    images: int = ScoreSettings.images  # images per batch of the MMD, real and generated
    every: int = ScoreSettings.every  # epochs between scores
    beta: float = ScoreSettings.beta  # exponent of the MMD's kernel; 2 sees only the difference of the means
    full_every: int = ScoreSettings.full_every  # epochs between full scores; horizons have them always, 0: these alone
    draws: int = ScoreSettings.draws  # generated images among which different ones are counted
    window: int = 100  # epochs up to a horizon over which the final score is averaged
    threshold: float | None = None  # an MMD above the floor; the report tells who reaches it in fewer epochs

    @property
    def of_trial(self) -> dict[str, Any]:
        """What enters the trial's own settings."""
        return {each.name: getattr(self, each.name) for each in fields(ScoreSettings)}

    def __post_init__(self) -> None:
        if self.window < 1:
            raise InputError(f"is {self.window}; the final window holds at least 1 epoch", "window")
        require(self.threshold is None or self.threshold > 0, "threshold", "above 0", self.threshold)


@dataclass(frozen=True)
class Confirm:
    """The section `confirm:`: cells are chosen by the first replicates and quoted on the others alone."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    fresh_from: int  # replicates below this number choose, the others are quoted
    cells: int = 1  # how many cells of every arm are chosen

    def __post_init__(self) -> None:
        require(self.cells >= 1, "cells", "1 or more", self.cells)


@dataclass(frozen=True)
class Budget:
    """What `study run` may spend over all attempts of all trials, and lose: at a cap no new trial starts."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    gpu_hours: float | None = None  # hours of whole GPUs; a trial with gpu: 0.25 uses a quarter of its own hours
    usd: float | None = None  # US dollars for the time of GPUs
    usd_per_gpu_hour: float | None = None  # what a whole GPU costs here; without it a dated table of list prices
    failed_share: float = 0.5  # of the trials that ended since `study run` began; from 5 failures on

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            require(value is None or value > 0, each.name, "above 0", value)
        require(self.failed_share <= 1, "failed_share", "at most 1", self.failed_share)


@dataclass(frozen=True)
class Range:
    """Where one gain is searched."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    low: float
    high: float
    log: bool = False  # evenly in the logarithm

    def __post_init__(self) -> None:
        require(True, "low", "a number", self.low)  # and finite
        require(self.high > self.low, "high", f"above low = {self.low:g}", self.high)
        require(self.low > 0 or not self.log, "low", "above 0 where log is true", self.low)


@dataclass(frozen=True)
class GainRanges:
    """The gains that are searched; one that is left out keeps the calibration's value."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    a: Range | None = None  # first step size
    c: Range | None = None  # first perturbation, radians
    A: Range | None = None  # stability constant, iterations
    alpha: Range | None = None  # decay of the step size
    gamma: Range | None = None  # decay of the perturbation

    def __post_init__(self) -> None:
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        if not any(given.values()):
            raise InputError(f"names no gain; search one or more of {', '.join(given)}")
        for name, found in given.items():
            if found is None:
                continue
            least = 0 if name == "A" else 1e-12
            most = 1.0 if name in ("alpha", "gamma") else 1e9
            if not least <= found.low < found.high <= most:
                rule = "0 or more" if name == "A" else "above 0" + (" and at most 1" if most == 1 else "")
                raise InputError(f"is {found.low:g} to {found.high:g}; {name} must be {rule}", name)


@dataclass(frozen=True)
class GainsSearch:
    """The section `gains:`, what `study gains` does: one candidate is one SPSA cycle per seed, networks frozen."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    arm: str  # an arm with optimizer: spsa; its backend is where the search runs
    search: GainRanges
    start_epoch: int  # the networks are trained so far with the arm's first theta, saved, and then frozen
    candidates: int = 30
    seeds: int = 4  # cycles per candidate
    fresh_seeds: int = 8  # cycles that compare the winner with the calibration
    prune_after: int = 2  # seeds after which a hopeless candidate is given up; 0: never
    objective: Literal["loss", "log_mmd"] = "loss"  # mean final loss, or log MMD after `continuation` more epochs
    continuation: int = 0  # epochs of training after the cycle; of objective log_mmd
    count_circuits: bool = False  # a second objective: few circuits; iterations are searched too, none is given up
    seed: int = 0  # of the suggestions

    def __post_init__(self) -> None:
        require(1 <= self.start_epoch <= 10**9, "start_epoch", "1 or more epochs", self.start_epoch)
        for name, least in (("candidates", 1), ("seeds", 1), ("fresh_seeds", 2), ("prune_after", 0), ("seed", 0)):
            require(getattr(self, name) >= least, name, f"{least} or more", getattr(self, name))
        fits = (self.continuation > 0) == (self.objective == "log_mmd") and self.continuation >= 0
        rule = "1 or more epochs with objective: log_mmd, and left out with objective: loss"
        require(fits, "continuation", rule, self.continuation)


@dataclass(frozen=True)
class QpuRun:
    """The section `qpu:`, what `study qpu` does: one trial whose circuits run on the machine."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    arm: str  # an arm with a trained circuit
    replicate: int = 0  # paired with the same replicate of the other arms
    backend: str = "rehearsal"  # the ladder: exact | aer:aria-2 | rehearsal | rehearsal:NAME | qpu.NAME
    calibration: str = "exact:aria-2"  # backend on which gains are calibrated where the arm has none: costs nothing
    debiasing: bool = False  # IonQ's error mitigation, which raises the price
    usd: float | None = None  # cap of what jobs may cost, US dollars

    def __post_init__(self) -> None:
        require(self.replicate >= 0, "replicate", "0 or more", self.replicate)
        require(self.usd is None or self.usd > 0, "usd", "above 0", self.usd)
        Rung(self.backend)  # refuses any other word
        require(self.calibration in BACKENDS, "calibration", "one of " + ", ".join(BACKENDS), self.calibration)
