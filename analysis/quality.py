"""What the full scores of a generator mean, and whether they come near those of real images.

word     meaning
fault    how far a score lies from its ideal, the value that a perfect generator has: 0 or more
floor    the same score of real images in the place of the generated ones
within   the fault is at most ORDER times the floor's: as near to the ideal as real images, but for half a decade
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.results import Results

ORDER = 10**0.5  # half a decade either way is one order of magnitude
OWN = "own"  # the prior that a generator was trained with; others stood in for it
FRAME = ["key", "arm", "cell", "replicate", "prior", "epoch", "score", "value", "floor"]
SUMMARY = ["arm", "cell", "prior", "epoch", "score", "replicates", "value", "floor", "fault", "floor_fault", "within"]

Better = Literal["lower", "higher", "floor"]


@dataclass(frozen=True)
class Quality:
    """One score: what it is called, in what unit, and where it should lie."""

    label: str
    unit: str  # empty where it has none
    better: Better  # lower | higher | floor: the nearer to the floor, from either side
    ideal: float  # in expectation, of a perfect generator
    group: str  # of scores that answer one question
    meaning: str


_DISTANCE, _COVER, _COPY = "distance to real images", "fidelity and diversity", "memorisation"
_PHASE, _ANGLE, _MASK, _CODE = "phase", "angles", "grain mask", "codes"


def _lower(label: str, unit: str, group: str, meaning: str) -> Quality:
    return Quality(label, unit, "lower", 0.0, group, meaning)


def _share(label: str, group: str, meaning: str) -> Quality:
    return Quality(label, "", "higher", 1.0, group, meaning)


QUALITY = {
    "mmd_v": _lower("MMD, biased", "", _DISTANCE, "Eq. 9 on pixels; always positive, holds its floor within it"),
    "mmd_u": _lower("MMD, unbiased", "", _DISTANCE, "Eq. 9 on pixels; 0 in expectation for equal distributions"),
    "kid": _lower("KID", "", _DISTANCE, "MMD with a cubic kernel on features of a network trained on real patches"),
    "precision": _share("precision", _COVER, "share of generated images that lie among real ones"),
    "recall": _share("recall", _COVER, "share of real images that lie among generated ones"),
    "density": Quality("density", "", "floor", 1.0, _COVER, "real neighbourhoods round a generated image"),
    "coverage": _share("coverage", _COVER, "share of real neighbourhoods that hold a generated image"),
    "distance_ratio": Quality(
        "distance to training images", "", "floor", 1.0, _COPY, "median over that of held-out images; below 1: too near"
    ),
    "near_share": Quality(
        "share near training images", "", "floor", 0.05, _COPY, "nearer than 95 % of held-out images; 0.05 expected"
    ),
    "copied_share": _lower("share of copies", "", _COPY, "a third or less as far from one training image as the next"),
    "copying_z": Quality("copying test, z", "", "floor", 0.0, _COPY, "rank test of the distances; far below 0: copies"),
    "phase_noise": _lower("noise share", "", _PHASE, "difference of the pixels' share without indexing"),
    "phase_bcc": _lower("BCC share", "", _PHASE, "difference of the pixels' share"),
    "phase_fcc": _lower("FCC share", "", _PHASE, "difference of the pixels' share"),
    "phase_other": _lower("other phases' share", "", _PHASE, "difference of the pixels' share"),
    "phase_gap": _lower("illegal phase pixels", "", _PHASE, "share of pixels between the four classes"),
    "phase_correlation": _lower("phase correlation", "µm", _PHASE, "area between the two-point correlations"),
    "kam_distance": _lower("KAM", "deg", _ANGLE, "Wasserstein distance of the measured pixels"),
    "kam_sentinel": _lower("KAM not measured", "", _ANGLE, "difference of the pixels' share"),
    "kam_gap": _lower("illegal KAM pixels", "", _ANGLE, "share of pixels between 3 and 3.5 deg"),
    "ks_deviation_distance": _lower("KS deviation", "deg", _ANGLE, "Wasserstein distance of the measured pixels"),
    "ks_deviation_sentinel": _lower("KS not available", "", _ANGLE, "difference of the pixels' share"),
    "ks_deviation_gap": _lower("illegal KS pixels", "", _ANGLE, "share of pixels between 15 and 20 deg"),
    "ks_deviation_off_bcc": _lower("KS outside BCC", "", _ANGLE, "share of pixels with a deviation but another phase"),
    "noise_disagreement": _lower("noise that disagrees", "", _ANGLE, "share of pixels noisy in one channel only"),
    "mask_gap": _lower("illegal mask pixels", "", _MASK, "share of pixels between 0 and 1"),
    "mask_area": _lower("grain area", "", _MASK, "Wasserstein distance of the masks' shares of their image"),
    "mask_components": _lower("pieces of the grain", "", _MASK, "Wasserstein distance of the numbers of pieces"),
    "mask_broken": _lower("broken grains", "", _MASK, "share of masks that are not one piece"),
    "mask_off_centre": _lower("grains off the centre", "", _MASK, "share of masks without the middle of the image"),
    "distinct_share": _share("distinct images", _CODE, "different images among those drawn, over their number"),
    "code_fidelity": _share("code fidelity", _CODE, "share of drawn codes whose image passes for real"),
    "code_coverage": _share("code coverage", _CODE, "share of the passing codes that were drawn"),
}


def full_scores(results: Results) -> pd.DataFrame:
    """One row per planned trial, prior, scored epoch and score: the columns of FRAME, value and floor in its unit.

    NaN marks a score without a meaning, or real images without such a score; rows of unknown scores are left out.
    """
    tables = results.full_scores()
    found = [trial for trial in results.plan.trials if trial.key in tables]
    if not found:
        return pd.DataFrame(columns=FRAME)
    # one frame of all tables: a frame each takes longer than reading them
    lengths = [len(tables[trial.key]) for trial in found]
    places: dict[str, list[Any]] = {
        "key": [trial.key for trial in found],
        "arm": [trial.arm for trial in found],
        "cell": [trial.cell_name for trial in found],
        "replicate": [trial.replicate for trial in found],
    }
    whole: pd.DataFrame = pa.concat_tables([tables[trial.key] for trial in found]).to_pandas()
    whole = whole.assign(**{name: np.repeat(each, lengths) for name, each in places.items()})
    known: pd.DataFrame = whole.loc[whole["score"].isin(QUALITY), FRAME].reset_index(drop=True)
    return known.astype({"value": float, "floor": float})


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Means over replicates of `full_scores`, one row per arm, cell, prior, epoch and score: the columns of SUMMARY.

    replicates: how many have a value. fault, floor_fault: means over replicates. within: True or False, None where
    value or floor is missing.
    """
    if scores.empty:
        return pd.DataFrame(columns=SUMMARY)
    known = scores.assign(
        fault=fault(scores["score"], scores["value"]), floor_fault=fault(scores["score"], scores["floor"])
    )
    grouped = known.groupby(["arm", "cell", "prior", "epoch", "score"], sort=False)
    means = grouped[["value", "floor", "fault", "floor_fault"]].mean()
    means.insert(0, "replicates", grouped["value"].count())
    # one float more than the floor's own mean is rounding, where all floors are equal
    within = means["fault"] <= ORDER * means["floor_fault"] * (1 + 1e-12)
    means["within"] = within.astype(object).where(means[["fault", "floor_fault"]].notna().all(axis=1), None)
    frame: pd.DataFrame = means.reset_index()
    return frame.reindex(columns=SUMMARY)


