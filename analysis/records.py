"""The records of a results folder: plan.json, what belongs to a study, and trial.json, how far one trial is."""

import json
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from typing import Any

from analysis.errors import ResultsError, damaged
from analysis.location import Place

SCHEMA = 1  # of both


@dataclass(frozen=True)
class PlannedTrial:
    """One line of plan.json."""

    key: str
    arm: str
    cell: dict[str, Any]  # grid key -> value, horizons left out
    replicate: int

    @property
    def cell_name(self) -> str:
        """The cell as people read it and as `--cell` takes it: latent_dim=8, images=256."""
        return ", ".join(self.cell_words) or "the only cell"

    @property
    def cell_words(self) -> list[str]:
        """name=value of each grid key; a value that is no word is written as JSON, which a study file reads too."""
        return [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in self.cell.items()]

    def fits(self, cell: str) -> bool:
        """Whether the trial's cell has all grid values of `cell`, such as train.learning_rate=1e-4,images=256."""
        if cell == self.cell_name:
            return True
        own = [_name_and_value(word) for word in self.cell_words]
        return all(_name_and_value(word) in own for word in cell_words(cell))


def cell_words(text: str) -> list[str]:
    """The `cell_words` of a cell, or some of them, as a person types them: what stands between commas outside lists."""
    words, depth = [""], 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and not depth:
            words.append("")
        else:
            words[-1] += letter
    return [word.strip() for word in words if word.strip()]


def _name_and_value(word: str) -> tuple[str, Any]:
    """Of a word of `cell_words`; a number as a number, however it is written: 1e-4, .0001."""
    name, _, value = (each.strip() for each in word.partition("="))
    for read in (json.loads, float):
        with suppress(ValueError):
            return name, read(value)
    return name, value


@dataclass(frozen=True)
class Plan:
    """What belongs to a study: plan.json."""

    study: str
    baseline: str
    arms: list[str]  # in the study file's order, the baseline among them
    horizons: list[int]  # epoch budgets, ascending
    window: int  # epochs of the final window of Eq. 10
    trials: list[PlannedTrial]
    study_file: str  # the study file as written
    data: dict[str, Any]  # of the patches: source, content_hash, height, width, microstructure, ...
    # declared before the results were seen, where the study file does:
    threshold: float | None = None  # MMD of the epochs-to-threshold comparison
    confirm: dict[str, Any] | None = None  # {fresh_from: first fresh replicate, cells: how many are chosen per arm}


def read_plan(folder: Place) -> Plan:
    """plan.json of a study's results folder (the folder that holds trials/)."""
    path = folder / "plan.json"
    if not path.is_file():
        inside: list[Place] = sorted(folder.iterdir(), key=str) if folder.is_dir() else []
        studies = ", ".join(str(each) for each in inside if (each / "plan.json").is_file())
        raise ResultsError(
            f"{folder}: no plan.json here, so no results of a study; "
            + (f"name one of its studies: {studies}" if studies else "run `study run FILE` first")
            + ("" if studies else ", or name the folder <results>/<study>")
        )
    try:
        plan = json.loads(path.read_text())
        if plan["schema"] != SCHEMA:
            raise ResultsError(f"{path}: written with schema {plan['schema']}, this program reads schema {SCHEMA}")
        return Plan(
            study=plan["study"],
            baseline=plan["baseline"],
            arms=plan["arms"],
            horizons=plan["horizons"],
            window=plan["window"],
            trials=[
                PlannedTrial(key, place["arm"], place["cell"], place["replicate"])
                for key, places in plan["trials"].items()
                for place in places  # several where a grid key leaves an arm alone, such as the baseline
            ],
            study_file=plan["study_file"],
            data=plan["data"],
            threshold=plan.get("threshold"),
            confirm=plan.get("confirm"),
        )
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ResultsError(
            f"{path}: not a plan of this program ({error}); run `study run` again to rewrite it"
        ) from None


STATUSES = ("running", "done", "failed")
STALE_S = 300  # a running trial that has not been seen for so long is taken for dead
PER_ATTEMPT = ("git", "packages", "gpu")  # what attempts at one trial may differ in


@dataclass(frozen=True)
class TrialRecord:
    """trial.json: how far one trial is, and where its numbers come from."""

    key: str
    status: str  # running | done | failed
    epoch: int  # last epoch in curve.parquet
    horizon: int  # longest horizon reached, 0 for none; done = the study's longest horizon is reached
    # one per start: {start, last_seen: ISO 8601 UTC, host, place, process, gpu: its kind, gpus: the share of it,
    # usd_per_hour: of that share, git: {revision, dirty}, null without a repository, packages: {name: version},
    # checkpoint: last epoch of one written by this attempt, ended: done | failed | lost, null while it runs or if
    # nobody saw it end}; git and packages are missing where the worker died before it began, and in older results
    attempts: list[dict[str, Any]]
    cause: dict[str, Any] | None  # of a failure: {error: one line, epoch, log: last lines}
    warnings: list[str]  # what the trial's prior complained of, each with its epoch
    command: str  # reproduces the trial in one process
    # of the last attempt: {git: {revision, dirty}, python, packages: {name: version}, cpu, gpu, data_hash}
    provenance: dict[str, Any]
    trial: dict[str, Any]  # the Trial's settings
    seconds: float = 0.0  # training time so far
    mmd_v: float | None = None  # of the last scored epoch
    floor_v: float | None = None
    horizons: list[int] | None = None  # at which it was scored in full; None in older results

    def alive(self, now: datetime) -> bool:
        """Whether the last attempt may still run: its end is not recorded, and it was seen within STALE_S."""
        if not self.attempts or self.attempts[-1].get("ended"):
            return False
        return (now - datetime.fromisoformat(self.attempts[-1]["last_seen"])).total_seconds() < STALE_S

    @property
    def origins(self) -> list[dict[str, Any]]:
        """The provenance of every attempt that began: a trial may go on with another revision, packages or GPU."""
        made = [
            self.provenance | {name: attempt[name] for name in PER_ATTEMPT if name in attempt}
            for attempt in self.attempts
        ]
        return [each for each in made if "git" in each]


def read_trial(folder: Place) -> TrialRecord | None:
    """trial.json of one trial's folder; None where the trial has not begun."""
    path = folder / "trial.json"
    try:
        return parse_trial(path.read_text("utf-8"), str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise damaged(path, error) from None


def parse_trial(content: bytes | str, name: str) -> TrialRecord:
    """What trial.json holds; `name` is what an error calls the file."""
    try:
        values = json.loads(content)
        record = TrialRecord(
            **{
                each.name: values.get(each.name, each.default) if each.default is not MISSING else values[each.name]
                for each in fields(TrialRecord)
            }
        )
        if record.status not in STATUSES:
            raise KeyError(f"status {record.status!r}, not one of {', '.join(STATUSES)}")
        return record
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise damaged(name, error) from None
