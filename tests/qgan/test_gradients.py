"""The estimators of dL / dtheta against each other and against rules computed here.

Statistical tests compare the mean of many runs with its expectation, to 4.5 standard errors of that mean: each of the
about 20 slopes fails by chance with probability 7e-6, one test with 2e-4. The seeds are fixed.
"""

import math
from itertools import product

import pytest
import torch

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import all_bits, to_integers
from qgan.circuits.exact import StateVector
from qgan.errors import InputError
from qgan.gradients import Exact, FiniteDifference, ParameterShift, SpsaGradient, with_entropy

N = 4
SHOTS = 12  # fewer than codes, so that Exact does sample
F = torch.randn(2**N, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
ANSATZ = Ansatz(N)
ANSATZE = [Ansatz(N, layers, entangler=entangler) for layers in (1, 2) for entangler in ("rxx", "rzz")]
SILENT = ANSATZ.silent
P, HEARD = ANSATZ.n_parameters, ANSATZ.n_parameters - len(SILENT)
EPSILON, C = 0.7, 0.05


def stream() -> torch.Generator:
    return torch.Generator().manual_seed(4)


# name -> estimator, circuits, factor of its expected slopes, runs of the statistical test
ESTIMATORS = {
    "exact": (lambda: Exact(SHOTS), 0, 1, 2),
    "exact, sampled": (lambda: Exact(SHOTS, enumerate_up_to=0), 1, 1, 800),
    "parameter shift": (lambda: ParameterShift(SHOTS, SILENT), 1 + 2 * HEARD, 1, 200),
    "parameter shift, probabilities": (lambda: ParameterShift(None, SILENT), 1 + 2 * HEARD, 1, 2),
    "finite difference": (
        lambda: FiniteDifference(EPSILON, SHOTS, SILENT), 1 + 2 * HEARD, math.sin(EPSILON) / EPSILON, 200,
    ),
    "finite difference, probabilities": (
        lambda: FiniteDifference(EPSILON, None, SILENT), 1 + 2 * HEARD, math.sin(EPSILON) / EPSILON, 2,
    ),
    "spsa": (lambda: SpsaGradient(C, SHOTS, stream(), 5, SILENT), 11, 1, 400),
    "spsa, probabilities": (lambda: SpsaGradient(C, None, stream(), 5, SILENT), 11, 1, 400),
}  # fmt: skip
every_estimator = pytest.mark.parametrize("name", ESTIMATORS)


class Score:
    """f by table, remembering how often each code was asked for."""

    def __init__(self) -> None:
        self.asked = torch.zeros(2**N, dtype=torch.long)

    def __call__(self, codes):
        assert codes.dtype == torch.float32
        assert codes.shape[1:] == (N,)
        self.asked += to_integers(codes).bincount(minlength=2**N)
        return F[to_integers(codes)]


class OnlyCodes:
    """A backend that measures codes and knows no probabilities, like a quantum computer."""

    def __init__(self, sampler) -> None:
        self.sample = sampler.sample


def sampler_and_theta(ansatz=ANSATZ):
    sampler = StateVector(ansatz, torch.Generator().manual_seed(1), torch.complex128)
    return sampler, 2 * math.pi * torch.rand(
        ansatz.n_parameters, generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )


def slopes_of(loss, theta):
    """Plain autograd of loss(p)."""
    leaf = theta.clone().requires_grad_()
    return torch.autograd.grad(loss(leaf), leaf)[0]


def difference(sampler, theta, step):
    """L(theta + step e_i) - L(theta - step e_i), without sampling."""
    steps = step * torch.eye(len(theta), dtype=theta.dtype)
    return sampler.probabilities(theta + steps) @ F - sampler.probabilities(theta - steps) @ F


def assert_mean(estimate, expected, runs, slack=1e-12):
    """The mean of `runs` estimates is the expected one, to 4.5 standard errors and the slack."""
    estimates = torch.stack([estimate() for _ in range(runs)])
    error = estimates.std(0) / math.sqrt(runs)
    assert ((estimates.mean(0) - expected).abs() <= 4.5 * error + slack).all()


@every_estimator
def test_the_contract(name):
    make, circuits, _, _ = ESTIMATORS[name]
    sampler, theta = sampler_and_theta()
    score, before = Score(), theta.clone()
    gradient = make()(sampler, theta, score)
    assert gradient.values.shape == theta.shape
    assert gradient.values.dtype == theta.dtype
    assert not gradient.values.requires_grad
    assert not gradient.values[list(SILENT)].any()
    assert math.isfinite(gradient.loss)
    assert score.asked.max() == 1
    assert gradient.scores == score.asked.sum()
    assert gradient.circuits == circuits
    assert gradient.shots == (0 if "probabilities" in name else SHOTS * circuits)
    assert torch.equal(theta, before)
    assert not theta.requires_grad


@every_estimator
def test_the_expectation(name):
    make, _, factor, runs = ESTIMATORS[name]
    sampler, theta = sampler_and_theta()
    estimator = make()
    expected = factor * slopes_of(lambda leaf: sampler.probabilities(leaf[None])[0] @ F, theta)
    # the one bias that is not a factor: a term of L in w <= P angles is shrunk by at most w c**2 / 2
    slack = expected.norm() * HEARD * C**2 / 2 if "spsa" in name else 1e-12
    assert_mean(lambda: estimator(sampler, theta, Score()).values, expected, runs, slack)
    loss = sampler.probabilities(theta[None])[0] @ F
    assert_mean(lambda: torch.tensor(estimator(sampler, theta, Score()).loss), loss, runs, 1e-6)


@every_estimator
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_refused_in_one_sentence(name, bad):
    estimator = ESTIMATORS[name][0]()
    sampler, theta = sampler_and_theta()
    with pytest.raises(InputError, match=r"one finite number per code, but of \d+ codes 1 have none"):
        estimator(sampler, theta, lambda codes: torch.cat([torch.tensor([bad]), codes[1:, 0]]))
    with pytest.raises(InputError, match="one finite number per code"):
        estimator(sampler, theta, lambda codes: codes)
    theta[3] = bad
    with pytest.raises(InputError, match=f"finite angles in radians, but 1 of {P} are not"):
        estimator(sampler, theta, Score())


@every_estimator
def test_entropy_weight(name):
    make, _, factor, runs = ESTIMATORS[name]
    weight, estimator = 0.8, make()
    sampler, theta = sampler_and_theta()

    def regularised(leaf):
        p = sampler.probabilities(leaf[None])[0]
        return p @ F + weight * p @ p.log()

    expected = factor * slopes_of(regularised, theta)
    slack = expected.norm() * HEARD * C**2 / 2 if "spsa" in name else 1e-12
    score = with_entropy(Score(), sampler, theta, weight)
    assert_mean(lambda: estimator(sampler, theta, score).values, expected, runs, slack)
    if name == "exact":
        assert estimator(sampler, theta, score).loss == pytest.approx(regularised(theta).item())


def test_entropy_weight_0_is_the_paper_and_others_need_probabilities():
    sampler, theta = sampler_and_theta()
    score = Score()
    assert with_entropy(score, OnlyCodes(sampler), theta, 0) is score
    with pytest.raises(InputError, match="entropy_weight needs a sampler that knows its probabilities"):
        with_entropy(score, OnlyCodes(sampler), theta, 0.1)


def test_entropy_of_a_single_code_is_finite():
    sampler = StateVector(ANSATZ, torch.Generator(), torch.complex128)
    theta = torch.zeros(P, dtype=torch.float64)
    for shots in (SHOTS, None):
        gradient = ParameterShift(shots)(sampler, theta, with_entropy(Score(), sampler, theta, 0.5))
        assert gradient.values.isfinite().all()


@pytest.mark.parametrize("ansatz", ANSATZE, ids=repr)
def test_exact_is_autograd_parameter_shift_and_central_difference(ansatz):
    sampler, theta = sampler_and_theta(ansatz)
    gradient = Exact(shots=100)(sampler, theta, Score())
    loss = sampler.probabilities(theta[None])[0] @ F
    autograd = slopes_of(lambda leaf: sampler.probabilities(leaf[None])[0] @ F, theta)
    assert torch.allclose(gradient.values, autograd, atol=1e-14)
    assert torch.allclose(gradient.values, difference(sampler, theta, 1e-5) / 2e-5, atol=1e-8)
    shifted = ParameterShift(None, ansatz.silent)(sampler, theta, Score())
    assert torch.allclose(gradient.values, shifted.values, atol=1e-12)
    assert gradient.loss == pytest.approx(loss.item())
    assert shifted.loss == pytest.approx(loss.item())


@pytest.mark.parametrize("ansatz", ANSATZE, ids=repr)
def test_only_the_last_rz_column_is_silent(ansatz):
    sampler, theta = sampler_and_theta(ansatz)
    slopes = torch.autograd.functional.jacobian(lambda angles: sampler.probabilities(angles[None])[0], theta)
    silent = slopes.abs().amax(0) < 1e-12
    assert silent.nonzero().flatten().tolist() == list(ansatz.silent)


@pytest.mark.parametrize("epsilon", [1e-4, 0.01, 0.1, 1.0, math.pi / 2, 3.0])
def test_finite_difference_is_the_slope_times_sin_epsilon_over_epsilon(epsilon):
    sampler, theta = sampler_and_theta()
    slopes = Exact(SHOTS)(sampler, theta, Score()).values
    estimate = FiniteDifference(epsilon, None)(sampler, theta, Score()).values
    assert torch.allclose(estimate, slopes * math.sin(epsilon) / epsilon, atol=1e-11)


def test_finite_difference_by_pi_half_is_the_shift_rule_times_2_over_pi():
    of_shift, of_difference = (
        estimator(*sampler_and_theta(), Score()).values
        for estimator in (ParameterShift(SHOTS), FiniteDifference(math.pi / 2, SHOTS))
    )
    assert torch.allclose(of_difference, 2 / math.pi * of_shift)


def test_the_spsa_gradient_tends_to_exact_as_c_squared():
    # all sign patterns of the 7 angles that matter at n = 2, each once: the expectation without noise
    ansatz = Ansatz(2)
    sampler, theta = sampler_and_theta(ansatz)
    heard = ansatz.n_parameters - len(ansatz.silent)
    patterns = iter(product((0, 1), repeat=heard))
    all_signs = torch.tensor([[*pattern, 0, 0] for pattern in patterns])

    def expectation(c):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "randint", lambda *size, **options: all_signs)
            estimator = SpsaGradient(c, None, stream(), len(all_signs), ansatz.silent)
            return estimator(sampler, theta, lambda codes: F[to_integers(codes)]).values

    slopes = Exact(SHOTS)(sampler, theta, lambda codes: F[to_integers(codes)]).values
    biases = [(expectation(c) - slopes).norm().item() for c in (0.1, 0.05)]
    assert biases[0] / biases[1] == pytest.approx(4, rel=0.02)
    assert biases[1] < heard * 0.05**2 / 2 * slopes.norm()