def latest(scores: pd.DataFrame) -> pd.DataFrame:
    """The rows of each cell at the last epoch at which all of its arms with scores were scored."""
    if scores.empty:
        return scores
    arms = scores.groupby(["cell", "epoch"])["arm"].nunique()
    full = arms[arms == scores.groupby("cell")["arm"].nunique().reindex(arms.index, level="cell")]
    last = full.reset_index().groupby("cell")["epoch"].max()
    frame: pd.DataFrame = scores[scores["epoch"] == scores["cell"].map(last)]
    return frame


def fault(names: pd.Series, values: pd.Series) -> NDArray[np.float64]:
    """How far each value lies on the wrong side of its score's ideal, on either side for scores with `floor`.

    A lower score below its ideal (an unbiased MMD below 0) has no fault.
    """
    ideal = names.map({name: each.ideal for name, each in QUALITY.items()}).to_numpy(float)
    sign = names.map({name: {"lower": 1, "higher": -1, "floor": 0}[each.better] for name, each in QUALITY.items()})
    sides = sign.to_numpy(float)
    away = values.to_numpy(float) - ideal
    return np.where(sides == 0, np.abs(away), np.maximum(sides * away, 0.0))


def channel_means(results: Results, cell: str, epoch: int) -> pd.DataFrame:
    """Unbiased MMD of every channel, mean of the final window up to `epoch`: arm, replicate, channel, value, floor.

    Channels by name where a trial of the cell has images, else by number.
    """
    rows: list[tuple[str, int, str, float, float]] = []
    trials = [trial for trial in results.plan.trials if trial.cell_name == cell and trial.key in results.curves]
    tables = results.only(cell).columns(["epoch", "channel_mmd_u", "channel_floor_u"]) if trials else {}
    images = next((found for trial in trials if (found := results.images(trial.key)) is not None), None)
    for trial in (each for each in trials if each.key in tables):
        curve = tables[trial.key]
        late = pc.and_(pc.greater(curve["epoch"], epoch - results.plan.window), pc.less_equal(curve["epoch"], epoch))
        window = curve.filter(pc.and_(late, pc.is_valid(curve["channel_mmd_u"])))
        if len(window):
            values, floors = (
                np.array(window[name].to_pylist(), float).mean(0) for name in ("channel_mmd_u", "channel_floor_u")
            )
            names = [each["name"] for each in images.channels] if images else [str(k) for k in range(len(values))]
            place = (trial.arm, trial.replicate)
            rows += [(*place, *each) for each in zip(names, values.tolist(), floors.tolist(), strict=True)]
    return pd.DataFrame(rows, columns=["arm", "replicate", "channel", "value", "floor"])
