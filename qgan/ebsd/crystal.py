"""Cubic crystallography on unit quaternions, in closed form.

| symbol | meaning | shape |
|---|---|---|
| q | orientation g, specimen -> crystal (Bunge), scalar part first | (..., 4) float64 |
| S | one of the 24 proper rotations of the cube; S q is the same orientation | (24, 4) |
| m = q_i q_j^-1 | misorientation, crystal j -> crystal i | (..., 4) |
| T | orientation relationship, austenite crystal -> ferrite crystal | (4,) |

float64 throughout: the arc cosine of float32 is 0.05 deg wrong near zero, where KAM lives.
"""

from dataclasses import dataclass
from functools import cache
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from qgan.ebsd.strips import in_strips
from qgan.errors import InputError

Floats = NDArray[np.float64]


def from_euler(euler: NDArray[np.floating]) -> Floats:
    """Bunge Euler angles (..., 3), radians -> quaternions (..., 4)."""
    euler = np.asarray(euler)
    if euler.ndim == 1:
        return _from_euler(euler)
    return in_strips(_from_euler, np.empty((*euler.shape[:-1], 4)), euler)


def _from_euler(euler: NDArray[np.floating]) -> Floats:
    phi1, phi, phi2 = np.moveaxis(np.asarray(euler, np.float64), -1, 0) / 2
    plus, minus = phi1 + phi2, phi1 - phi2
    cos, sin = np.cos(phi), np.sin(phi)
    return np.stack([cos * np.cos(plus), -sin * np.cos(minus), -sin * np.sin(minus), -cos * np.sin(plus)], axis=-1)


def to_euler(q: Floats) -> Floats:
    """Quaternions (..., 4) -> Bunge Euler angles (..., 3), radians, phi1 and phi2 in [0, 2 pi)."""
    a, b, c, d = np.moveaxis(q, -1, 0)
    plus, minus = np.arctan2(-d, a), np.arctan2(-c, -b)
    phi = 2 * np.arctan2(np.hypot(b, c), np.hypot(a, d))
    euler = [(plus + minus) % (2 * np.pi), phi, (plus - minus) % (2 * np.pi)]
    return np.asarray(np.stack(euler, axis=-1), np.float64)


def multiply(p: Floats, q: Floats) -> Floats:
    """Hamilton product of quaternions (..., 4), broadcast."""
    p, q = np.broadcast_arrays(p, q)
    if p.ndim == 1:
        return _multiply(p, q)
    return in_strips(_multiply, np.empty(p.shape), p, q)


def _multiply(p: Floats, q: Floats) -> Floats:
    a, b, c, d = np.moveaxis(p, -1, 0)
    e, f, g, h = np.moveaxis(q, -1, 0)
    return np.stack(
        [
            a * e - b * f - c * g - d * h,
            a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f,
            a * h + b * g - c * f + d * e,
        ],
        axis=-1,
    )


def unit(q: Floats) -> Floats:
    """Quaternions (..., 4) scaled to length 1."""
    return np.asarray(q / np.linalg.norm(q, axis=-1, keepdims=True), np.float64)


def inverse(q: Floats) -> Floats:
    """Inverse of unit quaternions (..., 4)."""
    return np.asarray(q * np.array([1.0, -1.0, -1.0, -1.0]), np.float64)


def from_rotation_vector(vector: Floats) -> Floats:
    """Rotation vectors (..., 3), axis times angle in radians -> quaternions (..., 4)."""
    angle = np.linalg.norm(vector, axis=-1, keepdims=True)
    parts = [np.cos(angle / 2), np.sinc(angle / (2 * np.pi)) / 2 * vector]
    return np.asarray(np.concatenate(parts, axis=-1), np.float64)


def to_matrix(q: Floats) -> Floats:
    """One quaternion (4,) -> its rotation matrix (3, 3): crystal vector = matrix @ specimen vector."""
    a, v = q[0], q[1:]
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.asarray((a * a - v @ v) * np.eye(3) + 2 * np.outer(v, v) + 2 * a * cross, np.float64)


