"""Generalisation of priors against the source's definitions, written with Python's own sets."""

from collections import Counter
from itertools import combinations, product
from math import isnan, nan, prod

import pytest
import torch

from qgan.errors import InputError
from qgan.metrics.codes import expected_generalisation, passes_as_real
from qgan.priors.statistics import CodeStatistics

N = 4
P = torch.full((2**N,), 2.0**-N, dtype=torch.float64)


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


def test_equals_the_definitions_on_the_average_of_all_draws() -> None:
    p, draws = [0.4, 0.3, 0.2, 0.1], 3
    every = [set(each) for size in range(5) for each in combinations(range(4), size)]
    rows = [(list(row), prod(p[z] for z in row)) for row in product(range(4), repeat=draws)]
    for solutions, training in product(every, every):
        found = expected_generalisation(
            torch.tensor(p, dtype=torch.float64), flags(solutions, 2), flags(training, 2), draws
        )
        told = [(by_definition(row, solutions, training), weight) for row, weight in rows]
        exploration, _, rate, coverage = (sum(weight * row[k] for row, weight in told) for k in range(4))
        fidelity = rate / exploration if exploration else nan
        assert found == pytest.approx((exploration, fidelity, rate, coverage), nan_ok=True)


def test_a_prior_that_repeats_a_pool_and_one_that_knows_the_valid_codes() -> None:
    valid, seen = flags({1, 2, 3, 4}), flags({1, 2})
    memorised = expected_generalisation(seen.double() / 2, valid, seen, 10)
    assert (memorised.exploration, memorised.rate, memorised.coverage) == (0, 0, 0)
    assert isnan(memorised.fidelity)
    perfect = expected_generalisation((valid & ~seen).double() / 2, valid, seen, 100)
    assert perfect == pytest.approx((1, 1, 1, 1))


def test_everything_seen_leaves_no_meaning_but_no_crash() -> None:
    everything = flags(set(range(2**N)))
    found = expected_generalisation(P, everything, everything, 10)
    assert (found.exploration, found.rate) == (0, 0)
    assert isnan(found.fidelity) and isnan(found.coverage)


def test_a_uniform_prior_has_the_fidelity_of_the_share_of_valid_codes() -> None:
    valid, seen = flags({1, 2, 3, 4, 5}), flags({1, 2, 8})
    found = expected_generalisation(P, valid, seen, 10**6)
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


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: expected_generalisation(P, flags({1}), flags({1}, 3), 3), "seen must be one flag for each of the"),
        (lambda: expected_generalisation(P, flags({1}).float(), flags({1}), 3), "valid must be one flag"),
        (lambda: expected_generalisation(torch.ones(4) / 4, flags({1}), flags({1}), 3), "each of the 4 codes"),
        (lambda: passes_as_real(torch.zeros(4), torch.zeros(3), 0.0), "share must be above 0"),
        (lambda: passes_as_real(torch.zeros(4), torch.zeros(0)), "one real image or more"),
    ],
)
def test_wrong_sets_are_one_sentence(call, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        call()
