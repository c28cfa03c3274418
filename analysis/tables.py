"""The schema of a results folder, and how to read and write its tables. Imports only pyarrow.

<results>/<study>/plan.json                    what belongs to the study (see `Plan`)
<results>/<study>/trials/<key>/trial.json      status, attempts, provenance (see `TrialRecord`)
                               curve.parquet   CURVE, one row per epoch
                               images.parquet  IMAGES, a few real and generated images at marked epochs
                               scores.parquet  SCORES, what is scored at horizons only, one row per score
<results>/<study>/gains/gains.json             what `study gains` found; an arm takes it by name (see `analysis.gains`)
                        candidates.parquet     CANDIDATES, one row per gains tried
                        cycles.parquet         CYCLES, the losses of the best and of the calibrated gains
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.errors import ResultsError
from analysis.location import DAMAGE, Place, read_parquet

SCHEMA = 1

CURVE = pa.schema(
    [
        ("epoch", pa.int32()),  # 1, 2, ...
        ("seconds", pa.float64()),  # training time so far, scores and updates included, s
        ("critic_loss", pa.float64()),  # L_D of Eq. 3, mean over the epoch
        ("generator_loss", pa.float64()),  # L_G = -E D(G(z)), mean over the epoch
        ("mmd_v", pa.float64()),  # Eq. 9, biased estimator (always positive); null where not scored
        ("mmd_u", pa.float64()),  # Eq. 9, unbiased estimator (may be negative)
        ("floor_v", pa.float64()),  # mmd_v of two real batches of the same size
        ("floor_u", pa.float64()),
        ("channel_mmd_v", pa.list_(pa.float64())),  # the same of every channel alone, in the patches' order
        ("channel_mmd_u", pa.list_(pa.float64())),
        ("channel_floor_v", pa.list_(pa.float64())),
        ("channel_floor_u", pa.list_(pa.float64())),
        ("distinct_codes", pa.int32()),  # different codes among those scored
        ("prior_loss", pa.float64()),  # Eq. 6 at this epoch's update event; null without one
        ("prior_gradient_norm", pa.float64()),
        ("circuits", pa.int64()),  # circuits run by this epoch's update event
        ("shots", pa.int64()),  # codes measured by it
        ("scores", pa.int64()),  # distinct codes whose f was evaluated by it
        ("prior_entropy", pa.float64()),  # of the codes after the update event, nats; null without one
        ("prior_perplexity", pa.float64()),  # exp of it: how many equally likely codes
        ("prior_distinct_codes", pa.float64()),  # expected number of different codes among the circuit's shots
        ("prior_total_variation", pa.float64()),  # total variation from the starting prior, 0 to 1
        ("prior_mutual_information", pa.float64()),  # between two bits, mean over all pairs, nats
    ]
)


SCORES = pa.schema(
    [
        ("epoch", pa.int32()),  # a horizon, or every `score.full_every` epochs
        ("prior", pa.string()),  # own, or what stood in for the trained prior: fair | marginals | shuffled
        ("score", pa.string()),  # see `analysis.quality`
        ("value", pa.float64()),  # null where the score has no meaning
        ("floor", pa.float64()),  # the same score of real images instead of generated ones; null where there is none
    ]
)


DOWNSTREAM = pa.schema(
    [
        ("k", pa.int32()),  # real training patches per microstructure; 0: generated images alone
        ("seed", pa.int32()),
        ("arm", pa.string()),  # real | real+synthetic | synthetic
        ("classifier", pa.string()),  # channel_means | cnn | quantum | mlp
        ("accuracy", pa.float64()),
        ("balanced_accuracy", pa.float64()),  # mean over microstructures
        ("test", pa.int32()),  # real patches of other maps
        ("parameters", pa.int32()),  # of the classifier
    ]
)


CANDIDATES = pa.schema(
    [
        ("number", pa.int32()),  # 0, 1, ...: the order in which they were suggested
        ("calibrated", pa.bool_()),  # whether it is SPSA's own calibration
        ("state", pa.string()),  # done | pruned | failed | running
        ("a", pa.float64()),  # the gains in Spall's names; c in radians
        ("c", pa.float64()),
        ("A", pa.float64()),
        ("alpha", pa.float64()),
        ("gamma", pa.float64()),
        ("iterations", pa.int32()),  # of a cycle
        ("seeds", pa.int32()),  # cycles behind the objective
        ("objective", pa.float64()),  # mean over them; null without one
        ("error", pa.float64()),  # its standard error; null for fewer than two seeds
        ("circuits", pa.int32()),  # of one cycle
        ("on_front", pa.bool_()),  # no other candidate is better in every objective
        ("cause", pa.string()),  # of a failure
    ]
)

# key of the metadata of CANDIDATES: what the search minimises, loss | log_mmd; missing in older results
OBJECTIVE_KEY = b"gains.objective"


CYCLES = pa.schema(
    [
        ("gains", pa.string()),  # best | calibrated
        ("seed", pa.int32()),  # fresh ones: no candidate was chosen by them
        ("evaluation", pa.int32()),  # 1, 2, ...: circuits of the cycle; the last one is at the final theta
        ("loss", pa.float64()),  # Eq. 6, measured
    ]
)


def images_schema(image_bytes: int) -> pa.Schema:
    """IMAGES: one row per image of `image_bytes` = channels x height x width uint8 pixels."""
    return pa.schema(
        [
            ("epoch", pa.int32()),
            ("kind", pa.string()),  # real | generated
            ("index", pa.int32()),  # 0, 1, ...: the same index is the same code or the same real patch
            ("code", pa.string()),  # character q is bit q; null for real images
            ("microstructure", pa.string()),  # of a conditional model's images and the real ones beside them; else null
            ("image", pa.binary(image_bytes)),
        ]
    )


# footer key of a Parquet file with images: JSON {height, width, step_um, channels: [{name, unit, full_scale,
# limit, sentinel}]}; a byte b of a channel means b / 255 * full_scale in `unit`; values above `limit` are
# no measurement, `sentinel` says which value marks that
PATCHES_KEY = b"qgan.patches"


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
        raise _damaged(path, error) from None


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
        raise _damaged(name, error) from None


def write_table(table: pa.Table, where: Any) -> None:
    """Write one table of a results folder to a path or an open file.

    Only text repeats itself: a dictionary of measured numbers costs a fifth of the bytes and a third of the reading.
    """
    text = [field.name for field in table.schema if pa.types.is_string(field.type)]
    pq.write_table(table, where, write_page_checksum=True, use_dictionary=text or False)


def read_table(path: Place, columns: Sequence[str] | None = None) -> pa.Table:
    """One table of a trial, or some of its columns; a damaged file is named."""
    # the caller reads many files at once
    return _read(path, lambda file: file.read(columns=columns or file.schema_arrow.names, use_threads=False))


def read_curve(path: Place, columns: Sequence[str] = CURVE.names) -> pa.Table:
    """curve.parquet, or some columns of it, with the types of CURVE; a file that lacks one of CURVE is named.

    Six of its columns take 0.6 ms (4,000 epochs, warm, one core), all of them 4 ms. Row groups of 500 epochs, of which
    a final window needs the last alone, would not pay: their footer takes as long as the rows that it saves.
    """
    return _read_as(CURVE, path, columns)


def read_scores(path: Place) -> pa.Table:
    """scores.parquet, with the columns and types of SCORES; a file that lacks one is named."""
    return _read_as(SCORES, path, SCORES.names)


def _read_as(schema: pa.Schema, path: Place, columns: Sequence[str]) -> pa.Table:
    def select(file: Any) -> pa.Table:
        if missing := set(schema.names) - set(file.schema_arrow.names):
            raise KeyError(f"no column {', '.join(sorted(missing))}")
        table = file.read(columns=list(columns), use_threads=False).select(columns)
        expected = pa.schema([schema.field(name) for name in columns])
        return table if table.schema == expected else table.cast(expected)

    return _read(path, select)


def _read(path: Place, use: Callable[[Any], pa.Table]) -> pa.Table:
    try:
        return read_parquet(path, use)
    except FileNotFoundError:
        raise ResultsError(f"{path}: no such file; the trial has not come that far") from None
    except DAMAGE as error:
        raise _damaged(path, error) from None


def _damaged(name: Place | str, error: Exception) -> ResultsError:
    return ResultsError(f"{name}: damaged ({error}); remove its folder and run the study again")


def read_images(path: Place) -> tuple[pa.Table, dict[str, Any]]:
    """images.parquet and what its footer says of the pixels (see PATCHES_KEY)."""
    table = read_table(path)
    try:
        return table, json.loads(table.schema.metadata[PATCHES_KEY])
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ResultsError(
            f"{path}: its footer does not describe the images ({error}); remove its folder and run the study again"
        ) from None
