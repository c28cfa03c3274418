"""Which crystal a phase of a vendor's table is."""

import re

from qgan.ebsd.scan import BCC, FCC, OTHER

CODES = {"bcc": BCC, "fcc": FCC, "other": OTHER}  # the words of --phase-map
_BCC_NAME = re.compile(r"bcc|ferrit|alpha|martens|bainit|kamacit|\bdelta\b", re.IGNORECASE)
_FCC_NAME = re.compile(r"fcc|austenit|gamma|taenit", re.IGNORECASE)
_BCC_LATTICE = 2.80, 2.95  # angstrom, iron and its alloys
_FCC_LATTICE = 3.50, 3.75


def crystal_code(name: str, is_cubic: bool, lattice_angstrom: float | None, phase_map: dict[str, int]) -> int:
    """BCC, FCC or OTHER: the user's word, then the name, then the lattice constant of a cubic phase.

    Names are compared without case; "Ferrite and austenite" in one name decides nothing.
    """
    by_user = {key.strip().lower(): code for key, code in phase_map.items()}.get(name.strip().lower())
    if by_user is not None:
        return by_user
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
