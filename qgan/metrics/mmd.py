"""Maximum mean discrepancy in pixel space (Eq. 9) with the kernel k(x, y) = -||x - y||^beta."""

from typing import NamedTuple

import torch
from torch import Tensor


class Mmd(NamedTuple):
    """Both estimators of Eq. 9 as printed, without a root; pixels in [0, 1]."""

    v: float  # biased: pairs of an image with itself count; never negative, shrinks like 1/m towards the truth
    u: float  # unbiased: mean 0 where both sets have one distribution, so it may be negative


class MmdTo:
    """MMD of any set of images to one set of real images, whose own distances are computed once.

    beta = 1 is the energy distance; beta = 2 sees only the difference of the means.
    Source: Eq. 9; Szekely and Rizzo, J. Stat. Plan. Inference 143 (2013) 1249.
    """

    def __init__(self, real: Tensor, beta: float = 1.0) -> None:
        """`real` (m, ...) in [0, 1], m >= 2."""
        self.beta = beta
        flat = real.flatten(1)
        self.centre = flat.mean(0)  # a common shift changes no distance but saves digits in the product below
        self.real = flat - self.centre
        self.real_sum = self._distance_sum(self.real, self.real)

    def __call__(self, images: Tensor) -> Mmd:
        """MMD of `images` (k, ...) in [0, 1], k >= 2, to the real set."""
        generated = images.flatten(1) - self.centre
        m, k = len(self.real), len(generated)
        cross = 2 * self._distance_sum(self.real, generated) / (m * k)
        own = self._distance_sum(generated, generated)
        return Mmd(
            v=cross - self.real_sum / m**2 - own / k**2,
            u=cross - self.real_sum / (m * (m - 1)) - own / (k * (k - 1)),
        )

    def _distance_sum(self, x: Tensor, y: Tensor) -> float:
        """Sum of ||x_i - y_j||^beta over all pairs: |x|^2 + |y|^2 - 2 x.y in float32, the sum in float64."""
        squared = (x * x).sum(1)[:, None] + (y * y).sum(1)[None, :] - 2 * x @ y.T
        if x is y:
            squared.fill_diagonal_(0)  # rounding would leave a root of 1e-4 there
        return float(squared.clamp_(min=0).pow(self.beta / 2).sum(dtype=torch.float64))
