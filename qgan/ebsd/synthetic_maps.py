"""Steels of synthetic maps: ferrite and bainite, each from plain to hardly told from the other.

Sizes and angles are typical published values (Takayama 2012 for bainite's variants). Every map draws its own grain
size, strain, film share and so on from ranges that overlap between the two, so that no single number of a patch
tells them apart (docs/ebsd.md has the table). They serve to compare generators and to test the software; they prove
no classifier. Lengths are in um: a coarser step shows the same steel with fewer pixels.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from qgan.ebsd import crystal
from qgan.ebsd.crystal import Floats
from qgan.ebsd.geometry import (
    Labels,
    bands,
    laguerre,
    random_orientations,
    rotations,
    smooth,
    vectors,
    warped_grid,
)
from qgan.ebsd.microscope import KnownScan, Steel, borders, measure
from qgan.ebsd.scan import BCC, FCC, Scan

GENERATOR = "synthetic-v1"
VERSION = 2  # bump when any pixel changes


def synthetic_map(microstructure: str, size: int, step_um: float, rng: np.random.Generator, source: str) -> Scan:
    """A measured map of `size` x `size` points of "ferrite" or "bainite"."""
    return known_map(microstructure, size, step_um, rng, source).scan


def known_map(microstructure: str, size: int, step_um: float, rng: np.random.Generator, source: str) -> KnownScan:
    """The same map, with the truth about its noise."""
    steel = {"ferrite": _ferrite, "bainite": _bainite}[microstructure](size, step_um, rng)
    return measure(steel, step_um, rng, source, GENERATOR)


def _ferrite(size: int, step_um: float, rng: np.random.Generator) -> Steel:
    """Polygonal grains; some keep a Kurdjumov-Sachs relation to a parent; strain, subgrains and islands by map."""
    places = warped_grid(size, step_um, rng)
    diameter = rng.uniform(5.5, 12)
    seeds, grain = laguerre(places, diameter, rng)
    parents, parent_cell = laguerre(places, 40, rng)
    parent = cKDTree(parents).query(seeds)[1]
    parent_q = random_orientations(len(parents), rng)
    variant = crystal.austenite_relations("KS")[rng.integers(24, size=len(seeds))]
    related = crystal.multiply(variant, parent_q[parent])
    related = crystal.multiply(rotations(np.full(len(seeds), 2.0), rng), related)
    is_related = rng.random(len(seeds)) < rng.uniform(0.15, 0.6)
    q = np.where(is_related[:, None], related, random_orientations(len(seeds), rng))

    strain = rng.random() ** 1.5  # of the map: recrystallised to deformed
    bending = (0.3 + 2.2 * strain) * np.exp(rng.normal(0, 0.4, len(seeds)))
    field = smooth(size, diameter / 4 / step_um, 3, rng) * np.radians(bending)[grain][..., None]
    cell_seeds, cell = laguerre(places, rng.uniform(1.2, 4), rng)
    has_cells = rng.random(len(seeds)) < 0.1 + 0.8 * strain
    cell_angle = np.where(has_cells, rng.uniform(0.3, 0.5 + 2.5 * strain, len(seeds)), 0)
    field += vectors(np.ones(len(cell_seeds)), rng)[cell] * np.radians(cell_angle)[grain][..., None]
    orientations = crystal.multiply(crystal.from_rotation_vector(field), q[grain])

    share = rng.uniform(0, 0.07) if rng.random() < 0.6 else 0.0  # retained austenite where grains meet
    island = _islands(grain, step_um, share, rng)
    orientations[island] = parent_q[parent_cell[island]]
    quality = rng.uniform(0.55, 0.85) + rng.normal(0, rng.uniform(0.02, 0.08), len(seeds))[grain]
    return Steel(
        orientations=orientations,
        phase=np.where(island, FCC, BCC).astype(np.uint8),
        regions=2 * grain + island,
        quality=quality - 0.05 * island,
        error_share=rng.uniform(0.015, 0.07),
    )


def _bainite(size: int, step_um: float, rng: np.random.Generator) -> Steel:
    """Prior austenite grains, packets, blocks and laths of variants; austenite as films, islands or not at all."""
    places = warped_grid(size, step_um, rng)
    austenite_seeds, austenite = laguerre(places, rng.uniform(20, 40), rng)
    parent = random_orientations(len(austenite_seeds), rng)
    packet_seeds, cell = laguerre(places, rng.uniform(10, 18), rng)
    packets, packet = np.unique(austenite * len(packet_seeds) + cell, return_inverse=True)
    order = np.argsort(packet.ravel(), kind="stable")
    pixels = np.split(order, np.cumsum(np.bincount(packet.ravel()))[:-1])  # of each packet

    t = _between_ks_and_nw(rng.uniform(0.15, 0.6))  # where measured relations lie
    habit, bain = _habit_planes_and_bain_axes(t)
    same_bain = rng.uniform(0.25, 0.6)
    block_um, lath_um = (
        rng.uniform(2, 4.5),
        rng.uniform(0.7, 1.4),
    )  # granular bainite is coarse and nearly without laths
    wavy = (places + rng.uniform(0.2, 1) * smooth(size, 4 / step_um, 2, rng)).reshape(-1, 2)

    block: Labels = np.empty(size * size, np.int64)
    lath: Labels = np.empty(size * size, np.int64)
    edge_um: Floats = np.empty(size * size)
    ferrite = []  # orientations of each packet's blocks
    blocks = laths = 0
    for number, inside in zip(packets, pixels, strict=True):
        mother = parent[number // len(packet_seeds)]
        plane = rng.integers(4)
        normal = crystal.to_matrix(mother).T @ _planes()[plane]  # habit plane in the specimen frame
        widening = 1 / max(np.hypot(normal[0], normal[1]), 0.35)
        along = wavy[inside] @ (normal[:2] / np.hypot(normal[0], normal[1]))
        band, edge_um[inside] = bands(along, max(block_um, 3.2 * step_um) * widening, 0.35, rng)
        block[inside] = band + blocks
        count = int(band.max()) + 1
        variants = _variant_sequence(count, np.flatnonzero(habit == plane), bain, same_bain, rng)
        ferrite.append(crystal.multiply(crystal.variants(t)[variants], mother))
        blocks += count
        fine, _ = bands(along, max(lath_um, 2.2 * step_um) * widening, 0.25, rng)
        # a lath ends where its block does
        lath[inside] = band * (int(fine.max()) + 1) + fine + laths
        laths += count * (int(fine.max()) + 1)
    shape = size, size
    block, lath, edge_um = block.reshape(shape), lath.reshape(shape), edge_um.reshape(shape)
    q = crystal.multiply(rotations(rng.uniform(0.8, rng.uniform(1.8, 3.5), blocks), rng), np.concatenate(ferrite))
    bend_deg = rng.uniform(1.5, 4.5)
    lath_turn = vectors(np.radians(rng.uniform(1.2, 1.5 + 0.6 * bend_deg, laths)), rng)[lath]
    bend = smooth(size, 3 / step_um, 3, rng) * np.radians(bend_deg)
    orientations = crystal.multiply(crystal.from_rotation_vector(lath_turn + bend), q[block])

    kind, share = rng.random(), rng.uniform(0, 0.08)
    thinness = edge_um / step_um - 0.7 * smooth(size, 1.5 / step_um, 1, rng)[..., 0]
    film = (
        thinness < np.quantile(thinness, share) if kind < 0.5 else _islands(block, step_um, share * (kind < 0.7), rng)
    )
    orientations[film] = parent[austenite[film]]
    quality = rng.uniform(0.45, 0.72) + rng.normal(0, rng.uniform(0.02, 0.08), blocks)[block]
    return Steel(
        orientations=orientations,
        phase=np.where(film, FCC, BCC).astype(np.uint8),
        regions=2 * block + film,
        quality=quality - 0.05 * film,
        error_share=rng.uniform(0.02, 0.09),
    )


def _islands(regions: Labels, step_um: float, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Islands (H, W) that take `share` of a map, most of them where several regions meet."""
    if not share:
        return np.zeros(regions.shape, np.bool_)
    crowded = gaussian_filter(borders(regions), 0.5 / step_um)
    crowded += 0.5 * crowded.std() * smooth(len(regions), 0.6 / step_um, 1, rng)[..., 0]
    return np.asarray(crowded > np.quantile(crowded, 1 - share))


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
