"""A study's results as tidy frames, with the meaning of every column, and as CSV and Parquet files.

frame         one row per
trials        planned trial
curves        planned trial and epoch
channels      planned trial, scored epoch and channel
final_scores  planned trial and horizon
pairs         arm, cell, horizon and replicate that the baseline has too
effects       arm, cell and horizon
wins          arm, of pairs and of cells, at the horizon of the answer
updates       update event of a trained prior
full_scores   planned trial, prior, scored epoch and score
quality       arm, cell, prior, epoch and score
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from analysis.effects import compare
from analysis.errors import ResultsError
from analysis.files import whole_file
from analysis.quality import full_scores, summarise
from analysis.records import PlannedTrial
from analysis.results import Results
from analysis.tables import CURVE

FORMATS = (".csv", ".parquet")
_LISTS = [field.name for field in CURVE if pa.types.is_list(field.type)]
_RUN = ["circuits", "shots"]
_PLACE = ["arm", "cell", "replicate"]
_TRIALS = ["key", *_PLACE, "status", "epoch", "horizon", "hours", "attempts", "circuits", "shots"]
_TRIALS += ["revision", "warnings", "cause"]
_CHANNELS = [*_PLACE, "epoch", "channel", "mmd_v", "mmd_u", "floor_v", "floor_u"]
_UPDATED = ["prior_loss", "prior_gradient_norm", "circuits", "shots", "scores", "prior_entropy", "prior_perplexity"]
_UPDATED += ["prior_distinct_codes", "prior_total_variation", "prior_mutual_information"]
_UPDATES = [*_PLACE, "latent_dim", "epoch", "reached", "entropy_bits", *_UPDATED]

MEANINGS = {
    "arm": "a prior of the study file",
    "attempts": "times the trial was started",
    "cause": "what a failed or damaged trial died of",
    "cell": "grid values that the trial shares with its pair",
    "channel": "of the images, by its place among the patches' channels",
    "circuits": "circuits run by update events (trials: in all)",
    "correlation": "of the two arms' log MMD over the pairs",
    "critic_loss": "L_D of Eq. 3, mean over the epoch",
    "d": "log(MMD_B / MMD_Q): above 0 where the arm beats the baseline; Eq. 10 is exp(d) - 1",
    "distinct_codes": "different codes among those scored",
    "entropy_bits": "entropy of the prior's codes after the update event, bits",
    "epoch": "1, 2, ... (trials: last epoch on disk)",
    "error": "standard error of d",
    "failed": "pairs with a failed trial",
    "fault": "how far the score lies from its ideal, mean over replicates",
    "floor": "the same score of real images",
    "floor_fault": "how far the floor lies from the score's ideal, mean over replicates",
    "floor_u": "mmd_u of two real batches of the same size",
    "floor_u_baseline": "floor_u of the baseline's trial",
    "floor_v": "mmd_v of two real batches of the same size",
    "floor_v_baseline": "floor_v of the baseline's trial",
    "generator_loss": "L_G, mean over the epoch",
    "high": "upper end of the 95 % interval: of d, of the mean MMD, or of the win rate (0 to 1)",
    "horizon": "epochs of a budget (trials: longest reached)",
    "hours": "training time, scores and updates included",
    "key": "name of the trial's folder",
    "key_baseline": "the same of the baseline's trial",
    "latent_dim": "length n of the latent code, missing where unknown",
    "losses": "comparisons that the baseline wins",
    "low": "lower end of the 95 % interval",
    "mmd_u": "Eq. 9, unbiased estimator (may be negative)",
    "mmd_u_baseline": "mmd_u of the baseline",
    "mmd_v": "Eq. 9, biased estimator, pixels in [0, 1]",
    "mmd_v_baseline": "mmd_v of the baseline",
    "over": "pairs, pairs with failures as losses, or cells",
    "p": "two-sided p: of the t test that d is 0 (effects), exact binomial of equal chances (wins)",
    "p_holm": "p after Holm's correction over the cells of the arm",
    "paired": "whether d is of pairs; else Welch's interval over all trials",
    "pairs": "pairs with a score",
    "planned": "pairs in the plan",
    "prior": "own, or what stood in for the trained prior: fair, marginals, shuffled",
    "prior_distinct_codes": "expected number of different codes among the circuit's shots",
    "prior_entropy": "of the codes after the update event, nats",
    "prior_gradient_norm": "of dL/dtheta, Euclidean",
    "prior_loss": "Eq. 6 at the update event",
    "prior_mutual_information": "between two bits, mean over all pairs, nats",
    "prior_perplexity": "exp of the entropy: how many equally likely codes",
    "prior_total_variation": "from the starting prior, 0 to 1",
    "rate": "share of decided comparisons that the arm wins",
    "reached": "last epoch on disk of the trial",
    "reason": "why d or its interval is missing",
    "replicate": "trials of one replicate share all but the prior",
    "replicates": "how many have a value",
    "revision": "git revision that made the trial, + where it had uncommitted changes",
    "score": "name of a full score, see analysis.quality",
    "scores": "distinct codes whose f was evaluated by the update event",
    "seconds": "training time so far, s",
    "shots": "codes measured by update events (trials: in all)",
    "state": "scored, or why there is no score",
    "status": "done | running | pending | failed | damaged",
    "ties": "comparisons with d = 0",
    "unfinished": "pairs that are not done yet",
    "value": "of the score, in its unit",
    "warnings": "what the trial's prior complained of",
    "window": "epochs of the final window",
    "wins": "comparisons that the arm wins",
    "within": "whether the fault is within the floor's order",
}


def trials(results: Results) -> pd.DataFrame:
    """Every planned trial: where it stands, what it cost, what made it and what it died of."""
    rows = []
    run = results.columns([*_RUN, "seconds"])
    for trial in results.plan.trials:
        record = results.records.get(trial.key)
        origins = record.origins if record else []
        revisions = [git["revision"][:12] + "+" * git["dirty"] for each in origins if (git := each["git"])]
        cause = (record.cause or {}).get("error", "") if record else results.damaged.get(trial.key, "")
        of_run = run.get(trial.key)
        total = {name: pc.sum(of_run[name]).as_py() if of_run is not None else None for name in _RUN}
        seconds = pc.max(of_run["seconds"]).as_py() if of_run is not None else None
        rows.append({
            "key": trial.key,
            **_place(trial),
            "status": results.status(trial.key),
            "epoch": record.epoch if record else 0,
            "horizon": record.horizon if record else 0,
            "hours": np.nan if seconds is None else seconds / 3600,
            "attempts": len(record.attempts) if record else 0,
            **total,
            "revision": "; ".join(dict.fromkeys(revisions)),
            "warnings": "; ".join(record.warnings) if record else "",
            "cause": cause,
        })  # fmt: skip
    return pd.DataFrame(rows, columns=_TRIALS).astype({"hours": float, "circuits": float, "shots": float})


def curves(results: Results) -> pd.DataFrame:
    """Every epoch of every planned trial: the columns of `analysis.tables.CURVE` but for those per channel."""
    columns = [name for name in CURVE.names if name not in _LISTS]
    tables = results.columns(columns)
    found = [
        tables[trial.key].to_pandas().assign(**_place(trial)) for trial in results.plan.trials if trial.key in tables
    ]
    return pd.concat(found, ignore_index=True)[[*_PLACE, *columns]] if found else _none([*_PLACE, *columns])


def channels(results: Results) -> pd.DataFrame:
    """MMD and floor of every channel alone, at every epoch at which it was scored."""
    found = []
    tables = results.columns(["epoch", *_LISTS])
    for trial in results.plan.trials:
        curve = tables.get(trial.key)
        if curve is not None and len(scored := curve.filter(pc.is_valid(curve["channel_mmd_v"]))):
            frame = scored.to_pandas()
            frame.columns = [name.removeprefix("channel_") for name in frame.columns]
            frame["channel"] = [range(len(values)) for values in frame["mmd_v"]]
            found.append(frame.explode(["channel", "mmd_v", "mmd_u", "floor_v", "floor_u"]).assign(**_place(trial)))
    if not found:
        return _none(_CHANNELS)
    numbers = {"channel": int} | dict.fromkeys(_CHANNELS[5:], float)
    whole: pd.DataFrame = pd.concat(found, ignore_index=True).reindex(columns=_CHANNELS)
    return whole.astype(numbers)


def updates(results: Results) -> pd.DataFrame:
    """Every update event of a trained prior, with the entropy of its codes after it."""
    tables = results.columns(["epoch", *_UPDATED])
    found, places = [], []
    for trial in results.plan.trials:
        if (curve := tables.get(trial.key)) is None:
            continue
        happened = curve.filter(pc.or_(pc.is_valid(curve["prior_loss"]), pc.is_valid(curve["prior_entropy"])))
        if len(happened):
            record = results.records.get(trial.key)
            n = trial.cell.get("latent_dim") or (record.trial.get("latent_dim") if record else None)
            reached = pc.max(curve["epoch"]).as_py()
            found.append(happened)
            places.append(_place(trial) | {"latent_dim": np.nan if n is None else float(n), "reached": reached})
    if not found:
        return _none(_UPDATES)
    columns = {name: np.repeat([each[name] for each in places], [len(each) for each in found]) for name in places[0]}
    whole: pd.DataFrame = pa.concat_tables(found).to_pandas().assign(**columns)
    whole["entropy_bits"] = whole["prior_entropy"].astype(float) / np.log(2)
    return whole[_UPDATES]


def frames(results: Results) -> dict[str, pd.DataFrame]:
    """Every frame by its name."""
    comparison, scores = compare(results), full_scores(results)
    return {
        "trials": trials(results),
        "curves": curves(results),
        "channels": channels(results),
        "final_scores": comparison.scores,
        "pairs": comparison.pairs,
        "effects": comparison.cells,
        "wins": comparison.wins,
        "updates": updates(results),
        "full_scores": scores,
        "quality": summarise(scores),
    }


def export_tables(results: Results, folder: Path) -> list[Path]:
    """Write every one of `frames`, and `columns` that explains them all, as `folder`/NAME.csv and NAME.parquet.

    Both formats keep every digit. The folder is made where it is missing; one that cannot be is a ResultsError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"{folder}: cannot be made a folder ({error.strerror})") from None
    tables = frames(results)
    tables["columns"] = pd.DataFrame(
        [(name, column, MEANINGS.get(str(column), "")) for name, each in tables.items() for column in each.columns],
        columns=["frame", "column", "meaning"],
    )
    written = []
    for name, frame in tables.items():
        for suffix in FORMATS:
            written.append(folder / f"{name}{suffix}")
            write_frame(frame, written[-1])
    return written


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """One frame as .csv or .parquet, by the suffix; whole or not at all."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with whole_file(path) as temporary:
        if path.suffix == ".csv":
            pa.csv.write_csv(table, temporary)
        else:
            pq.write_table(table, temporary)


def _place(trial: PlannedTrial) -> dict[str, object]:
    return {"arm": trial.arm, "cell": trial.cell_name, "replicate": trial.replicate}


def _none(columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(columns=columns)
