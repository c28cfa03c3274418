"""Whether a prior generalises over codes: how it fares among the valid codes that it was not trained on.

Source: Gili, Mauri and Perdomo-Ortiz, Phys. Rev. Applied 21, 044032 (2024), arXiv 2201.08770 (the paper's reference
24). There a model is trained on codes T of a solution space S that is known beforehand. A prior of a WGAN sees no data,
so both sets have to be chosen, and the scores say nothing without that choice:

valid   codes whose image passes for real: a number of each code's image (f(z) = -D(G(z)), or a critic-independent
        distance to the nearest real image in a feature space) is no worse than that of `share` of held-out real
        images (`passes_as_real`). By f the judge is the generator's own adversary: late in training it may reject
        every code, and its judgement of two trials is not the same. Prefer the feature space across arms.
seen    codes whose image copies a training image (`memorisation.copies`): T is the training set of images, as in the
        source, read back in codes, and the rule is one for all arms. `qgan.scoring` takes it. About the prior alone
        one may ask with the codes whose f it was told in its last update event (`among` of its shots): a prior
        without updates has seen none, one with the exact gradient all, and then nothing is unseen, fidelity and
        coverage are NaN; codes drawn from a stored pool are all seen. To compare arms so, hand one set to all.

The generator has met most codes of a small n within an epoch, whatever the prior was told. Compare with the uniform
prior, whose fidelity is the share of valid codes among unseen ones.
"""

from math import ceil
from typing import NamedTuple

import torch
from torch import Tensor

from qgan.errors import InputError


class Generalisation(NamedTuple):
    """The source's scores, each 0 to 1, the higher the better."""

    exploration: float  # E = |G_new| / Q: drawn codes that are unseen
    fidelity: float  # F = |G_sol| / |G_new|: of those, the valid ones; NaN where no unseen code was drawn
    rate: float  # R = |G_sol| / Q = E F: drawn codes that are unseen and valid
    coverage: float  # C = |g_sol| / |S \ T|: unseen valid codes drawn at least once; NaN where there is none


def generalisation(codes: Tensor, valid: Tensor, seen: Tensor) -> Generalisation:
    """Of Q drawn codes (Q,) int64, Q >= 1, with the sets valid = S and seen = T as flags (2**n,) of every code.

    |S \\ T| is the source's |S| - |T| where T lies in S; here T may hold invalid codes. Raises InputError.
    """
    require_sets(valid, seen, 2 ** (len(valid).bit_length() - 1))
    if not len(codes):
        raise InputError("generalisation needs one drawn code or more, not none; draw some")
    wanted = valid & ~seen
    new = int((~seen[codes]).sum())
    solutions = codes[wanted[codes]]
    return Generalisation(
        new / len(codes),
        _ratio(len(solutions), new),
        len(solutions) / len(codes),
        _ratio(len(solutions.unique()), int(wanted.sum())),
    )


def expected_generalisation(p: Tensor, valid: Tensor, seen: Tensor, draws: int) -> Generalisation:
    """The same for a known distribution p (2**n,) float64, sum 1: expected E, R and C of Q = `draws` codes, F = R / E.

    C = mean over S \\ T of 1 - (1 - p(z))^Q. Raises InputError.
    """
    require_sets(valid, seen, len(p))
    wanted = valid & ~seen
    exploration, rate = float(p[~seen].sum()), float(p[wanted].sum())
    drawn = -torch.expm1(draws * torch.log1p(-p[wanted].clamp(max=1)))
    return Generalisation(exploration, _ratio(rate, exploration), rate, _ratio(float(drawn.sum()), int(wanted.sum())))


def passes_as_real(values: Tensor, real: Tensor, share: float = 0.95) -> Tensor:
    """Flags (2**n,) of the codes whose value (2**n,), lower is better, is not above that of `share` of real images.

    real (m,): the same quantity of held-out real images; `share` of them, and the one that rounds it up, pass by
    construction. A value of NaN does not pass. Raises InputError.
    """
    if not (0 < share <= 1 and len(real)):
        raise InputError(
            f"share must be above 0 and at most 1, of one real image or more, not {share} of {len(real)}; "
            "0.95 lets 95 % of real images pass"
        )
    passing = real.sort().values[: ceil(share * len(real))]
    return values <= passing[-1]


def among(codes: Tensor, n_bits: int) -> Tensor:
    """Flags (2**n_bits,) of the codes that stand among codes (k,) int64."""
    return codes.new_zeros(2**n_bits, dtype=torch.bool).index_fill_(0, codes, True)


def require_sets(valid: Tensor, seen: Tensor, count: int) -> None:
    """Raises InputError unless both sets have one flag for each of `count` codes."""
    for name, flags in (("valid", valid), ("seen", seen)):
        if flags.shape != (count,) or flags.dtype != torch.bool:
            raise InputError(
                f"{name} must be one flag for each of the {count} codes, not {tuple(flags.shape)} of {flags.dtype}"
            )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
