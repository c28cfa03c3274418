"""Maps of ferrite and bainite as a microscope would have measured them: generator "synthetic-v1".

Sizes and angles are typical published values (Takayama 2012 for bainite's variants); the two microstructures are
easy to tell apart, so these maps serve to compare generators and to test the software, not to prove a classifier.
Lengths are in um: a coarser step shows the same steel with fewer pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from qgan.ebsd import crystal
from qgan.ebsd.crystal import Floats
from qgan.ebsd.scan import BCC, FCC, NOISE, Phase, Scan

Labels = NDArray[np.int64]
PHASES = (Phase(1, "Iron bcc", 2.866, BCC), Phase(2, "Iron fcc", 3.595, FCC))
MISINDEXED = 0.15  # share of indexing errors that carry a wrong orientation instead of none


@dataclass(frozen=True, eq=False)
class _Steel:
    """The truth of a map, before it is measured."""

    orientations: Floats  # (H, W, 4)
    phase: NDArray[np.uint8]  # (H, W)
    regions: Labels  # (H, W), borders between them are hard to index
    quality: Floats  # (H, W), image quality without borders and noise, 0 to 1
    error_share: float  # of all points


def synthetic_map(microstructure: str, size: int, step_um: float, rng: np.random.Generator, source: str) -> Scan:
    """A measured map of `size` x `size` points of "ferrite" or "bainite"."""
    steel = {"ferrite": _ferrite, "bainite": _bainite}[microstructure](size, step_um, rng)
    return _measure(steel, step_um, rng, source)


def _ferrite(size: int, step_um: float, rng: np.random.Generator) -> _Steel:
    """Polygonal grains of 7 to 12 um; a quarter keep a Kurdjumov-Sachs relation to a common parent."""
    places = _places(size, step_um, rng)
    diameter = rng.uniform(7, 12)
    seeds, grain = _laguerre(places, diameter, rng)
    parents, _ = _laguerre(places, 40, rng)
    parent = cKDTree(parents).query(seeds)[1]
    variant = crystal.austenite_relations("KS")[rng.integers(24, size=len(seeds))]
    related = crystal.multiply(variant, _random(len(parents), rng)[parent])
    related = crystal.multiply(_rotations(np.full(len(seeds), 2.0), rng), related)
    q = np.where(rng.random(len(seeds))[:, None] < 0.25, related, _random(len(seeds), rng))

    bending = np.where(rng.random(len(seeds)) < 0.9, rng.uniform(0.3, 1.2, len(seeds)), rng.uniform(1, 3))
    field = _smooth(size, diameter / 3 / step_um, 3, rng) * np.radians(bending)[grain][..., None]
    cell_seeds, cell = _laguerre(places, diameter / 3, rng)
    has_cells = np.where(rng.random(len(seeds)) < 0.12, rng.uniform(0.5, 2, len(seeds)), 0)
    field += _vectors(np.ones(len(cell_seeds)), rng)[cell] * np.radians(has_cells)[grain][..., None]
    return _Steel(
        orientations=crystal.multiply(crystal.from_rotation_vector(field), q[grain]),
        phase=np.full((size, size), BCC, np.uint8),
        regions=grain,
        quality=rng.uniform(0.66, 0.86, len(seeds))[grain],
        error_share=rng.uniform(0.015, 0.045),
    )


def _bainite(size: int, step_um: float, rng: np.random.Generator) -> _Steel:
    """Prior austenite grains, packets, blocks and laths of variants, films of austenite between blocks."""
    places = _places(size, step_um, rng)
    austenite_seeds, austenite = _laguerre(places, rng.uniform(20, 40), rng)
    parent = _random(len(austenite_seeds), rng)
    packet_seeds, cell = _laguerre(places, rng.uniform(10, 18), rng)
    packets, packet = np.unique(austenite * len(packet_seeds) + cell, return_inverse=True)
    packet = packet.reshape(size, size)

    t = _between_ks_and_nw(rng.uniform(0.15, 0.6))  # where measured relations lie
    habit, bain = _habit_planes_and_bain_axes(t)
    same_bain = rng.uniform(0.25, 0.6)
    wavy = places + 0.4 * _smooth(size, 4 / step_um, 2, rng)

    block, lath = np.empty((size, size), np.int64), np.empty((size, size), np.int64)
    edge_um = np.empty((size, size))
    ferrite = np.empty((0, 4))  # orientation of each block
    laths = 0
    for number, packed in enumerate(packets):
        inside = packet == number
        mother = parent[packed // len(packet_seeds)]
        plane = rng.integers(4)
        normal = crystal.to_matrix(mother).T @ _planes()[plane]  # habit plane in the specimen frame
        widening = 1 / max(np.hypot(normal[0], normal[1]), 0.35)
        along = wavy[inside] @ (normal[:2] / np.hypot(normal[0], normal[1]))
        bands, edge_um[inside] = _bands(along, max(2.0, 3.2 * step_um) * widening, 0.35, rng)
        block[inside] = bands + len(ferrite)
        variants = _variant_sequence(bands.max() + 1, np.flatnonzero(habit == plane), bain, same_bain, rng)
        ferrite = np.concatenate([ferrite, crystal.multiply(crystal.variants(t)[variants], mother)])
        fine, _ = _bands(along, max(0.9, 2.2 * step_um) * widening, 0.25, rng)
        # a lath ends where its block does
        _, split = np.unique(np.stack([bands, fine]), axis=1, return_inverse=True)
        lath[inside] = split.ravel() + laths
        laths += split.max() + 1
    q = crystal.multiply(_rotations(rng.uniform(0.8, 1.8, len(ferrite)), rng), ferrite)
    lath_turn = _vectors(np.radians(rng.uniform(0.8, 2.6, laths)), rng)[lath]
    bend = _smooth(size, 3 / step_um, 3, rng) * np.radians(rng.uniform(1.5, 4.0))
    orientations = crystal.multiply(crystal.from_rotation_vector(lath_turn + bend), q[block])

    film_share = rng.uniform(0.02, 0.1) if rng.random() < 0.8 else 0.0  # granular bainite has no films
    thinness = edge_um / step_um - 0.7 * _smooth(size, 1.5 / step_um, 1, rng)[..., 0]
    film = thinness < np.quantile(thinness, film_share)
    orientations[film] = parent[austenite[film]]
    return _Steel(
        orientations=orientations,
        phase=np.where(film, FCC, BCC).astype(np.uint8),
        regions=2 * block + film,
        quality=rng.uniform(0.42, 0.66, len(ferrite))[block] - 0.05 * film,
        error_share=rng.uniform(0.04, 0.09),
    )


def _measure(steel: _Steel, step_um: float, rng: np.random.Generator, source: str) -> Scan:
    """What indexing makes of the steel: angular noise, dips and errors at boundaries, drift of the beam."""
    size = len(steel.phase)
    border = np.zeros((size, size))
    for axis in (0, 1):
        step = np.diff(steel.regions, axis=axis) != 0
        border += np.pad(step, [(0, int(axis == k)) for k in (0, 1)])
        border += np.pad(step, [(int(axis == k), 0) for k in (0, 1)])
    border = np.minimum(border / 2, 1)
    drift = 0.03 * _smooth(size, size / 4, 1, rng)[..., 0]
    quality = steel.quality - 0.12 * border + drift + rng.normal(0, 0.025, (size, size))
    confidence = np.clip(1.2 * quality - 0.15 * border + rng.normal(0, 0.06, (size, size)), 0.12, 0.98)

    weight = 0.25 + border
    error = rng.random((size, size)) < steel.error_share * weight / weight.mean()
    wrong = error & (rng.random((size, size)) < MISINDEXED)
    missing = error & ~wrong
    jitter = _vectors(np.full((size, size), np.radians(rng.uniform(0.12, 0.35))), rng)
    orientations = crystal.multiply(crystal.from_rotation_vector(jitter), steel.orientations)
    orientations[wrong] = _random(int(wrong.sum()), rng)
    phase = np.where(missing, NOISE, steel.phase).astype(np.uint8)
    euler = np.where(missing[..., None], 0, crystal.to_euler(orientations)).astype(np.float32)
    confidence[wrong] *= 0.3
    confidence[missing] = -1
    gain = rng.uniform(80, 120)
    return Scan(
        source=source,
        euler=euler,
        phase=phase,
        quality=np.round(np.clip(quality, 0.02, None) * gain, 1).astype(np.float32),
        quality_kind="IQ",
        confidence=np.round(confidence, 3).astype(np.float32),
        step_um=step_um,
        vendor="synthetic-v1",
        phases=PHASES,
    )


def _places(size: int, step_um: float, rng: np.random.Generator) -> Floats:
    """Coordinates (size, size, 2) in um, warped so that boundaries are not straight."""
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), axis=-1) * step_um
    return np.asarray(grid + 0.35 * _smooth(size, 1.2 / step_um, 2, rng), np.float64)


def _smooth(size: int, sigma: float, components: int, rng: np.random.Generator) -> Floats:
    """A random field (size, size, components) of unit rms, smooth over `sigma` pixels, periodic."""
    white = rng.normal(size=(components, size, size))
    row, column = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)
    kernel = np.exp(-2 * (np.pi * sigma) ** 2 * (row**2 + column**2))
    kernel[0, 0] = 0
    field = np.fft.irfft2(np.fft.rfft2(white) * kernel, s=(size, size))
    return np.moveaxis(field / field.std(axis=(1, 2), keepdims=True), 0, -1)


def _laguerre(places: Floats, diameter: float, rng: np.random.Generator) -> tuple[Floats, Labels]:
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


def _bands(along: Floats, width: float, spread: float, rng: np.random.Generator) -> tuple[Labels, Floats]:
    """Which band of lognormal width, um, each coordinate (n,) is in, and its distance to the band's edge, um."""
    along = along - along.min()
    count = int(2 * along.max() / width) + 4
    edges = np.cumsum(width * np.exp(rng.normal(0, spread, count)))
    edges = np.concatenate([[-np.inf], edges - rng.uniform(0, edges[0]), [np.inf]])
    band = np.searchsorted(edges, along, side="right") - 1
    return band, np.minimum(along - edges[band], edges[band + 1] - along)


