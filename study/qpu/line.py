"""First come, first served: a line of holders, each in it as long as it gives signs of life."""

import time
from collections.abc import Callable
from dataclasses import dataclass

TTL_S = 30.0  # a holder that was not heard of for so long has lost its place


@dataclass
class Place:
    """One place in the line."""

    run: str  # what is run; a new holder of the same run takes its place over
    holder: str
    who: str  # in words
    since: float
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
                self.places[number] = Place(run, holder, who, now, now)
                return self.places[:number]
        self.places.append(Place(run, holder, who, now, now))
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

    @property
    def first(self) -> Place | None:
        """Who has it."""
        self.expire()
        return self.places[0] if self.places else None
