"""What can go wrong between a client and IonQ, on demand.

A rule is written WHERE:WHAT[:after][@CHANCE | #NUMBER]; `after` means that the request is carried out first:

    post:504:after@0.1      one POST /jobs in ten creates its job and answers 504
    post:drop:after#3       the third one creates its job, and the connection drops without an answer
    job:500@0.05            a twentieth of the status requests fails
    post:429=2              too many requests, come back after 2 seconds
    post:fail#2             the second job will fail      post:lag=5   jobs are listed 5 seconds late
    result:slow=2           results take 2 seconds        characterization:drift@0.2   the machine is calibrated anew
"""

import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Self

from qgan.errors import InputError

PLACES = ("post", "job", "list", "result", "cancel", "cost", "estimate", "backend", "characterization", "any")
_RULE = re.compile(
    r"(?P<where>[a-z]+):(?P<what>\d{3}|drop|garbage|fail|drift|slow|lag)(?:=(?P<seconds>\d+\.?\d*))?"
    r"(?P<after>:after)?(?:@(?P<chance>\d+\.?\d*)|#(?P<number>\d+))?"
)
_ONLY = {"fail": "post", "lag": "post", "drift": "characterization"}  # what makes sense in one place


@dataclass(frozen=True)
class Fault:
    """One rule."""

    where: str  # kind of request
    what: str  # an HTTP status | drop | garbage | slow | fail | lag | drift
    after: bool = False  # whether the request is carried out first
    seconds: float = 0.0  # of slow and lag; of a status: its Retry-After
    chance: float = 1.0
    number: int | None = None  # only the request of this number there, counted from 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """The rule as written; raises InputError."""
        found = _RULE.fullmatch(text)
        if found is None:
            raise InputError(
                f"fault {text!r} is not WHERE:WHAT[:after][@CHANCE | #NUMBER], where WHERE is {', '.join(PLACES)} and "
                "WHAT a status (429=SECONDS to retry after), drop, garbage, fail, drift, slow=SECONDS or lag=SECONDS",
                "fault",
            )
        where, what = found["where"], found["what"]
        if where not in PLACES or _ONLY.get(what, where) != where:
            allowed = _ONLY.get(what, ", ".join(PLACES))
            raise InputError(f"fault {text!r}: {what} happens at {allowed}, not at {where}", "fault")
        chance = float(found["chance"] or 1)
        if not 0 <= chance <= 1:
            raise InputError(f"fault {text!r}: a chance is from 0 to 1", "fault")
        number = int(found["number"]) if found["number"] else None
        return cls(where, what, bool(found["after"]), float(found["seconds"] or 0), chance, number)


class Faults:
    """Rules, and the chances already taken."""

    def __init__(self, rules: Iterable[Fault | str] = (), seed: int = 0) -> None:
        self.rules = [Fault.parse(rule) if isinstance(rule, str) else rule for rule in rules]
        self.happened: Counter[str] = Counter()
        self._requests: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._lock = Lock()

    def draw(self, where: str) -> Fault | None:
        """What happens to the next request of this kind: the first rule that strikes."""
        with self._lock:
            self._requests[where] += 1
            for rule in self.rules:
                if rule.where not in (where, "any"):
                    continue
                if rule.number is not None and rule.number != self._requests[where]:
                    continue
                if rule.chance < 1 and self._random.random() >= rule.chance:
                    continue
                self.happened[f"{where}:{rule.what}{':after' if rule.after else ''}"] += 1
                return rule
        return None
