"""orix as an oracle of our crystallography: an independent implementation, used by tests only (GPL-3).

Among the faults because its first import compiles for 20 s; `test_crystal.py` has scipy's rotations as an oracle.
"""

import numpy as np
import pytest

from qgan.ebsd import crystal, ipf

pytestmark = pytest.mark.faults


def random(count: int, seed: int) -> np.ndarray:
    return crystal.unit(np.random.default_rng(seed).normal(size=(count, 4)))


def test_disorientations_agree_to_1e_9_degrees() -> None:
    from orix.quaternion import Orientation, symmetry

    p, q = random(2000, 0), random(2000, 1)
    theirs = Orientation(p, symmetry=symmetry.Oh).angle_with(Orientation(q, symmetry=symmetry.Oh))
    assert np.abs(np.degrees(crystal.disorientation(p, q)) - np.degrees(theirs)).max() < 1e-9


def test_euler_angles_are_theirs() -> None:
    euler = np.random.default_rng(2).uniform(0, [2 * np.pi, np.pi, 2 * np.pi], (500, 3))
    from orix.quaternion import Rotation

    theirs = Rotation.from_euler(euler).data
    assert np.abs(np.abs(np.sum(theirs * crystal.from_euler(euler), axis=1)) - 1).max() < 1e-12


def test_the_specimens_axes_in_the_crystal_are_theirs() -> None:
    from orix.quaternion import Orientation, symmetry
    from orix.vector import Vector3d

    q = random(500, 3)
    for axis, vector in (("x", Vector3d.xvector()), ("y", Vector3d.yvector()), ("z", Vector3d.zvector())):
        theirs = (Orientation(q, symmetry=symmetry.Oh) * vector).data
        colours = ipf.direction_colours(theirs)
        assert np.abs(ipf.ipf_colours(q, axis).astype(int) - colours).max() <= 1
