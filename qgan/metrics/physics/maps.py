"""Where things stand in a patch: the two-point correlation of the phases, and the pieces of the mask."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

# four neighbours, as grains are connected, and none in the next image
_WITHIN_IMAGE = np.zeros((3, 3, 3), np.bool_)
_WITHIN_IMAGE[1] = ndimage.generate_binary_structure(2, 1)


class PhaseCorrelation:
    """Autocorrelation rho(r) of a set's phase maps, pooled over images and directions.

    rho(r) = (P(r) - Q(r)) / (1 - Q(r)): P(r) = sum_k S2_k(r) is the probability that two pixels r apart have the same
    phase, S2_k the two-point probability function of phase k; Q(r) = sum_k f_k(r)^2 is its value for unrelated pixels,
    f_k(r) the share of phase k among the ends of these pairs. rho(0) = 1, and rho = 0 where phases are strewn at
    random; no name of a phase matters. r are whole pixels, 0 to half of the smaller side; a pair belongs to the
    nearest r. Pairs stay inside an image: the transform is padded with zeros and divided by the number of pairs.
    Source: Torquato, Random Heterogeneous Materials (2002), chapter 2; Wiener-Khinchin for the transform.
    """

    def __init__(self, shape: tuple[int, int], n_phases: int) -> None:
        self.reach = min(shape) // 2
        self.shape = shape
        # a shift of `reach` must not wrap onto the other side
        self.padded = tuple(fft.next_fast_len(side + self.reach, real=True) for side in shape)
        self.power = np.zeros((self.padded[0], self.padded[1] // 2 + 1))
        self.pixels = np.zeros((n_phases, *shape))  # images in which a pixel has a phase

    def add(self, phase: NDArray[np.uint8]) -> None:
        """Phase codes (k, H, W)."""
        for code, pixels in enumerate(self.pixels):
            here = phase == code
            here = here[here.any(axis=(1, 2))]
            if len(here):
                pixels += here.sum(axis=0)
                # float64: where one phase is rare, rho divides by next to nothing
                spectrum = fft.rfft2(here.astype(np.float64), s=self.padded)
                self.power += (spectrum.real**2 + spectrum.imag**2).sum(axis=0)

    def curve(self) -> NDArray[np.float64]:
        """rho (reach + 1,) of all images so far; NaN where they hold one phase only, or there are none."""
        if np.count_nonzero(self.pixels.any(axis=(1, 2))) < 2:
            return np.full(self.reach + 1, np.nan)
        window = np.conj(fft.rfft2(np.ones(self.shape), s=self.padded))
        ends = np.stack([self._rings(fft.rfft2(each, s=self.padded) * window) for each in self.pixels])
        pairs = ends.sum(axis=0)
        unrelated = ((ends / pairs) ** 2).sum(axis=0)
        return np.asarray((self._rings(self.power) / pairs - unrelated) / (1 - unrelated), np.float64)

    def _rings(self, spectrum: NDArray[np.complexfloating | np.floating]) -> NDArray[np.float64]:
        """Sums (reach + 1,) of a correlation over all shifts of one length, from its transform."""
        correlation = fft.irfft2(spectrum, s=self.padded)
        # the shift that an index of the transform stands for, negative in the second half
        down, right = (np.rint(np.fft.fftfreq(n) * n) for n in self.padded)
        ring = np.rint(np.hypot(down[:, None], right)).astype(np.int64)
        inside = ring <= self.reach
        return np.asarray(np.bincount(ring[inside], correlation[inside], self.reach + 1), np.float64)


class Masks(NamedTuple):
    """One number per image."""

    area: NDArray[np.float64]  # (k,) share of the image's pixels
    components: NDArray[np.int64]  # (k,) 4-connected pieces; 0 for an empty mask
    centred: NDArray[np.bool_]  # (k,) holds the pixel in the middle; of an even side, either of the two

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> "Masks":
        """Of masks (k, H, W)."""
        k, height, width = mask.shape
        labels, count = ndimage.label(mask, structure=_WITHIN_IMAGE)
        owner = np.zeros(count + 1, np.int64)  # of each label, the image it lies in
        image, row, column = np.nonzero(mask)
        owner[labels[image, row, column]] = image
        middle = mask[:, (height - 1) // 2 : height // 2 + 1, (width - 1) // 2 : width // 2 + 1]
        centred = np.asarray(middle.any(axis=(1, 2)), np.bool_)
        return cls(mask.mean(axis=(1, 2)), np.bincount(owner[1:], minlength=k), centred)
