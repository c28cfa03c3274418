"""The control priors: what each takes away from the Born machine, and what it leaves."""

import pytest
import torch

from qgan.errors import InputError
from qgan.prior_settings import (
    PRIOR_SETTINGS,
    QcbmAanSettings,
    QcbmFrozenSettings,
    QcbmMarginalsSettings,
    QcbmNoEntanglerSettings,
    QcbmSettings,
    QcbmShuffledSettings,
    TrainedSettings,
)
from qgan.priors import TrainablePrior, build
from qgan.priors.statistics import joint, mutual_information

N = 5
EXACT = {"gradient": "exact", "learning_rate": 0.5, "iterations": 10}


def entropy(p):
    return torch.special.entr(p).sum()


def test_marginals_have_the_qcbms_marginals_and_no_mutual_information(make_trial, table):
    born, marginals = (build(make_trial(each(**EXACT), N), "cpu") for each in (QcbmSettings, QcbmMarginalsSettings))
    for each in (born, marginals):
        each.update(table(N))
    assert torch.equal(born.theta, marginals.theta)  # trains as qcbm
    p, q = born.distribution(), marginals.distribution()
    assert torch.allclose(joint(p).diagonal(), joint(q).diagonal(), atol=1e-9)
    assert mutual_information(p) > 1e-3
    assert mutual_information(q) < 1e-12
    assert q.sum() == pytest.approx(1)


def test_shuffled_has_the_qcbms_entropy_and_its_score_sees_what_the_generator_gets(make_trial, table):
    shuffled = build(make_trial(QcbmShuffledSettings(**EXACT), N), "cpu")
    critic = table(N)
    for _ in range(2):
        p, q = shuffled.probabilities(shuffled.theta), shuffled.distribution()
        assert entropy(q) == pytest.approx(float(entropy(p)), abs=1e-12)
        assert not torch.allclose(p, q)
        assert torch.equal(q[shuffled.renamed], p)
        before = float(q @ critic.f.double())
        update = shuffled.update(critic)
    assert float(shuffled.distribution() @ critic.f.double()) < before
    assert update.loss == pytest.approx(float(shuffled.distribution() @ critic.f.double()), abs=0.2)


def test_the_permutation_is_the_pairs_and_the_replicates_own(make_trial):
    first, again, other = (
        build(make_trial(QcbmShuffledSettings(), N, replicate=r), "cpu").renamed.tolist() for r in (0, 0, 1)
    )
    assert first == again != other
    assert sorted(first) == list(range(2**N))


def test_frozen_is_never_trained_and_takes_no_schedule(make_trial):
    frozen = build(make_trial(QcbmFrozenSettings(), N), "cpu")
    assert not isinstance(frozen, TrainablePrior)
    p = frozen.distribution()
    frozen.sample(10)
    assert torch.equal(frozen.distribution(), p)
    with pytest.raises(TypeError, match="update_every"):
        QcbmFrozenSettings(update_every=10)


def test_without_entanglers_no_bits_are_tied(make_trial, table):
    prior = build(make_trial(QcbmNoEntanglerSettings(**EXACT), N), "cpu")
    update = prior.update(table(N))
    assert update.codes.mutual_information < 1e-6
    assert update.codes.total_variation > 0.05


class Latent:
    """A critic whose latent layer shows one code in three of four real images, another in the rest and in fakes."""

    def critic_codes(self, codes, threshold):
        real = torch.tensor([[1, 1, 0, 0, 0]] * 3 + [[1, 1, 0, 1, 1]])
        return real > threshold, torch.tensor([[1, 1, 0, 1, 1]]).expand(len(codes), -1) > threshold


def test_aan_learns_the_latent_layer_and_lowers_its_kl(make_trial):
    prior = build(make_trial(QcbmAanSettings(learning_rate=0.1, iterations=50), N), "cpu")
    before = prior.objective(Latent()).at(prior.theta)
    first, second = (prior.update(Latent()) for _ in range(2))
    assert 0 <= second.loss < first.loss < before
    assert second.loss < 0.1
    p = prior.distribution()
    assert p[0b00011] == pytest.approx(3 / 8, abs=0.1)
    assert p[0b11011] == pytest.approx(5 / 8, abs=0.1)
    assert (first.scores, first.circuits) == (0, 0)


@pytest.mark.parametrize("estimator", ["exact", "parameter_shift", "finite_difference"])
def test_aans_slopes_are_those_of_the_kl(make_trial, estimator):
    prior = build(make_trial(QcbmAanSettings(gradient=estimator, epsilon=0.01, shots=10), N), "cpu")
    objective = prior.objective(Latent())
    slopes = prior.estimator.__class__(**{**vars(prior.estimator), "shots": None if estimator != "exact" else 10})(
        prior.model, prior.theta, objective.score(prior.theta)
    ).values
    leaf = prior.theta.clone().requires_grad_()
    p = prior.model.probabilities(leaf[None])[0]
    (expected,) = torch.autograd.grad(-(objective.q * p.log()).sum(), leaf)
    assert torch.allclose(slopes, expected.float(), atol=2e-3)


def test_aan_without_a_latent_layer_is_one_sentence(make_trial):
    with pytest.raises(InputError, match=r"set train\.critic_latent: true"):
        build(make_trial(QcbmAanSettings(), N, critic_latent=False), "cpu")


def test_pairs_out_of_range_are_one_sentence(make_trial):
    with pytest.raises(InputError, match="qubits 0 to 4"):
        build(make_trial(QcbmSettings(connectivity=((0, 5),)), N), "cpu")


@pytest.mark.parametrize(
    "settings", [each for each in PRIOR_SETTINGS.values() if issubclass(each, TrainedSettings)], ids=str
)
@pytest.mark.parametrize("key", ["learning_rate", "epsilon", "entropy_weight", "least_perplexity"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_no_setting_takes_a_number_that_is_not_finite(settings, key, value):
    with pytest.raises(InputError, match=key):
        settings(**{key: value})


@pytest.mark.parametrize(
    ("settings", "values", "key"),
    [
        (QcbmSettings, {"backend": "aer", "gradient": "exact"}, "gradient"),
        (QcbmSettings, {"backend": "aer", "entropy_weight": 0.1}, "entropy_weight"),
        (QcbmSettings, {"connectivity": ((1, 0),)}, "connectivity"),
        (QcbmSettings, {"connectivity": ((0, 1), (0, 1))}, "connectivity"),
        (QcbmSettings, {"gains_restart": False}, "gains_restart"),
        (QcbmAanSettings, {"backend": "aer", "gradient": "spsa"}, "backend"),
        (QcbmAanSettings, {"initial": "mps"}, "initial"),
        (QcbmAanSettings, {"threshold": float("inf")}, "threshold"),
        (PRIOR_SETTINGS["rbm"], {"gradient": "parameter_shift"}, "gradient"),
    ],
)
def test_settings_that_cannot_go_together_are_refused(settings, values, key):
    with pytest.raises(InputError, match=key) as caught:
        settings(**values)
    assert caught.value.key == key
