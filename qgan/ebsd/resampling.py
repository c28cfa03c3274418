"""Maps at a coarser step, so that maps of several steps fit one data set: KAM grows with the step."""

from dataclasses import replace

import numpy as np

from qgan.ebsd.scan import Scan
from qgan.errors import InputError

_SAME = 0.02  # steps this close are one


def resample(scan: Scan, step_um: float) -> Scan:
    """The scan at a step of `step_um`, every new point the nearest measured one.

    No point is used twice, so no disorientation of zero is made up; a finer step than the measured one is an
    `InputError`.
    """
    ratio = step_um / scan.step_um
    if abs(ratio - 1) <= _SAME:
        return scan
    if ratio < 1:
        raise InputError(
            f"{scan.source}: measured at {scan.step_um:g} um, which no resampling makes {step_um:g} um; choose "
            f"{scan.step_um:g} um or more",
            "resample_step_um",
        )
    row, column = (np.rint(np.arange(int((size - 1) / ratio + 1e-6) + 1) * ratio).astype(int) for size in scan.shape)
    chosen = np.ix_(row, column)
    return replace(
        scan,
        euler=scan.euler[chosen],
        phase=scan.phase[chosen],
        quality=scan.quality[chosen],
        confidence=None if scan.confidence is None else scan.confidence[chosen],
        step_um=step_um,
        warnings=(
            *scan.warnings,
            f"resampled from {scan.step_um:g} to {step_um:g} um, every point the nearest measured one",
        ),
    )
