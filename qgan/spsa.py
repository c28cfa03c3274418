"""SPSA: minimises a noisy loss by two evaluations per iteration, however many angles there are.

    a_k = a / (A + k + 1)**alpha        c_k = c / (k + 1)**gamma        Delta_k: random signs (P,)
    theta <- theta - a_k [L(theta + c_k Delta_k) - L(theta - c_k Delta_k)] / (2 c_k) Delta_k

Source: J. C. Spall, IEEE Trans. Autom. Control 37 (1992) 332; same draws and steps as qiskit-algorithms' SPSA.
"""

from collections.abc import Callable
from math import isfinite, pi

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qgan.errors import InputError
from qgan.prior_settings import Gains


class Spsa:
    """One cycle of `iterations` steps, asked for its next angles and told their loss: 2 iterations + 1 evaluations.

    spsa = Spsa(theta, gains, stream)
    while not spsa.done:
        for angles in spsa.ask():
            spsa.tell(loss(angles))
    theta, final_loss = spsa.result

    theta (P,), radians; computed in float64. `stream` comes from numpy.random.default_rng. `k` is the gain index of
    the first iteration: 0 restarts the gains, the `k` of the cycle before continues them.
    """

    def __init__(self, theta: Tensor, gains: Gains, stream: np.random.Generator, iterations: int = 50, k: int = 0):
        if iterations < 1 or k < 0:
            raise InputError(f"iterations must be 1 or more and k 0 or more, not {iterations} and {k}", "iterations")
        self.gains = gains
        self.stream = stream
        self.iterations = iterations
        self.evaluations = 0
        self._first = k
        self._theta = _angles(theta)
        self._delta = _signs(stream, len(self._theta))
        self._loss = 0.0  # of the last evaluation

    @property
    def k(self) -> int:
        """The gain index: iterations made, those before this cycle included."""
        return self._first + self.evaluations // 2

    @property
    def done(self) -> bool:
        """Whether all evaluations are made."""
        return self.evaluations > 2 * self.iterations

    def ask(self) -> Tensor:
        """All angles (k, P) float64, radians, that can be evaluated now, in the order in which to tell their losses.

        Both points of an iteration, or what is left of it; the same until `tell`.
        """
        _require(not self.done, f"all {self.evaluations} evaluations are made: read the result")
        if self.evaluations == 2 * self.iterations:
            return torch.tensor(self._theta)[None]
        signs = [-1] if self.evaluations % 2 else [1, -1]
        return torch.stack([torch.tensor(self._theta + sign * self._c * self._delta) for sign in signs])

    def tell(self, loss: float) -> None:
        """The loss at the angles last asked for; raises InputError unless it is finite."""
        _require(not self.done, f"all {self.evaluations} evaluations are made: nothing was asked")
        if not isfinite(loss):
            raise InputError(f"the loss told to SPSA must be a finite number, not {loss}")
        last = self.evaluations + 1 == 2 * self.iterations
        if self.evaluations % 2:
            slopes = (self._loss - loss) / (2 * self._c) * self._delta
            self._theta = self._theta - slopes * (self.gains.a / (self.k + 1 + self.gains.A) ** self.gains.alpha)
            self._delta = self._delta if last else _signs(self.stream, len(self._theta))
        self._loss = float(loss)
        self.evaluations += 1

    @property
    def result(self) -> tuple[Tensor, float]:
        """The final angles (P,) float64, radians, and the loss told for them."""
        _require(self.done, f"{self.evaluations} of {2 * self.iterations + 1} evaluations are made: no result yet")
        return torch.tensor(self._theta), self._loss

    @property
    def _c(self) -> float:
        return float(self.gains.c / (self.k + 1) ** self.gains.gamma)


def calibrate(
    loss: Callable[[Tensor], float],
    theta: Tensor,
    stream: np.random.Generator,
    *,
    c: float = 0.2,  # first perturbation, radians
    A: float = 0.0,
    alpha: float = Gains.alpha,
    gamma: float = Gains.gamma,
    first_step: float = 2 * pi / 10,  # how far each angle should move in the first iteration, radians
    pairs: int = 25,
) -> Gains:
    """Gains whose first step is `first_step` on the average of random directions; spends 2 pairs evaluations of loss.

    a = first_step / mean |[L(theta + c Delta) - L(theta - c Delta)] / (2 c)|, as qiskit-algorithms has it: with A > 0
    the step really made is smaller by (A + 1)**alpha.
    Raises InputError where the loss is not finite or does not change with theta (P,), radians.
    """
    if pairs < 1:
        raise InputError(f"pairs must be 1 or more, not {pairs}", "pairs")
    at = _angles(theta)
    total = 0.0
    for _ in range(pairs):
        step = c * _signs(stream, len(at))
        total += abs(loss(torch.tensor(at + step)) - loss(torch.tensor(at - step))) / (2 * c)
    slope = total / pairs
    if not isfinite(slope) or slope == 0:
        raise InputError(
            f"the calibration of SPSA's gains found a mean slope of {slope} over {2 * pairs} evaluations, it must be "
            "finite and above 0; take more shots or a larger c"
        )
    return Gains(first_step / slope, c, A, alpha, gamma)


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise RuntimeError(message)


def _signs(stream: np.random.Generator, count: int) -> NDArray[np.int64]:
    return 1 - 2 * stream.binomial(1, 0.5, size=count)


def _angles(theta: Tensor) -> NDArray[np.float64]:
    if not bool(theta.isfinite().all()):
        raise InputError("theta must be finite angles in radians")
    return theta.detach().cpu().double().numpy().copy()
