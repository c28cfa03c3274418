"""What every prior keeps: a new one is tested by adding its settings to PRIORS."""

from pathlib import Path

import pytest
import torch
from scipy.stats import chisquare

from qgan.circuits.codes import to_integers
from qgan.errors import Diverged
from qgan.prior_settings import (
    PRIOR_SETTINGS,
    AutoregressiveSettings,
    BernoulliSettings,
    BernoulliTrainedSettings,
    Gains,
    MpsSettings,
    NormalSettings,
    QcbmAanSettings,
    QcbmFrozenSettings,
    QcbmMarginalsSettings,
    QcbmNoEntanglerSettings,
    QcbmSettings,
    QcbmShuffledSettings,
    RbmSettings,
    UniformSettings,
)
from qgan.priors import PRIORS as REGISTERED
from qgan.priors import PriorUpdate, TrainablePrior, build

N = 5
EXACT = {"gradient": "exact", "learning_rate": 0.5}
GAINS = Gains(a=1.0, c=0.2)
PRIORS = {
    "bernoulli": BernoulliSettings(),
    "bernoulli, 0.2": BernoulliSettings(p=0.2),
    "uniform": UniformSettings(),
    "normal": NormalSettings(),
    "bernoulli_trained": BernoulliTrainedSettings(**{**EXACT, "learning_rate": 2.0}),
    "qcbm, finite difference": QcbmSettings(epsilon=0.5, learning_rate=0.5),
    "qcbm, rzz, 2 layers": QcbmSettings(
        entangler="rzz", connectivity="line", layers=2, epsilon=0.5, learning_rate=0.5, iterations=3
    ),
    "qcbm, exact": QcbmSettings(**EXACT),
    "qcbm, pairs, uniform": QcbmSettings(connectivity=((0, 2), (1, 4)), initial="uniform", iterations=3, **EXACT),
    "qcbm, parameter shift, adam": QcbmSettings(gradient="parameter_shift", optimizer="adam"),
    "qcbm, spsa gradient": QcbmSettings(gradient="spsa", iterations=5),
    "qcbm, spsa": QcbmSettings(optimizer="spsa", iterations=8, gains_restart=False),
    "qcbm, mps start": QcbmSettings(initial="mps", **EXACT),
    "qcbm, noisy, spsa": QcbmSettings(backend="exact:aria-2", optimizer="spsa", iterations=4, gains=GAINS),
    "qcbm, aer, spsa": QcbmSettings(backend="aer", optimizer="spsa", iterations=4, gains=GAINS),
    "qcbm, aer, noise": QcbmSettings(
        backend="aer:aria-2+spam", gradient="parameter_shift", connectivity="none", learning_rate=1.0, shots=64
    ),
    "qcbm_frozen": QcbmFrozenSettings(),
    "qcbm_no_entangler": QcbmNoEntanglerSettings(**EXACT),
    "qcbm_marginals": QcbmMarginalsSettings(**EXACT),
    "qcbm_marginals, aer": QcbmMarginalsSettings(backend="aer", optimizer="spsa", iterations=4, gains=GAINS),
    "qcbm_shuffled": QcbmShuffledSettings(optimizer="adam", gradient="exact", iterations=10),
    "qcbm_aan": QcbmAanSettings(learning_rate=0.1),
    "rbm": RbmSettings(**{**EXACT, "learning_rate": 2.0}),
    "rbm, adam": RbmSettings(hidden=2, gradient="finite_difference", optimizer="adam"),
    "mps": MpsSettings(**EXACT),
    "autoregressive": AutoregressiveSettings(**{**EXACT, "learning_rate": 2.0}),
    "autoregressive, reach": AutoregressiveSettings(reach=2, **{**EXACT, "learning_rate": 2.0}),
}
CONTINUOUS = UniformSettings | NormalSettings


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("qgan.priors.pretraining.STEPS", 20)


@pytest.fixture(params=PRIORS)
def settings(request):
    return PRIORS[request.param]


@pytest.fixture
def prior(settings, make_trial):
    return build(make_trial(settings, N), "cpu")


@pytest.fixture
def trained(prior):
    if not isinstance(prior, TrainablePrior):
        pytest.skip("learns nothing")
    return prior