def test_more_shots_are_less_noise():
    sampler, theta = sampler_and_theta()
    slopes = Exact(SHOTS)(sampler, theta, Score()).values
    errors = [
        (ParameterShift(shots, SILENT)(sampler, theta, Score()).values - slopes).norm().item() for shots in (16, 2**14)
    ]
    assert errors[1] < errors[0] / 10  # sqrt(1024) = 32 in expectation


def test_all_codes_are_scored_in_their_order():
    seen = []
    sampler, theta = sampler_and_theta()
    Exact(shots=1)(sampler, theta, lambda codes: (seen.append(codes), F)[1])
    assert torch.equal(seen[0], all_bits(N, torch.device("cpu")).float())


@pytest.mark.parametrize("name", ["parameter shift", "finite difference", "spsa"])
def test_codes_are_all_that_a_quantum_computer_needs_to_give(name):
    sampler, theta = sampler_and_theta()
    gradient = ESTIMATORS[name][0]()(OnlyCodes(sampler), theta, Score())
    expected = ESTIMATORS[name][0]()(sampler_and_theta()[0], theta, Score())
    assert torch.equal(gradient.values, expected.values)


@pytest.mark.parametrize("name", ["exact", "exact, sampled", *(name for name in ESTIMATORS if "probab" in name)])
def test_others_need_probabilities(name):
    sampler, theta = sampler_and_theta()
    with pytest.raises(InputError, match="needs a sampler that knows its probabilities: backend exact"):
        ESTIMATORS[name][0]()(OnlyCodes(sampler), theta, Score())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Exact(shots=1, enumerate_up_to=0), "2 or more shots, not 1"),
        (lambda: ParameterShift(0), "shots must be 1 or more codes per circuit, not 0"),
        (lambda: FiniteDifference(0.0, 8), "epsilon must be above 0 and below pi"),
        (lambda: FiniteDifference(math.pi, 8), "epsilon must be above 0 and below pi"),
        (lambda: FiniteDifference(math.nan, 8), "epsilon must be above 0 and below pi"),
        (lambda: SpsaGradient(-0.1, 8, stream()), "c must be above 0 and below pi"),
        (lambda: SpsaGradient(0.1, 8, stream(), directions=0), "directions must be 1 or more"),
    ],
)
def test_settings_out_of_range(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()(*sampler_and_theta(), Score())