def from_matrix(matrix: Floats) -> Floats:
    """Rotation matrix (3, 3) -> quaternion (4,): the eigenvector of Bar-Itzhack's symmetric matrix."""
    m = matrix
    k = np.array(
        [
            [m[0, 0] + m[1, 1] + m[2, 2], m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], m[0, 0] - m[1, 1] - m[2, 2], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]],
            [m[0, 2] - m[2, 0], m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], m[1, 2] + m[2, 1]],
            [m[1, 0] - m[0, 1], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1]],
        ]
    )
    return np.asarray(np.linalg.eigh(k)[1][:, -1], np.float64)


@cache
def symmetries() -> Floats:
    """The 24 proper rotations of the cube (24, 4), identity first."""
    whole = [np.eye(4)[0], *np.eye(4)[1:]]
    half = [np.array([1, *signs]) / 2 for signs in product((1, -1), repeat=3)]
    edges = []
    for i, j in sorted({tuple(sorted(pair)) for pair in permutations(range(4), 2)}):
        for sign in (1, -1):
            q = np.zeros(4)
            q[i], q[j] = np.sqrt(0.5), sign * np.sqrt(0.5)
            edges.append(q)
    return np.array([*whole, *half, *edges])


def disorientation(p: Floats, q: Floats) -> Floats:
    """Smallest angle between two cubic orientations (..., 4) over all symmetric equivalents, radians.

    With |a| >= |b| >= |c| >= |d| of p q^-1: cos(theta/2) = max(|a|, (|a|+|b|)/sqrt 2, (|a|+|b|+|c|+|d|)/2)
    (Grimmer 1974).
    """
    p, q = np.broadcast_arrays(p, q)
    if p.ndim == 1:
        return _disorientation(p, q)
    return in_strips(_disorientation, np.empty(p.shape[:-1]), p, q)


def _disorientation(p: Floats, q: Floats) -> Floats:
    # contiguous components: strided ones cost more than the copy
    e, f, g, h = np.ascontiguousarray(np.moveaxis(p, -1, 0))
    i, j, k, m = np.ascontiguousarray(np.moveaxis(q, -1, 0))
    a = np.abs(e * i + f * j + g * k + h * m)
    b = np.abs(f * i - e * j + h * k - g * m)
    c = np.abs(g * i - e * k + f * m - h * j)
    d = np.abs(h * i - e * m + g * j - f * k)
    # the two largest of four and the sum are all that is needed: cheaper than a sort
    high, low = np.maximum(a, b), np.minimum(a, b)
    other_high, other_low = np.maximum(c, d), np.minimum(c, d)
    first = np.maximum(high, other_high)
    second = np.maximum(np.minimum(high, other_high), np.maximum(low, other_low))
    half_cos = np.maximum(first, (first + second) * np.sqrt(0.5))
    half_cos = np.maximum(half_cos, (a + b + c + d) / 2)
    return np.asarray(2 * np.arccos(np.minimum(half_cos, 1.0)), np.float64)


def nearest_equivalent(q: Floats, reference: Floats) -> Floats:
    """Each orientation q (n, 4) as the equivalent, and the sign, nearest its reference (n, 4).

    The raw file holds pixels of one grain as different equivalents: average nothing before this.
    """
    return in_strips(_nearest_equivalent, np.empty(q.shape), q, reference)


def _nearest_equivalent(q: Floats, reference: Floats) -> Floats:
    dot = np.einsum("nk,nk->n", q, reference)
    aligned = np.where(dot[:, None] < 0, -q, q)
    # equivalents are 45 deg apart or more, so within 22.5 deg there is no nearer one
    far = np.flatnonzero(np.abs(dot) < np.cos(np.pi / 8))
    if len(far):
        turns = _multiply(reference[far], inverse(q[far]))  # S q nearest the reference: S nearest this turn
        dots = turns @ symmetries().T
        best = np.argmax(np.abs(dots), axis=1)
        sign = np.sign(np.take_along_axis(dots, best[:, None], axis=1))
        aligned[far] = sign * _multiply(symmetries()[best], q[far])
    return aligned


