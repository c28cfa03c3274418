"""Generalisation of priors against the source's definitions, written with Python's own sets."""

from collections import Counter
from math import isnan, nan

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qgan.errors import InputError
from qgan.metrics.codes import among, expected_generalisation, generalisation, passes_as_real
from qgan.priors.statistics import CodeStatistics

N = 4
CODES = st.integers(0, 2**N - 1)


def flags(codes: list[int] | set[int], n_bits: int = N) -> torch.Tensor:
    return torch.tensor([z in codes for z in range(2**n_bits)])


def by_definition(queries: list[int], solutions: set[int], training: set[int]) -> tuple[float, float, float, float]:
    """E, F, R and C as arXiv 2201.08770 words them, for a training set within the solution space or not."""
    new = [z for z in queries if z not in training]
    found = [z for z in new if z in solutions]
    unseen = len(solutions) - len(solutions & training)
    return (
        len(new) / len(queries),
        len(found) / len(new) if new else nan,
        len(found) / len(queries),
        len(Counter(found)) / unseen if unseen else nan,
    )


@given(st.lists(CODES, min_size=1, max_size=40), st.sets(CODES), st.sets(CODES))
def test_equals_the_definitions(queries: list[int], solutions: set[int], training: set[int]) -> None:
    found = generalisation(torch.tensor(queries), flags(solutions), flags(training))
    assert found == pytest.approx(by_definition(queries, solutions, training), nan_ok=True)


def test_a_worked_example() -> None:
    # S = {1, 2, 3, 4}, T = {1, 2}; of 8 queries 3 are memorised, 3 are noise, and 2 are the valid unseen code 3
    found = generalisation(torch.tensor([1, 1, 2, 0, 7, 9, 3, 3]), flags({1, 2, 3, 4}), flags({1, 2}))
    assert found == pytest.approx((5 / 8, 2 / 5, 2 / 8, 1 / 2))


def test_a_prior_that_repeats_a_pool_and_one_that_knows_the_valid_codes() -> None:
    valid, pool = flags({1, 2, 3, 4}), torch.tensor([1, 2, 2])
    memorised = generalisation(pool[torch.tensor([0, 0, 1, 2])], valid, among(pool, N))
    assert (memorised.exploration, memorised.rate, memorised.coverage) == (0, 0, 0)
    assert isnan(memorised.fidelity)
    perfect = generalisation(torch.tensor([3, 4, 3, 4, 3]), valid, among(pool, N))
    assert perfect == (1, 1, 1, 1)


def test_everything_seen_leaves_no_meaning_but_no_crash() -> None:
    everything = flags(set(range(2**N)))
    for found in (
        generalisation(torch.tensor([1, 2]), everything, everything),
        expected_generalisation(torch.full((2**N,), 2.0**-N), everything, everything, 10),
    ):
        assert (found.exploration, found.rate) == (0, 0)
        assert isnan(found.fidelity) and isnan(found.coverage)


def test_expectation_is_the_mean_over_draws() -> None:
    stream = torch.Generator().manual_seed(0)
    p = torch.rand(2**N, generator=stream, dtype=torch.float64) ** 3
    p /= p.sum()
    valid, seen = (torch.rand(2**N, generator=stream) < share for share in (0.6, 0.4))
    draws, repeats = 12, 4000
    codes = torch.multinomial(p, draws * repeats, replacement=True, generator=stream).view(repeats, draws)
    drawn = torch.tensor([generalisation(row, valid, seen) for row in codes], dtype=torch.float64)
    expected = expected_generalisation(p, valid, seen, draws)
    # 4 standard errors: fails once in 10,000 for each
    for number in (0, 2, 3):
        error = float(drawn[:, number].std()) / repeats**0.5
        assert float(drawn[:, number].mean()) == pytest.approx(expected[number], abs=4 * error)
    assert expected.fidelity == pytest.approx(expected.rate / expected.exploration)
    new = (~seen[codes]).sum()
    assert float((valid & ~seen)[codes].sum() / new) == pytest.approx(expected.fidelity, abs=0.02)


def test_a_uniform_prior_has_the_fidelity_of_the_share_of_valid_codes() -> None:
    valid, seen = flags({1, 2, 3, 4, 5}), flags({1, 2, 8})
    found = expected_generalisation(torch.full((2**N,), 2.0**-N, dtype=torch.float64), valid, seen, 10**6)
    assert found == pytest.approx((13 / 16, 3 / 13, 3 / 16, 1))


def test_coverage_of_all_codes_is_the_expected_number_of_distinct_codes() -> None:
    p = torch.rand(2**N, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    p /= p.sum()
    everything = flags(set(range(2**N)))
    found = expected_generalisation(p, everything, ~everything, 20)
    assert found.coverage * 2**N == pytest.approx(CodeStatistics.of(p, p, 20).distinct_codes)
    single = expected_generalisation(everything.cumsum(0).eq(1).double(), everything, ~everything, 5)
    assert single == (1, 1, 1, 2**-N)  # a collapsed prior


def test_the_share_of_real_images_passes() -> None:
    real = torch.randn(200, generator=torch.Generator().manual_seed(0))
    assert int(passes_as_real(real, real).sum()) == 190
    assert int(passes_as_real(real, real, 0.5).sum()) == 100
    assert bool(passes_as_real(real, real, 1.0).all())
    assert passes_as_real(torch.tensor([-9.0, 9.0, nan]), real).tolist() == [True, False, False]
    assert passes_as_real(torch.tensor([1.0, 1.1]), torch.ones(1)).tolist() == [True, False]


def test_among_flags_the_codes_once() -> None:
    assert among(torch.tensor([3, 0, 3]), 2).tolist() == [True, False, False, True]
    assert not among(torch.tensor([], dtype=torch.int64), 2).any()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: generalisation(torch.tensor([0]), flags({1}), flags({1}, 3)), "seen must be one flag for each of the"),
        (lambda: generalisation(torch.tensor([0]), flags({1}).float(), flags({1})), "valid must be one flag"),
        (lambda: generalisation(torch.tensor([0]), flags({1})[:9], flags({1})[:9]), "valid must be one flag"),
        (lambda: generalisation(torch.tensor([], dtype=torch.int64), flags({1}), flags({1})), "one drawn code or more"),
        (lambda: expected_generalisation(torch.ones(4) / 4, flags({1}), flags({1}), 3), "each of the 4 codes"),
        (lambda: passes_as_real(torch.zeros(4), torch.zeros(3), 0.0), "share must be above 0"),
        (lambda: passes_as_real(torch.zeros(4), torch.zeros(0)), "one real image or more"),
    ],
)
def test_wrong_sets_are_one_sentence(call, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        call()
