"""Whether a prior generalises over codes: how it fares among the valid codes that it was not trained on.

Source: Gili, Mauri and Perdomo-Ortiz, Phys. Rev. Applied 21, 044032 (2024), arXiv 2201.08770 (the paper's reference
24). There a model is trained on codes T of a solution space S that is known beforehand. A prior of a WGAN sees no data,
so both sets have to be chosen, and the scores say nothing without that choice:

valid   codes whose image passes for real: a number of each code's image (f(z) = -D(G(z)), or a critic-independent
        distance to the nearest real image in a feature space) is no worse than that of `share` of held-out real
        images (`passes_as_real`). By f the judge is the generator's own adversary: late in training it may reject
        every code, and its judgement of two trials is not the same. Prefer the feature space across arms.
seen    codes whose image copies a training image (`memorisation.copies`): T is the training set of images, as in the
        source, read back in codes, and the rule is one for all arms. `qgan.scoring` takes it. The codes whose f the
        prior was told would be another set for each arm: none without updates, all with the exact gradient, and
        where nothing is unseen fidelity and coverage are NaN.

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


def expected_generalisation(p: Tensor, valid: Tensor, seen: Tensor, draws: int) -> Generalisation:
    """Expected E, R and C of Q = `draws` codes of the distribution p (2**n,) float64, sum 1, and F = R / E.

    The sets valid = S and seen = T are flags (2**n,) of every code. C = mean over S \\ T of 1 - (1 - p(z))^Q.
    |S \\ T| is the source's |S| - |T| where T lies in S; here T may hold invalid codes. Raises InputError.
    """
    _require_sets(valid, seen, len(p))
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


def _require_sets(valid: Tensor, seen: Tensor, count: int) -> None:
    """Raises InputError unless both sets have one flag for each of `count` codes."""
    for name, flags in (("valid", valid), ("seen", seen)):
        if flags.shape != (count,) or flags.dtype != torch.bool:
            raise InputError(
                f"{name} must be one flag for each of the {count} codes, not {tuple(flags.shape)} of {flags.dtype}"
            )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
