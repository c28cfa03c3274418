"""Random geometry of synthetic maps: smooth fields, grains, bands, small rotations. Lengths are in um unless said."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from qgan.ebsd import crystal
from qgan.ebsd.crystal import Floats

Labels = NDArray[np.int64]


def warped_grid(size: int, step_um: float, rng: np.random.Generator) -> Floats:
    """Coordinates (size, size, 2) in um, warped so that boundaries are not straight."""
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), axis=-1) * step_um
    return np.asarray(grid + 0.35 * smooth(size, 1.2 / step_um, 2, rng), np.float64)


def smooth(size: int, sigma: float, components: int, rng: np.random.Generator) -> Floats:
    """A random field (size, size, components) of unit rms, smooth over `sigma` pixels, periodic."""
    white = rng.normal(size=(components, size, size))
    row, column = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)
    kernel = np.exp(-2 * (np.pi * sigma) ** 2 * (row**2 + column**2))
    kernel[0, 0] = 0
    field = np.fft.irfft2(np.fft.rfft2(white) * kernel, s=(size, size))
    return np.moveaxis(field / field.std(axis=(1, 2), keepdims=True), 0, -1)


def laguerre(places: Floats, diameter: float, rng: np.random.Generator) -> tuple[Floats, Labels]:
    """Seeds (k, 2), um, and the cell of each place: a power diagram over a hard-core point process."""
    low = places.min(axis=(0, 1)) - 1.5 * diameter
    high = places.max(axis=(0, 1)) + 1.5 * diameter
    points = rng.uniform(low, high, (rng.poisson(2.2 * np.prod((high - low) / diameter)), 2))
    close = cKDTree(points).query_pairs(0.42 * diameter, output_type="ndarray")
    # Matern's second thinning: of two points too close the later one goes
    seeds = np.delete(points, np.unique(close.max(axis=1)), axis=0) if len(close) else points
    weight = (0.2 * diameter * np.exp(rng.normal(0, 0.35, len(seeds)))) ** 2
    # |x - s|^2 - w is, up to a constant, a distance in one dimension more: the nearest neighbour is exact
    lifted = np.column_stack([seeds, np.sqrt(weight.max() - weight)])
    flat = np.pad(places.reshape(-1, 2), ((0, 0), (0, 1)))
    cell = np.asarray(cKDTree(lifted).query(flat)[1], np.int64)
    return seeds, cell.reshape(places.shape[:2])


def bands(along: Floats, width: float, spread: float, rng: np.random.Generator) -> tuple[Labels, Floats]:
    """Which band of lognormal width, um, each coordinate (n,) is in, and its distance to the band's edge, um."""
    along = along - along.min()
    count = int(2 * along.max() / width) + 4
    edges = np.cumsum(width * np.exp(rng.normal(0, spread, count)))
    edges = np.concatenate([[-np.inf], edges - rng.uniform(0, edges[0]), [np.inf]])
    band = np.searchsorted(edges, along, side="right") - 1
    return band, np.minimum(along - edges[band], edges[band + 1] - along)


def random_orientations(count: int, rng: np.random.Generator) -> Floats:
    """Uniform random orientations (count, 4)."""
    return crystal.unit(rng.normal(size=(count, 4)))


def vectors(rms: Floats, rng: np.random.Generator) -> Floats:
    """Random rotation vectors (..., 3) of rms length `rms` (...)."""
    return np.asarray(rng.normal(size=(*rms.shape, 3)) * rms[..., None] / np.sqrt(3), np.float64)


def rotations(rms_deg: Floats, rng: np.random.Generator) -> Floats:
    """Random small rotations (..., 4) of rms angle `rms_deg` (...)."""
    return crystal.from_rotation_vector(vectors(np.radians(rms_deg), rng))
