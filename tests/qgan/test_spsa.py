"""SPSA as ask and tell: its counts, and qiskit-algorithms as oracle."""

import math

import numpy as np
import pytest
import torch

from qgan.errors import InputError
from qgan.prior_settings import Gains
from qgan.spsa import Spsa, calibrate

P = 7
THETA = torch.linspace(-1, 2, P, dtype=torch.float64)
GAINS = [Gains(a=0.4, c=0.2), Gains(a=1.0, c=0.1, A=5.0, alpha=0.9, gamma=0.2)]


def loss(theta) -> float:
    theta = np.asarray(theta)
    return float(np.sin(theta).sum() + 0.3 * np.cos(theta[0] * theta[1]))


def spsa(gains=GAINS[0], **options) -> Spsa:
    return Spsa(THETA, gains, np.random.default_rng(5), **options)


def finished(cycle: Spsa, of=loss) -> Spsa:
    while not cycle.done:
        for theta in cycle.ask():
            cycle.tell(of(theta))
    return cycle


def test_fifty_iterations_make_101_evaluations():
    asked = []
    cycle = finished(spsa(), lambda theta: asked.append(theta) or loss(theta))
    assert cycle.evaluations == len(asked) == 101
    assert cycle.k == 50
    theta, final = cycle.result
    assert torch.equal(theta, asked[-1])
    assert final == loss(theta) < loss(THETA)
    assert theta.dtype == torch.float64


def test_asking_twice_changes_nothing():
    cycle = spsa()
    assert torch.equal(cycle.ask(), cycle.ask())


def test_the_two_evaluations_of_an_iteration_lie_on_both_sides():
    cycle = spsa()
    plus, minus = cycle.ask() - THETA
    cycle.tell(1.0)
    assert torch.equal(cycle.ask(), (minus + THETA)[None])
    assert torch.allclose(plus, -minus)
    assert torch.allclose(plus.abs(), torch.full((P,), 0.2, dtype=torch.float64))


def test_two_cycles_that_continue_the_gains_are_one_long_cycle():
    # the long cycle goes on where the short one stopped: same stream, same gain index
    whole = finished(spsa(iterations=30)).result[0]
    first = finished(spsa(iterations=20))
    second = finished(Spsa(first.result[0], GAINS[0], first.stream, iterations=10, k=first.k))
    assert torch.equal(second.result[0], whole)


def test_restarted_gains_begin_with_the_first_perturbation_again():
    first = finished(spsa(iterations=20))
    for k, c in ((0, 0.2), (first.k, 0.2 / 21**0.101)):
        step = Spsa(first.result[0], GAINS[0], first.stream, k=k).ask()[0] - first.result[0]
        assert torch.allclose(step.abs(), torch.full((P,), c, dtype=torch.float64))


@pytest.mark.parametrize("gains", GAINS, ids=repr)
def test_equal_to_qiskit_algorithms(gains):
    optimizers = pytest.importorskip("qiskit_algorithms.optimizers")
    from qiskit_algorithms.utils import algorithm_globals

    k = np.arange(50)
    asked = []
    algorithm_globals.random_seed = 5
    result = optimizers.SPSA(
        maxiter=50,
        learning_rate=gains.a / (gains.A + k + 1) ** gains.alpha,
        perturbation=gains.c / (k + 1) ** gains.gamma,
    ).minimize(lambda theta: asked.append(theta) or loss(theta), THETA.numpy())
    ours = []
    theta, final = finished(spsa(gains), lambda theta: ours.append(theta.numpy()) or loss(theta)).result
    assert len(asked) == len(ours) == 101
    np.testing.assert_allclose(ours, asked, rtol=0, atol=1e-12)
    np.testing.assert_allclose(theta, result.x, rtol=0, atol=1e-12)
    assert final == pytest.approx(result.fun, abs=1e-12)


def test_calibration_is_that_of_qiskit_algorithms():
    optimizers = pytest.importorskip("qiskit_algorithms.optimizers")
    from qiskit_algorithms.utils import algorithm_globals

    algorithm_globals.random_seed = 5
    rate, perturbation = optimizers.SPSA.calibrate(loss, THETA.numpy(), c=0.15, stability_constant=3)
    gains = calibrate(loss, THETA, np.random.default_rng(5), c=0.15, A=3.0)
    a, c = rate(), perturbation()
    for k in range(5):
        assert next(a) == pytest.approx(gains.a / (gains.A + k + 1) ** gains.alpha, abs=1e-12)
        assert next(c) == pytest.approx(gains.c / (k + 1) ** gains.gamma, abs=1e-12)


def test_calibration_spends_what_it_says_and_sets_the_first_step():
    calls = []
    gains = calibrate(lambda theta: calls.append(theta) or 3 * float(theta[0]), THETA, np.random.default_rng(0))
    assert len(calls) == 50
    cycle = Spsa(THETA, gains, np.random.default_rng(1), iterations=1)
    moved = finished(cycle, lambda theta: 3 * float(theta[0])).result[0] - THETA
    assert torch.allclose(moved.abs(), torch.full((P,), 2 * math.pi / 10, dtype=torch.float64))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_refused_in_one_sentence(bad):
    with pytest.raises(InputError, match="finite number, not"):
        spsa().tell(bad)
    with pytest.raises(InputError, match="finite angles in radians"):
        Spsa(torch.full((P,), bad), GAINS[0], np.random.default_rng())
    with pytest.raises(InputError, match="finite and above 0"):
        calibrate(lambda theta: bad, THETA, np.random.default_rng())


def test_a_flat_loss_cannot_be_calibrated():
    with pytest.raises(InputError, match=r"mean slope of 0\.0 over 50 evaluations"):
        calibrate(lambda theta: 1.0, THETA, np.random.default_rng())


def test_iterations_and_pairs_are_1_or_more():
    with pytest.raises(InputError, match="iterations must be 1 or more"):
        spsa(iterations=0)
    with pytest.raises(InputError, match="pairs must be 1 or more"):
        calibrate(loss, THETA, np.random.default_rng(), pairs=0)


def test_out_of_turn():
    cycle = spsa(iterations=1)
    with pytest.raises(RuntimeError, match="0 of 3 evaluations"):
        cycle.result  # noqa: B018
    finished(cycle)
    with pytest.raises(RuntimeError, match="all 3 evaluations are made"):
        cycle.ask()
    with pytest.raises(RuntimeError, match="all 3 evaluations are made"):
        cycle.tell(0.0)
