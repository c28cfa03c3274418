"""A scan as the microscope left it, whatever its file format."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd import crystal

NOISE, BCC, FCC, OTHER = range(4)  # phase codes, as the paper's crystal-structure channel counts them
PHASE_WORDS = ("noise", "BCC", "FCC", "other")  # of these codes, for people


@dataclass(frozen=True)
class Phase:
    """One line of a file's phase table."""

    id: int  # as in the file
    name: str
    lattice_angstrom: float | None
    code: int  # what we take it for: BCC, FCC or OTHER
    space_group: int | None = None  # None where the file does not say


@dataclass(frozen=True, eq=False)
class Scan:
    """A map on a square grid. Absent and unindexed points have phase code 0 and Euler angles 0.

    Angles are kept as every vendor writes them, 12 bytes a point; `orientations` are their quaternions.

    Misorientation, KAM, grains and the Kurdjumov-Sachs deviation do not depend on the specimen frame, so vendors'
    90 and 180 degree frames are left as they are.
    """

    source: str  # file name, or the recipe of a synthetic map
    euler: NDArray[np.float32]  # (H, W, 3), Bunge, radians
    phase: NDArray[np.uint8]  # (H, W), NOISE, BCC, FCC or OTHER
    quality: NDArray[np.float32]  # (H, W), image quality; NaN where the point is absent
    quality_kind: str  # IQ, BC (band contrast), BS (band slope), ...
    confidence: NDArray[np.float32] | None  # (H, W), NaN where absent; None unless a true confidence index
    step_um: float
    vendor: str
    phases: tuple[Phase, ...]
    warnings: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.phase.shape[0], self.phase.shape[1]

    @property
    def orientations(self) -> crystal.Floats:
        """Unit quaternions (H, W, 4), specimen -> crystal."""
        return crystal.from_euler(self.euler)

    def share(self, code: int) -> float:
        """Share of the map's points with a phase code."""
        return float(np.mean(self.phase == code))


def content(scan: Scan) -> str:
    """Hash of a map's points, whatever its file is called: 16 hex digits."""
    digest = hashlib.sha256(repr(scan.shape).encode())
    for column in (scan.euler, scan.phase, scan.quality):
        digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()[:16]
