"""The code that trials were made with, in words."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from analysis.records import TrialRecord

_DIRTY = " with changes that are not committed"
_UNKNOWN = "a copy without its repository"


def revision(git: Mapping[str, Any] | None) -> str:
    """One git revision of a provenance: {revision, dirty}, or None where there was no repository."""
    return _UNKNOWN if git is None else git["revision"][:12] + (_DIRTY if git["dirty"] else "")


def mixed_revisions(records: Iterable[TrialRecord]) -> str | None:
    """What to tell where trials were made by different code, or by code that no revision names; else None."""
    made = [list(dict.fromkeys(revision(each["git"]) for each in record.origins)) for record in records]
    counts = Counter(" and then ".join(names) for names in made if names)
    revisions = {name for names in made for name in names}
    if len(revisions) > 1:
        told = "Trials were made by different revisions of this program"
    elif any(name.endswith((_DIRTY, _UNKNOWN)) for name in revisions):
        told = "Trials were made by code that no revision holds"
    else:
        return None
    return f"{told}: " + ", ".join(f"{number} by {name}" for name, number in counts.most_common())
