"""First come, first served: a line of holders, each in it as long as it gives signs of life."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qgan.files import whole_file

TTL_S = 30.0  # a holder that was not heard of for so long has lost its place


@dataclass
class Turn:
    """One holder's turn."""

    run: str  # what is run; a new holder of the same run takes its place over
    holder: str
    who: str  # in words
    heard: float


class Line:
    """Holders of one thing, the first of whom has it."""

    def __init__(self, ttl_s: float = TTL_S, clock: Callable[[], float] = time.monotonic) -> None:
        self.ttl_s = ttl_s
        self.clock = clock
        self.turns: list[Turn] = []
        self.replaced: set[str] = set()  # holders whose run another one has taken over

    def ask(self, run: str, holder: str, who: str) -> list[Turn]:
        """Join the line, or say that one still wants the thing; who is in front: nobody has it but the first."""
        self.expire()
        now = self.clock()
        for number, turn in enumerate(self.turns):
            if turn.holder == holder:
                turn.heard = now
                return self.turns[:number]
            if turn.run == run:
                self.replaced.add(turn.holder)
                self.turns[number] = Turn(run, holder, who, now)
                return self.turns[:number]
        self.turns.append(Turn(run, holder, who, now))
        return self.turns[:-1]

    def beat(self, holder: str) -> bool:
        """A sign of life; whether the holder has a turn."""
        for turn in self.turns:
            if turn.holder == holder:
                turn.heard = self.clock()
                return True
        return False

    def leave(self, holder: str) -> None:
        """Give the place up."""
        self.turns = [turn for turn in self.turns if turn.holder != holder]

    def expire(self) -> None:
        """Forget who was silent for too long."""
        now = self.clock()
        self.turns = [turn for turn in self.turns if now - turn.heard < self.ttl_s]

    def keep(self, path: Path) -> None:
        """Write the line down where it has changed since."""
        text = json.dumps([[turn.run, turn.holder, turn.who] for turn in self.turns]) + "\n"
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as temporary:
                temporary.write_text(text)

    def recall(self, path: Path) -> None:
        """The line that was written down; its holders count as just heard of. One that cannot be read is empty."""
        now = self.clock()
        try:
            self.turns = [Turn(run, holder, who, now) for run, holder, who in json.loads(path.read_text())]
        except (OSError, ValueError, TypeError):
            self.turns = []

    @property
    def first(self) -> Turn | None:
        """Who has it."""
        self.expire()
        return self.turns[0] if self.turns else None
