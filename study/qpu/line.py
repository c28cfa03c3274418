"""First come, first served: a line of holders, each in it as long as it gives signs of life."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qgan.files import whole_file

TTL_S = 30.0  # a holder that was not heard of for so long has lost its place


@dataclass
class Place:
    """One place in the line."""

    run: str  # what is run; a new holder of the same run takes its place over
    holder: str
    who: str  # in words
    heard: float


class Line:
    """Holders of one thing, the first of whom has it."""

    def __init__(self, ttl_s: float = TTL_S, clock: Callable[[], float] = time.monotonic) -> None:
        self.ttl_s = ttl_s
        self.clock = clock
        self.places: list[Place] = []
        self.replaced: set[str] = set()  # holders whose run another one has taken over

    def ask(self, run: str, holder: str, who: str) -> list[Place]:
        """Join the line, or say that one still wants the thing; who is in front: nobody has it but the first."""
        self.expire()
        now = self.clock()
        for number, place in enumerate(self.places):
            if place.holder == holder:
                place.heard = now
                return self.places[:number]
            if place.run == run:
                self.replaced.add(place.holder)
                self.places[number] = Place(run, holder, who, now)
                return self.places[:number]
        self.places.append(Place(run, holder, who, now))
        return self.places[:-1]

    def beat(self, holder: str) -> bool:
        """A sign of life; whether the holder has a place."""
        for place in self.places:
            if place.holder == holder:
                place.heard = self.clock()
                return True
        return False

    def leave(self, holder: str) -> None:
        """Give the place up."""
        self.places = [place for place in self.places if place.holder != holder]

    def expire(self) -> None:
        """Forget who was silent for too long."""
        now = self.clock()
        self.places = [place for place in self.places if now - place.heard < self.ttl_s]

    def keep(self, path: Path) -> None:
        """Write the line down where it has changed since."""
        text = json.dumps([[place.run, place.holder, place.who] for place in self.places]) + "\n"
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as temporary:
                temporary.write_text(text)

    def recall(self, path: Path) -> None:
        """The line that was written down; its holders count as just heard of. One that cannot be read is empty."""
        now = self.clock()
        try:
            self.places = [Place(run, holder, who, now) for run, holder, who in json.loads(path.read_text())]
        except (OSError, ValueError, TypeError):
            self.places = []

    @property
    def first(self) -> Place | None:
        """Who has it."""
        self.expire()
        return self.places[0] if self.places else None
