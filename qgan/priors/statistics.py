"""How much a distribution of codes has to say, and how much its bits have to do with each other."""

from dataclasses import dataclass
from math import exp

import torch
from torch import Tensor
from torch.special import entr

from qgan.circuits.codes import all_bits, to_bits

_AT_ONCE = 2**16  # codes whose bits are held at a time


@dataclass(frozen=True)
class CodeStatistics:
    """Of the distribution p that a prior's codes are drawn from: exact for the p that is given."""

    entropy: float  # -sum_z p log p, nats
    perplexity: float  # exp(entropy): how many equally likely codes have that entropy
    distinct_codes: float  # expected number of different codes among `draws`
    total_variation: float  # sum_z |p - start| / 2 from the starting prior, 0 to 1
    mutual_information: float  # between two bits, mean over all pairs, nats; 0 for independent bits

    @classmethod
    def of(cls, p: Tensor, start: Tensor, draws: int) -> "CodeStatistics":
        """p and start (2**n,) float64, each summing to 1."""
        entropy = float(entr(p).sum())
        return cls(
            entropy,
            exp(entropy),
            float(-torch.expm1(draws * torch.log1p(-p.clamp(max=1))).sum()),
            float((p - start).abs().sum() / 2),
            mutual_information(p),
        )


def joint(p: Tensor) -> Tensor:
    """Probabilities (n, n) float64 that bits i and j are both 1, under p (2**n,); the marginals are its diagonal."""
    n_bits = len(p).bit_length() - 1
    both = p.new_zeros(n_bits, n_bits)
    for codes in torch.arange(len(p), device=p.device).split(_AT_ONCE):
        bits = to_bits(codes, n_bits).to(p.dtype)
        both += bits.T @ (bits * p[codes, None])
    return both


def product_of_marginals(p: Tensor) -> Tensor:
    """prod_q p_q(z_q) (2**n,): independent bits with the marginals of p (2**n,)."""
    ones = joint(p).diagonal()
    return torch.where(all_bits(len(ones), p.device).bool(), ones, 1 - ones).prod(1)


def renamed(p: Tensor, names: Tensor) -> Tensor:
    """p (2**n,) when every code z becomes code names[z] (2**n,) int64, a permutation: the entropy stays."""
    return torch.empty_like(p).index_copy_(0, names, p)


def mutual_information(p: Tensor) -> float:
    """I(bit i; bit j) = H_i + H_j - H_ij under p (2**n,), mean over all pairs, nats; 0 where there is no pair."""
    both = joint(p)
    ones = both.diagonal()
    if len(ones) < 2:
        return 0.0
    single = entr(ones) + entr(1 - ones)
    cells = both, ones[:, None] - both, ones[None] - both, 1 - ones[:, None] - ones[None] + both
    pair = sum((entr(cell.clamp_min(0)) for cell in cells), torch.zeros_like(both))
    i, j = torch.triu_indices(len(ones), len(ones), offset=1, device=p.device)
    return max(0.0, float((single[i] + single[j] - pair[i, j]).mean()))
