"""Code statistics against closed forms."""

import math

import pytest
import torch

from qgan.circuits.codes import all_bits
from qgan.priors.statistics import CodeStatistics, joint, mutual_information

UNIFORM = torch.full((8,), 1 / 8, dtype=torch.float64)
ONE = torch.eye(8, dtype=torch.float64)[5]


def test_uniform_and_single_code():
    uniform, one = (CodeStatistics.of(p, UNIFORM, 4) for p in (UNIFORM, ONE))
    assert uniform.entropy == pytest.approx(math.log(8))
    assert uniform.perplexity == pytest.approx(8)
    assert uniform.distinct_codes == pytest.approx(8 * (1 - (7 / 8) ** 4))
    assert (uniform.total_variation, uniform.mutual_information) == pytest.approx((0, 0))
    assert (one.entropy, one.perplexity, one.distinct_codes) == pytest.approx((0, 1, 1))
    assert one.total_variation == pytest.approx(7 / 8)


def test_mutual_information_of_copied_bits_is_one_bit():
    p = torch.zeros(8, dtype=torch.float64)
    p[[0b000, 0b111]] = 0.5
    assert mutual_information(p) == pytest.approx(math.log(2))
    assert mutual_information(torch.tensor([0.3, 0.7]).double()) == 0


def test_pairs_in_pieces_are_pairs_at_once(monkeypatch):
    p = torch.rand(2**6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p /= p.sum()
    bits = all_bits(6, p.device).double()
    whole = bits.T @ (bits * p[:, None])
    monkeypatch.setattr("qgan.priors.statistics._AT_ONCE", 7)
    assert torch.allclose(joint(p), whole)
