"""Maximum mean discrepancy in pixel space (Eq. 9) with the kernel k(x, y) = -||x - y||^beta."""

from math import isfinite
from typing import NamedTuple

import torch
from torch import Tensor

from qgan.errors import InputError

_ROWS = 250  # of a block of distances: of a set's own symmetric ones, the blocks below the diagonal are left out
_ROUNDING = 2e-6  # of |x|^2 + |y|^2: squared distances that float32 does not tell from 0, of equal images above all


class Mmd(NamedTuple):
    """Both estimators of Eq. 9 as printed, without a root; pixels in [0, 1]."""

    v: float  # biased: pairs of an image with itself count; never negative, shrinks like 1/m towards the truth
    u: float  # unbiased: mean 0 where both sets have one distribution, so it may be negative


class ChannelMmd(NamedTuple):
    """Eq. 9 of whole images, and of each channel alone."""

    joint: Mmd
    per_channel: tuple[Mmd, ...]


class MmdTo:
    """MMD of any set of images to one set of real images, whose own distances are computed once.

    MMD^2 = 2 E||x - y||^beta - E||x - x'||^beta - E||y - y'||^beta, x real, y generated (Eq. 9).
    beta = 1 is the energy distance; beta = 2 sees only the difference of the means, so a collapsed set with the
    right mean scores 0: it is kept to show that.
    Source: Eq. 9; Szekely and Rizzo, J. Stat. Plan. Inference 143 (2013) 1249.
    """

    def __init__(self, real: Tensor, beta: float = 1.0) -> None:
        """`real` (m, channels, ...) floating point in [0, 1], m >= 2; 0 < beta <= 2. Raises InputError."""
        if not 0 < beta <= 2:
            raise InputError(f"beta must be above 0 and at most 2, where Eq. 9 is a distance, not {beta:g}", "beta")
        _require_images(real, "real")
        self.beta = beta
        self.shape = real.shape[1:]
        self.centre = real.mean(0)  # a common shift changes no distance but saves digits in the product below
        self.real = self._by_channel(real)
        self.count = len(real)
        self.real_sum = self._own_sum(self.real)
        _require_finite(self.real_sum, "real")

    def __call__(self, images: Tensor) -> Mmd:
        """MMD of `images` (k, channels, ...) in [0, 1], k >= 2, to the real set. Raises InputError."""
        return self.with_channels(images).joint

    def with_channels(self, images: Tensor) -> ChannelMmd:
        """Like a call, and each channel's MMD as well, from the same matrix products. Raises InputError."""
        _require_images(images, "generated")
        if images.shape[1:] != self.shape:
            raise InputError(
                f"generated images are {_size(images.shape[1:])}, real ones {_size(self.shape)}; "
                "score images of one size and number of channels"
            )
        generated = self._by_channel(images)
        m, k = self.count, len(images)
        cross = 2 * self._cross_sum(generated) / (m * k)
        own = self._own_sum(generated)
        _require_finite(own, "generated")
        v = cross - self.real_sum / m**2 - own / k**2
        u = cross - self.real_sum / (m * (m - 1)) - own / (k * (k - 1))
        joint, *per_channel = map(Mmd, v.tolist(), u.tolist())
        return ChannelMmd(joint, tuple(per_channel))

    def _by_channel(self, images: Tensor) -> "_Centred":
        pixels = (images - self.centre).flatten(2)
        return _Centred(pixels.transpose(0, 1), torch.linalg.vector_norm(pixels, dim=2).square_().T)

    def _cross_sum(self, y: "_Centred") -> Tensor:
        """Sums of ||x_i - y_j||^beta over all pairs with the real set: joint, then per channel, float64."""
        rows = (self.real.rows(start, start + _ROWS) for start in range(0, self.count, _ROWS))
        return torch.stack([self._powers(x, y).sum((1, 2), dtype=torch.float64) for x in rows]).sum(0)

    def _own_sum(self, x: "_Centred") -> Tensor:
        """The same over all ordered pairs of one set; a pair across two blocks is computed once and counts twice."""
        sums = []
        for start in range(0, x.norms.shape[1], _ROWS):
            powers = self._powers(x.rows(start, start + _ROWS), x.rows(start, None))
            square = powers[..., :_ROWS]
            square.diagonal(dim1=1, dim2=2).zero_()  # an image with itself, whatever the rounding
            sums.append(2 * powers.sum((1, 2), dtype=torch.float64) - square.sum((1, 2), dtype=torch.float64))
        return torch.stack(sums).sum(0)

    def _powers(self, x: "_Centred", y: "_Centred") -> Tensor:
        """||x_i - y_j||^beta, joint first, then of each channel: |x|^2 + |y|^2 - 2 x.y in float32."""
        norms = x.norms[:, :, None] + y.norms[:, None, :]
        squared = torch.baddbmm(norms, x.pixels, y.pixels.transpose(1, 2), alpha=-2)
        squared.masked_fill_(squared <= _ROUNDING * norms, 0)  # its root would be 1000 times larger
        # the joint squared distance is the sum of the channels' ones
        return torch.cat([squared.sum(0, keepdim=True), squared]).pow_(self.beta / 2)


class _Centred(NamedTuple):
    """Images less the real mean, one matrix per channel."""

    pixels: Tensor  # (channels, k, pixels), a view
    norms: Tensor  # (channels, k), squared

    def rows(self, start: int, stop: int | None) -> "_Centred":
        return _Centred(self.pixels[:, start:stop], self.norms[:, start:stop])


def _require_images(images: Tensor, name: str) -> None:
    if not images.is_floating_point():
        raise InputError(f"{name} images are {images.dtype}; score pixels as floating point in [0, 1] (bytes / 255)")
    if images.dim() < 3 or len(images) < 2:
        raise InputError(f"{name} images are {_size(images.shape)}; an MMD needs 2 or more images (k, channels, ...)")


def _require_finite(own: Tensor, name: str) -> None:
    """A pixel that is not finite makes the sum so: asked of the sum, the question is free."""
    if not isfinite(float(own[0])):
        raise InputError(f"{name} images hold pixels that are not finite; leave those images out")


def _size(shape: torch.Size) -> str:
    return " x ".join(map(str, shape)) or "a single number"
