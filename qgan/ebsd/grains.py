"""Grains: connected regions of one phase without a large step of orientation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from qgan.ebsd import crystal
from qgan.ebsd.scan import NOISE

Shift = tuple[int, int]


def neighbours(shape: tuple[int, int], shift: Shift) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of all pixels that have a neighbour `shift` = (rows >= 0, columns) away, and of those neighbours."""
    rows, columns = shape
    down, right = shift
    left = max(-right, 0)
    right = max(right, 0)
    here = slice(0, rows - down), slice(left, columns - right)
    there = slice(down, rows), slice(right, columns - left)
    return here, there


@dataclass(frozen=True, eq=False)
class Grains:
    """Labels of a map's grains."""

    labels: NDArray[np.int32]  # (H, W), -1 for noise
    sizes: NDArray[np.int64]  # (count,), pixels
    phase: NDArray[np.uint8]  # (count,)

    @property
    def count(self) -> int:
        """How many grains, of any size."""
        return len(self.sizes)


def segment(orientations: crystal.Floats, phase: NDArray[np.uint8], angle_deg: float) -> Grains:
    """Grains of a map (H, W, 4), (H, W): 4-connected, of one phase, neighbours within `angle_deg`.

    Chains through gradients are inherent. Non-cubic phases are compared with cubic symmetry too.
    """
    pixel = np.arange(phase.size, dtype=np.int32).reshape(phase.shape)
    limit = np.radians(angle_deg)
    first, second = [], []
    for shift in ((0, 1), (1, 0)):
        here, there = neighbours((phase.shape[0], phase.shape[1]), shift)
        joined = crystal.disorientation(orientations[here], orientations[there]) < limit
        joined &= (phase[here] == phase[there]) & (phase[here] != NOISE)
        first.append(pixel[here][joined])
        second.append(pixel[there][joined])
    i, j = np.concatenate(first), np.concatenate(second)
    graph = coo_array((np.ones(len(i), np.bool_), (i, j)), shape=(phase.size, phase.size))
    component = connected_components(graph, directed=False)[1]

    flat = phase.ravel()
    indexed = flat != NOISE
    sizes = np.bincount(component[indexed], minlength=component.max(initial=-1) + 1)
    number = np.where(sizes > 0, np.cumsum(sizes > 0) - 1, -1).astype(np.int32)  # noise is alone in its components
    phase_of = np.zeros(len(sizes), np.uint8)
    phase_of[component] = flat
    used = sizes > 0
    return Grains(number[component].reshape(phase.shape), sizes[used].astype(np.int64), phase_of[used])


def mean_orientations(orientations: crystal.Floats, grains: Grains) -> crystal.Floats:
    """Mean orientation of each grain (count, 4), over the equivalents nearest one another."""
    inside = grains.labels >= 0
    label, q = grains.labels[inside], orientations[inside]
    first = np.empty(grains.count, np.int64)
    first[label[::-1]] = np.arange(len(label))[::-1]  # of several values the last one stays
    mean = q[first]
    for _ in range(2):  # the second pass no longer depends on which pixel came first
        q = crystal.nearest_equivalent(q, mean[label])
        total = [np.bincount(label, column, grains.count) for column in np.ascontiguousarray(q.T)]
        mean = crystal.unit(np.stack(total, axis=-1).astype(np.float64))
    return mean


def centres(grains: Grains) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column (count,) of each grain's pixel nearest its centroid: inside it even for bent laths."""
    rows, columns = np.nonzero(grains.labels >= 0)
    label = grains.labels[rows, columns]
    sizes = np.maximum(grains.sizes, 1)
    centroid_row = np.bincount(label, rows, grains.count) / sizes
    centroid_column = np.bincount(label, columns, grains.count) / sizes
    distance = (rows - centroid_row[label]) ** 2 + (columns - centroid_column[label]) ** 2
    least = np.full(grains.count, np.inf)
    np.minimum.at(least, label, distance)
    nearest = np.flatnonzero(distance == least[label])[::-1]
    centre = np.empty(grains.count, np.int64)
    centre[label[nearest]] = nearest  # of equally near pixels the first one
    return rows[centre], columns[centre]