def _planes() -> Floats:
    """The four {111} normals (4, 3)."""
    return crystal.unit(np.array([[1.0, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]]))


def _habit_planes_and_bain_axes(t: Floats) -> tuple[Labels, Labels]:
    """Of each variant (24,): which {111} plane of the austenite it keeps, and which cube axis it shortens (Bain)."""
    rotations = [crystal.to_matrix(s) for s in crystal.symmetries()]
    habit = [np.argmax([abs((r @ plane).sum()) for plane in _planes()]) for r in rotations]
    # the shortened axis is the one that stays near a cube axis of the ferrite
    bain = [np.argmax(np.abs(crystal.to_matrix(t) @ r).max(axis=0)) for r in rotations]
    return np.array(habit), np.array(bain)


def _variant_sequence(
    count: int, choice: Labels, bain: Labels, same_bain: float, rng: np.random.Generator
) -> list[int]:
    """The variants of the blocks along a packet, out of the six in `choice`, often of the last one's Bain axis."""
    sequence = [int(rng.choice(choice))]
    while len(sequence) < count:
        options = choice[bain[choice] == bain[sequence[-1]]] if rng.random() < same_bain else choice
        sequence.append(int(rng.choice(options)))
    return sequence


def _between_ks_and_nw(share: float) -> Floats:
    """T (4,), `share` of the way from Kurdjumov-Sachs to the nearest variant of Nishiyama-Wassermann, 5.26 deg off."""
    ks, options = crystal.relationship("KS"), crystal.austenite_relations("NW")
    nearest = options[np.argmin(crystal.disorientation(ks, options))]
    nw = crystal.nearest_equivalent(nearest[None], ks[None])[0]
    return crystal.unit((1 - share) * ks + share * nw)


def _random(count: int, rng: np.random.Generator) -> Floats:
    """Uniform random orientations (count, 4)."""
    return crystal.unit(rng.normal(size=(count, 4)))


def _vectors(rms: Floats, rng: np.random.Generator) -> Floats:
    """Random rotation vectors (..., 3) of rms length `rms` (...)."""
    return np.asarray(rng.normal(size=(*rms.shape, 3)) * rms[..., None] / np.sqrt(3), np.float64)


def _rotations(rms_deg: Floats, rng: np.random.Generator) -> Floats:
    """Random small rotations (..., 4) of rms angle `rms_deg` (...)."""
    return crystal.from_rotation_vector(_vectors(np.radians(rms_deg), rng))
