"""Which patches train and which evaluate: neighbours in one map overlap, so they are split by map."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd.patchset import PatchIndex
from qgan.errors import InputError

Indices = NDArray[np.int64]


def split(index: PatchIndex, evaluation: int, microstructure: str | None) -> tuple[Indices, Indices]:
    """Indices of the training pool and of `evaluation` patches from other maps, both ascending.

    Maps go to the evaluation in an order fixed by the content hash until there are enough patches; what they
    hold beyond that is in neither set. A single map is cut in two so that no training window overlaps an
    evaluation window. `InputError` where the label does not exist or the patches do not suffice.
    """
    pool = _labelled(index, microstructure)
    what = "patches" if microstructure is None else f"patches of {microstructure}"
    if evaluation < 1:
        raise InputError(f"evaluation must be 1 or more patches, not {evaluation}", "evaluation")
    if len(pool) <= evaluation:
        raise InputError(
            f"evaluation asks for {evaluation} {what} and training needs some too, but there are {len(pool)}; "
            "ask for fewer or add scans",
            "evaluation",
        )
    maps, sizes = np.unique(index.map_id[pool], return_counts=True)
    if len(maps) == 1:
        return _split_map(index, pool, evaluation, what)
    by_hash = np.array(sorted(range(len(maps)), key=lambda k: _hash(index, int(maps[k]))))
    # where the hash's order would leave no map to train with, the largest maps first need fewest maps
    for order in (by_hash, by_hash[np.argsort(-sizes[by_hash], kind="stable")]):
        taken = order[: np.searchsorted(np.cumsum(sizes[order]), evaluation) + 1]
        if len(taken) < len(maps):
            held_out = np.isin(index.map_id[pool], maps[taken])
            candidates = pool[held_out]
            chosen = np.random.default_rng(_hash(index, "evaluation")).permutation(candidates)[:evaluation]
            return pool[~held_out], np.sort(chosen)
    raise InputError(
        f"evaluation asks for {evaluation} {what} from other maps than the training pool, but the {len(maps)} maps "
        f"hold {len(pool)}, at most {len(pool) - int(sizes.min())} without the smallest; ask for fewer or add scans",
        "evaluation",
    )


def _labelled(index: PatchIndex, microstructure: str | None) -> Indices:
    if microstructure is None:
        return np.arange(len(index))
    pool = np.flatnonzero(index.microstructure == microstructure)
    if not len(pool):
        labels = index.footer.microstructures
        there = ", ".join(f"{label} ({count})" for label, count in labels.items()) or "none of the patches has one"
        raise InputError(f"no patch has the microstructure {microstructure}; in the file: {there}", "microstructure")
    return pool


def _split_map(index: PatchIndex, pool: Indices, evaluation: int, what: str) -> tuple[Indices, Indices]:
    """Cut one map at a line, along the axis and from the side that leave most training patches."""
    best: tuple[Indices, Indices] = pool[:0], pool[:0]
    for first, size in ((index.row, index.footer.height), (index.column, index.footer.width)):
        for towards in (first[pool].astype(np.int64), -first[pool].astype(np.int64)):
            order = np.argsort(towards, kind="stable")
            chosen = order[:evaluation]
            training = pool[towards >= towards[chosen].max() + size]
            if len(training) > len(best[0]):
                best = training, np.sort(pool[chosen])
    if not len(best[0]):
        raise InputError(
            f"evaluation asks for {evaluation} of the {len(pool)} {what} of a single map, but every other window "
            "overlaps one of them; ask for fewer or add scans",
            "evaluation",
        )
    return best


def _hash(index: PatchIndex, name: object) -> int:
    text = f"{index.footer.content_hash}:{name}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
