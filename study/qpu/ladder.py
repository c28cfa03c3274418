"""The paper's ladder in one word: noiseless simulation, noisy simulation, rehearsal, hardware."""

import re
from dataclasses import dataclass

from qgan.errors import InputError, nearest
from qgan.prior_settings import BACKENDS

REHEARSED = "aria-2"  # the paper's machine
_MACHINE = r"[a-z0-9]+([.-][a-z0-9]+)*"  # as IonQ names them
_MEASURED = re.compile(rf"rehearsal(:{_MACHINE})?|qpu\.{_MACHINE}")


@dataclass(frozen=True)
class Rung:
    """Where the circuits of the final trial run."""

    word: str  # exact | exact:aria-2 | aer:aria-2 | ... | rehearsal | rehearsal:forte-1 | qpu.forte-1 | ...

    def __post_init__(self) -> None:
        if not (self.word in BACKENDS or _MEASURED.fullmatch(self.word)):
            hint = nearest(self.word, [*BACKENDS, "rehearsal", "qpu.forte-1"])
            allowed = f"rehearsal, rehearsal:NAME, qpu.NAME, or one of {', '.join(BACKENDS)}"
            raise InputError(f"must be {allowed}, not {self.word!r}{hint}", "backend")

    @property
    def simulated(self) -> bool:
        """Whether the trial's own process simulates the circuits: no machine, no jobs."""
        return self.word in BACKENDS

    @property
    def rehearsed(self) -> bool:
        """Whether a server here stands in for the machine: nothing is paid."""
        return self.word.startswith("rehearsal")

    @property
    def machine(self) -> str:
        """The machine's name at IonQ."""
        if self.rehearsed:
            return f"qpu.{self.word.partition(':')[2] or REHEARSED}"
        return self.word