NAMED = ("KS", "NW")  # relationships known by name


@cache
def relationship(name: str) -> Floats:
    """T (4,) of a name, or of the user's Bunge angles "phi1,Phi,phi2" in degrees, austenite -> ferrite.

    "KS": (111)g || (011)a and [-101]g || [-1-11]a (Kurdjumov, Sachs 1930); "NW": (111)g || (011)a and
    [-211]g || [0-11]a (Nishiyama 1934, Wassermann 1935). `InputError` for anything else.
    """
    if name not in NAMED:
        return from_euler(np.radians(_angles(name)))
    plane = np.array([1, 1, 1]), np.array([0, 1, 1])
    direction = {
        "KS": (np.array([-1, 0, 1]), np.array([-1, -1, 1])),
        "NW": (np.array([-2, 1, 1]), np.array([0, -1, 1])),
    }[name]
    frames = []
    for normal, along in zip(plane, direction, strict=True):
        z, x = normal / np.linalg.norm(normal), along / np.linalg.norm(along)
        frames.append(np.column_stack([x, np.cross(z, x), z]))
    gamma, alpha = frames
    return from_matrix(alpha @ gamma.T)


def _angles(name: str) -> list[float]:
    try:
        angles = [float(word) for word in name.split(",")]
    except ValueError:
        angles = []
    if len(angles) != 3 or not all(abs(angle) <= 360 for angle in angles):
        raise InputError(
            f"the orientation relationship must be KS, NW or three Bunge angles in degrees such as 5.77,48.19,180, "
            f"not {name!r}",
            "ks_relation",
        )
    return angles


def variants(t: Floats) -> Floats:
    """T S (24, 4): the ferrite orientations that one austenite crystal can take, q_alpha = T S q_gamma."""
    return multiply(t, symmetries())


@cache
def austenite_relations(name: str) -> Floats:
    """R (24, 4) such that q_ferrite = R q_austenite for some R, up to symmetry."""
    return variants(relationship(name))


@cache
def ferrite_relations(name: str) -> Floats:
    """R (k, 4) such that q_ferrite = R q_ferrite' for some R when both come from one austenite crystal.

    T S_k T^-1 S for the 23 S_k beyond the identity and every equivalent S of the neighbour, without those that
    differ by a symmetry of the result.
    """
    t = relationship(name)
    between = multiply(multiply(t, symmetries()[1:]), inverse(t))
    every = multiply(between[:, None], symmetries()).reshape(-1, 4)
    kept: list[Floats] = []
    for each in every:
        if not kept or disorientation(np.array(kept), each).min() > 1e-6:
            kept.append(each)
    return np.array(kept)


@dataclass(frozen=True, eq=False)
class Nearest:
    """The relation nearest to any misorientation, out of R (k, 4) and all that symmetry makes of them.

    Angles between rotations order as distances between unit quaternions, so a tree of the 24 k equivalents finds in
    one look-up what comparing with each relation finds in k.
    """

    equivalents: Floats  # (2 * 24 * k, 4): S R and, as q and -q are one rotation, -S R
    tree: cKDTree

    @classmethod
    def to(cls, relations: Floats) -> "Nearest":
        """Of the relations R (k, 4), closed under symmetries on their right."""
        every = multiply(symmetries()[:, None], relations).reshape(-1, 4)
        equivalents = np.concatenate([every, -every])
        return cls(equivalents, cKDTree(equivalents))

    def of(self, p: Floats, q: Floats) -> Floats:
        """Where the nearest relation to q (n, 4) would put p (n, 4): orientations R q (n, 4)."""
        index = self.tree.query(multiply(p, inverse(q)), workers=-1)[1]
        return multiply(self.equivalents[index], q)
