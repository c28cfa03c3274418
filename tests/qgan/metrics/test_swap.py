"""Swapped priors: what each keeps of the trained one, and that the control priors are made of the same functions."""

import pytest
import torch

from qgan.circuits.codes import to_integers
from qgan.errors import InputError
from qgan.metrics.swap import SWAPS, codes_of, swapped
from qgan.prior_settings import QcbmMarginalsSettings, QcbmSettings, QcbmShuffledSettings
from qgan.priors import build
from qgan.priors.statistics import joint, mutual_information
from qgan.seeds import torch_stream
from qgan.settings import DataSettings, ScoreSettings
from qgan.trial import Trial

N = 5


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tied() -> torch.Tensor:
    p = torch.rand(2**N, generator=stream(1), dtype=torch.float64) ** 4
    return p / p.sum()


def entropy(p: torch.Tensor) -> float:
    return float(torch.special.entr(p).sum())


def test_each_swap_takes_one_thing_away() -> None:
    p = tied()
    swaps = swapped(p, stream())
    assert tuple(swaps) == SWAPS
    assert all(float(q.sum()) == pytest.approx(1) and bool((q >= 0).all()) for q in swaps.values())
    assert entropy(swaps["fair"]) == pytest.approx(N * torch.log(torch.tensor(2.0)).item())
    assert torch.allclose(joint(swaps["marginals"]).diagonal(), joint(p).diagonal())
    assert mutual_information(p) > 0.01 > 1e-12 > mutual_information(swaps["marginals"])
    assert torch.equal(swaps["shuffled"].sort().values, p.sort().values)
    assert float((swaps["shuffled"] - p).abs().sum()) > 0.1


def test_marginals_by_the_definition() -> None:
    p = tied()
    expected = torch.ones(2**N, dtype=torch.float64)
    for z in range(2**N):
        for q in range(N):
            expected[z] *= sum(p[other] for other in range(2**N) if (other >> q & 1) == (z >> q & 1))
    assert torch.allclose(swapped(p, stream())["marginals"], expected)


def test_independent_fair_bits_have_nothing_to_lose() -> None:
    fair = torch.full((2**N,), 2.0**-N, dtype=torch.float64)
    assert all(torch.allclose(q, fair) for q in swapped(fair, stream()).values())


def test_same_seed_same_permutation() -> None:
    p = tied()
    first, again, other = (swapped(p, stream(seed))["shuffled"] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_swaps_are_the_control_priors_of_the_same_pair() -> None:
    settings = (QcbmSettings(), QcbmMarginalsSettings(), QcbmShuffledSettings())
    trials = [Trial(DataSettings("toy", 20), N, 100, 0, each, score=ScoreSettings(images=10)) for each in settings]
    born, marginals, shuffled = (build(trial, "cpu") for trial in trials)
    swaps = swapped(born.distribution(), torch_stream(trials[0], "prior permutation"))
    assert torch.allclose(swaps["marginals"], marginals.distribution())
    assert torch.equal(swaps["shuffled"], shuffled.distribution())


def test_codes_follow_their_distribution_and_their_seed() -> None:
    p = tied()
    codes = codes_of(p, 20000, stream())
    assert codes.shape == (20000, N) and codes.dtype == torch.float32
    shares = to_integers(codes).bincount(minlength=2**N) / len(codes)
    assert float((shares - p).abs().max()) < 4 * (0.25 / len(codes)) ** 0.5
    assert torch.equal(codes, codes_of(p, 20000, stream()))


@pytest.mark.parametrize(
    "p", [torch.ones(6) / 6, torch.ones(8), torch.ones(1), torch.ones(2, 2) / 4, torch.full((4,), torch.nan)]
)
def test_what_is_no_distribution_of_bits_is_one_sentence(p: torch.Tensor) -> None:
    with pytest.raises(InputError, match="one probability for each of 2\\*\\*n codes"):
        swapped(p, stream())