def test_every_registered_prior_is_in_this_suite():
    assert {settings.prior for settings in PRIORS.values()} == set(REGISTERED) == set(PRIOR_SETTINGS)


def test_every_registered_prior_is_in_the_documentation():
    page = (Path(__file__).parents[3] / "docs" / "priors.md").read_text()
    assert [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")] == list(REGISTERED)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_codes_are_bits_in_float32(prior, settings, count):
    codes = prior.sample(count)
    assert codes.shape == (count, N) == (count, prior.latent_dim)
    assert codes.dtype == torch.float32
    assert not codes.requires_grad
    if isinstance(settings, CONTINUOUS):
        assert len(codes.unique()) == codes.numel()
    else:
        assert set(codes.flatten().tolist()) <= {0.0, 1.0}


def test_one_seed_gives_one_sequence_and_another_replicate_another(prior, settings, make_trial):
    codes = prior.sample(50)
    assert torch.equal(build(make_trial(settings, N), "cpu").sample(50), codes)
    assert not torch.equal(build(make_trial(settings, N, replicate=1), "cpu").sample(50), codes)
    assert not torch.equal(prior.sample(50), codes)


def test_a_prior_leaves_the_global_stream_alone(prior, ones):
    before = torch.get_rng_state()
    live(prior, 1, ones)
    assert torch.equal(torch.get_rng_state(), before)


def live(prior, events, critic):
    codes = []
    for _ in range(events):
        codes.append(prior.sample(20))
        if isinstance(prior, TrainablePrior):
            prior.update(critic)
    return torch.cat([*codes, prior.sample(20)])


def test_resumed_is_uninterrupted(prior, settings, make_trial, ones, tmp_path):
    live(prior, 2, ones)
    torch.save(prior.state_dict(), tmp_path / "prior.pt")
    uninterrupted = live(prior, 2, ones)
    resumed = build(make_trial(settings, N), "cpu")
    resumed.sample(3)
    resumed.load_state_dict(torch.load(tmp_path / "prior.pt", weights_only=True))
    assert torch.equal(live(resumed, 2, ones), uninterrupted)
    if isinstance(prior, TrainablePrior):
        assert resumed.update(ones) == prior.update(ones)


def test_a_state_is_a_snapshot(prior, ones):
    state = prior.state_dict()
    first = live(prior, 2, ones)
    prior.load_state_dict(state)
    assert torch.equal(live(prior, 2, ones), first)


def test_training_raises_the_ones_and_counts_its_cost(trained, settings, ones):
    before = trained.sample(2000).mean()
    updates = [trained.update(ones) for _ in range(6)]
    assert trained.sample(2000).mean() > before + 0.1
    assert all(isinstance(update, PriorUpdate) and update.gradient_norm > 0 for update in updates)
    assert sum(update.scores for update in updates) == ones.asked
    assert (updates[0].circuits > 0) == (updates[0].shots > 0)
    codes = updates[-1].codes
    assert 0 < codes.total_variation <= 1
    assert 1 <= codes.distinct_codes <= 2**N
    assert 0 <= codes.entropy <= N * 0.6932
    assert codes == trained.statistics()


def test_codes_are_drawn_from_the_distribution(prior, settings, ones):
    live(prior, 1, ones)
    codes = prior.sample(20_000)
    if isinstance(settings, CONTINUOUS):
        assert abs(codes.mean() - 0.5) < 0.01
        assert abs(codes.std() - (0.5 if settings.prior == "normal" else 12**-0.5)) < 0.01
        return
    if isinstance(settings, BernoulliSettings):
        count = torch.tensor([code.bit_count() for code in range(2**N)]).double()
        p = settings.p**count * (1 - settings.p) ** (N - count)
    else:
        p = prior.distribution()
    found = to_integers(codes).bincount(minlength=2**N)
    assert found[p == 0].sum() == 0
    expected = 20_000 * p[p > 0]
    assert chisquare(found[p > 0].numpy(), expected.numpy() * (20_000 / expected.sum().item())).pvalue > 1e-4


def test_a_judgement_that_is_not_finite_ends_the_event(trained, settings, ones):
    if isinstance(settings, QcbmAanSettings):
        pytest.skip("asks for no judgement")
    ones.score = lambda codes: torch.full((len(codes),), torch.nan)
    with pytest.raises(Diverged, match=r"train\.learning_rate"):
        trained.update(ones)
