"""The tables of a results folder: their columns, and how to read and write them. Imports only pyarrow.

<results>/<study>/plan.json                    what belongs to the study (see `analysis.records`)
<results>/<study>/trials/<key>/trial.json      status, attempts, provenance (see `analysis.records`)
                               curve.parquet   CURVE, one row per epoch
                               images.parquet  IMAGES, a few real and generated images at marked epochs
                               scores.parquet  SCORES, what is scored at horizons only, one row per score
<results>/<study>/gains/gains.json             what `study gains` found; an arm takes it by name (see `analysis.gains`)
                        candidates.parquet     CANDIDATES, one row per gains tried
                        cycles.parquet         CYCLES, the losses of the best and of the calibrated gains
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.errors import ResultsError, damaged
from analysis.location import DAMAGE, Place, read_parquet

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
        raise damaged(path, error) from None


def read_images(path: Place) -> tuple[pa.Table, dict[str, Any]]:
    """images.parquet and what its footer says of the pixels (see PATCHES_KEY)."""
    table = read_table(path)
    try:
        return table, json.loads(table.schema.metadata[PATCHES_KEY])
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ResultsError(
            f"{path}: its footer does not describe the images ({error}); remove its folder and run the study again"
        ) from None
