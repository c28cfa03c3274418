"""Which crystal a phase of a vendor's table is, and so the code of every point."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from qgan.ebsd.scan import BCC, FCC, NOISE, OTHER, Phase

CODES = {"bcc": BCC, "fcc": FCC, "other": OTHER}  # the words of --phase-map
SPACE_GROUPS = {BCC: 229, FCC: 225}  # Im-3m and Fm-3m
_BCC_NAME = re.compile(r"bcc|ferrit|alpha|martens|bainit|kamacit|\bdelta\b", re.IGNORECASE)
_FCC_NAME = re.compile(r"fcc|austenit|gamma|taenit", re.IGNORECASE)
_BCC_LATTICE = 2.80, 2.95  # angstrom, iron and its alloys
_FCC_LATTICE = 3.50, 3.75


def crystal_code(
    name: str,
    is_cubic: bool,
    lattice_angstrom: float | None,
    phase_map: Mapping[str, int],
    space_group: int | None = None,
) -> int:
    """BCC, FCC or OTHER: the user's word, then space group, then name, then lattice constant of a cubic phase.

    Names are compared without case; "Ferrite and austenite" in one name decides nothing. Space group 0 or None:
    the file does not say.
    """
    by_user = {key.strip().lower(): code for key, code in phase_map.items()}.get(name.strip().lower())
    if by_user is not None:
        return by_user
    if space_group:
        return next((code for code, number in SPACE_GROUPS.items() if number == space_group), OTHER)
    if not is_cubic:
        return OTHER
    is_bcc, is_fcc = bool(_BCC_NAME.search(name)), bool(_FCC_NAME.search(name))
    if is_bcc != is_fcc:
        return BCC if is_bcc else FCC
    if lattice_angstrom is not None:
        for code, (low, high) in ((BCC, _BCC_LATTICE), (FCC, _FCC_LATTICE)):
            if low <= lattice_angstrom <= high:
                return code
    return OTHER


def phase_of(
    number: int,
    name: str | None,
    lengths: Sequence[float],
    angles_deg: Sequence[float],
    has_cubic_symmetry: bool,
    phase_map: Mapping[str, int],
    space_group: int | None = None,
) -> Phase:
    """A line of a vendor's phase table; lattice constants in angstrom and degrees, empty or 0 where not given."""
    name = " ".join((name or "").split()) or f"phase {number}"
    lattice = float(lengths[0]) if len(lengths) and 0 < lengths[0] < 1000 else None
    is_cubic = has_cubic_symmetry
    if len(lengths) == 3 and lattice:
        is_cubic &= bool(np.ptp(lengths) < 1e-3 * lattice)
    if len(angles_deg) == 3 and any(angles_deg):
        is_cubic &= bool(np.abs(np.subtract(angles_deg, 90)).max() < 0.1)
    code = crystal_code(name, is_cubic, lattice, phase_map, space_group)
    return Phase(number, name, lattice, code, space_group or None)


def point_codes(
    ids: NDArray[np.int16], missing: NDArray[np.bool_], phases: Sequence[Phase], warnings: list[str]
) -> NDArray[np.uint8]:
    """The code of each point (n,) from its phase number in the file, 0 and below for unindexed; adds to `warnings`."""
    table = {phase.id: phase for phase in phases}
    code = np.full(len(ids), NOISE, np.uint8)
    used = np.unique(ids[~missing]).tolist()
    for number in used:
        if number in table:
            code[ids == number] = table[number].code
        elif number > 0:
            code[ids == number] = OTHER
    code[missing] = NOISE
    unknown = [number for number in used if number > 0 and number not in table]
    if not phases:
        warnings.append("the header describes no phase: all points count as other")
    elif unknown:
        which = f"phase {unknown[0]}" if len(unknown) == 1 else f"{len(unknown)} phases"
        warnings.append(f"points of {which}, which the header does not describe, count as other")
    warnings += [
        f'phase "{table[number].name}" is neither BCC nor FCC by space group, name or lattice; if it is, say so with '
        f'--phase-map "{table[number].name}=bcc"'
        for number in used
        if number in table and table[number].code == OTHER
    ]
    return code
