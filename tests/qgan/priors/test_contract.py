"""What every prior keeps: a new one is tested by adding its settings to PRIORS."""

import pytest
import torch
from scipy.stats import chisquare

from qgan.circuits.codes import to_integers
from qgan.priors import PRIORS as REGISTERED
from qgan.priors import PriorUpdate, TrainablePrior, build
from qgan.settings import PRIOR_SETTINGS, BernoulliSettings, DataSettings, QcbmSettings, ScoreSettings
from qgan.trial import Trial

N = 5
PRIORS = [
    BernoulliSettings(),
    BernoulliSettings(p=0.2),
    QcbmSettings(epsilon=0.5, learning_rate=0.5),
    QcbmSettings(entangler="rzz", connectivity="line", layers=2, epsilon=0.5, learning_rate=0.5, iterations=3),
    QcbmSettings(gradient="exact", learning_rate=0.5),
]


def trial(settings, replicate=0) -> Trial:
    data = DataSettings(patches="toy", evaluation=20)
    return Trial(data, N, 100, replicate, settings, score=ScoreSettings(images=10))


class Ones:
    """A critic that is the more deceived the more bits are 1."""

    def score(self, codes):
        return -codes.mean(1)


@pytest.fixture(params=PRIORS, ids=repr)
def settings(request):
    return request.param


@pytest.fixture
def prior(settings):
    return build(trial(settings), "cpu")


def test_every_registered_prior_is_in_this_suite():
    assert {settings.prior for settings in PRIORS} == set(REGISTERED) == set(PRIOR_SETTINGS)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_codes_are_bits_in_float32(prior, count):
    codes = prior.sample(count)
    assert codes.shape == (count, N) == (count, prior.latent_dim)
    assert codes.dtype == torch.float32
    assert not codes.requires_grad
    assert set(codes.flatten().tolist()) <= {0.0, 1.0}


def test_one_seed_gives_one_sequence_and_another_replicate_another(prior, settings):
    codes = prior.sample(50)
    assert torch.equal(build(trial(settings), "cpu").sample(50), codes)
    assert not torch.equal(build(trial(settings, replicate=1), "cpu").sample(50), codes)
    assert not torch.equal(prior.sample(50), codes)


def test_a_prior_leaves_the_global_stream_alone(prior):
    before = torch.get_rng_state()
    prior.sample(3)
    if isinstance(prior, TrainablePrior):
        prior.update(Ones())
    assert torch.equal(torch.get_rng_state(), before)


def live(prior, events):
    codes = []
    for _ in range(events):
        codes.append(prior.sample(20))
        if isinstance(prior, TrainablePrior):
            prior.update(Ones())
    return torch.cat([*codes, prior.sample(20)])


def test_resumed_is_uninterrupted(prior, settings, tmp_path):
    live(prior, 2)
    torch.save(prior.state_dict(), tmp_path / "prior.pt")
    uninterrupted = live(prior, 2)
    resumed = build(trial(settings), "cpu")
    resumed.sample(3)
    resumed.load_state_dict(torch.load(tmp_path / "prior.pt", weights_only=True))
    assert torch.equal(live(resumed, 2), uninterrupted)


def test_a_state_is_a_snapshot(prior):
    state = prior.state_dict()
    first = live(prior, 2)
    prior.load_state_dict(state)
    assert torch.equal(live(prior, 2), first)


def test_training_lowers_the_loss_and_counts_its_cost(prior):
    if not isinstance(prior, TrainablePrior):
        pytest.skip("not trainable")
    before = Ones().score(prior.sample(2000)).mean()
    updates = [prior.update(Ones()) for _ in range(6)]
    after = Ones().score(prior.sample(2000)).mean()
    assert after < before - 0.1
    assert updates[0].loss == pytest.approx(before.item(), abs=0.15)
    assert all(isinstance(update, PriorUpdate) and update.gradient_norm > 0 for update in updates)
    assert updates[0].scores > 0


def test_sampling_frequencies_are_right(prior, settings):
    codes = to_integers(prior.sample(20_000))
    if isinstance(settings, BernoulliSettings):
        ones = torch.tensor([code.bit_count() for code in range(2**N)])
        p = settings.p**ones * (1 - settings.p) ** (N - ones)
    else:
        p = prior.sampler.probabilities(prior.theta[None])[0]
    expected = 20_000 * p.double() / p.double().sum()
    assert chisquare(codes.bincount(minlength=2**N).numpy(), expected.numpy()).pvalue > 1e-3
