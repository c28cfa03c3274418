"""Codes as bits and as integers, and drawing them from a distribution. Bit q of a code is qubit q."""

import torch
from torch import Tensor

from qgan.errors import InputError


def to_bits(integers: Tensor, n_bits: int) -> Tensor:
    """Bits (..., n_bits) uint8 of codes (...) int64; bit 0 is the least significant."""
    return (integers.unsqueeze(-1) >> torch.arange(n_bits, device=integers.device) & 1).to(torch.uint8)


def to_integers(bits: Tensor) -> Tensor:
    """Codes (...) int64 of bits (..., n_bits)."""
    return (bits.long() << torch.arange(bits.shape[-1], device=bits.device)).sum(-1)


def all_bits(n_bits: int, device: torch.device) -> Tensor:
    """Bits (2**n_bits, n_bits) uint8 of every code in order."""
    return to_bits(torch.arange(2**n_bits, device=device), n_bits)


def require_shots(shots: int) -> None:
    """Raises InputError unless a circuit may be measured that often."""
    if shots < 1:
        raise InputError(f"shots must be 1 or more codes per circuit, not {shots}", "shots")


def cumulative(probabilities: Tensor) -> Tensor:
    """Running sums (..., 2**n_bits) float64 of probabilities; float32 would lose the rare codes of large n."""
    return probabilities.detach().cumsum(-1, dtype=torch.float64)


def draw(cumulative: Tensor, count: int, stream: torch.Generator) -> Tensor:
    """Codes (batch, count) int64 from running sums (batch, 2**n_bits), one row of uniforms per distribution.

    Inverts the running sums, since torch.multinomial ends at 2**24 codes.
    """
    uniform = torch.rand(len(cumulative), count, generator=stream, dtype=cumulative.dtype, device=cumulative.device)
    # right=True steps over codes of probability 0; the clamp catches a sum that rounding left short of its end
    codes = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
    return codes.clamp_(max=cumulative.shape[-1] - 1)
