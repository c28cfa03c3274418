"""Prior swap: which other codes a trained generator is given, to tell a better generator from a better prior.

The networks stay as they are. Where the scores fall when bits become independent or codes change places, the trained
prior carried the gain; where they stay, the generator did.
"""

import torch
from torch import Tensor

from qgan.circuits.codes import cumulative, draw, to_bits
from qgan.errors import InputError
from qgan.priors.statistics import product_of_marginals, renamed

SWAPS = ("fair", "marginals", "shuffled")


def swapped(p: Tensor, stream: torch.Generator) -> dict[str, Tensor]:
    """For each of SWAPS the distribution (2**n,) that stands in for the trained prior's p (2**n,) float64, sum 1.

    fair       2**-n: the paper's Bernoulli prior, all that was trained is gone
    marginals  prod_q p_q(z_q): only the ties between bits are gone
    shuffled   p of another code, by one random permutation of all codes: the entropy stays, but which codes are
               likely, and whose neighbours they are, is gone. One permutation is one draw: repeat it for an interval

    The permutation is drawn on the host, so `stream` is a host's. Raises InputError where p is no distribution of bits.
    """
    n_codes = len(p)
    if p.ndim != 1 or n_codes < 2 or n_codes & (n_codes - 1) or not abs(float(p.sum()) - 1) < 1e-6:
        raise InputError(
            f"a prior's distribution has one probability for each of 2**n codes, sum 1, not {tuple(p.shape)} with sum "
            f"{float(p.sum()):g}; continuous priors have none"
        )
    return {
        "fair": torch.full_like(p, 1 / n_codes),
        "marginals": product_of_marginals(p),
        "shuffled": renamed(p, torch.randperm(n_codes, generator=stream).to(p.device)),
    }


def codes_of(p: Tensor, count: int, stream: torch.Generator) -> Tensor:
    """Codes (count, n) float32 of bits, drawn from p (2**n,), on the stream's device, which is p's."""
    n_bits = len(p).bit_length() - 1
    return to_bits(draw(cumulative(p[None]), count, stream)[0], n_bits).float()
