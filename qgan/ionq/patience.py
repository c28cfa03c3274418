"""Waiting for a service: how long for what, with back-off, and until somebody says stop."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import TypeVar

from qgan.errors import Stopped
from qgan.ionq.client import NotNow

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How long to wait for what, seconds."""

    first_poll_s: float = 5.0  # between two looks at a job; doubled up to
    longest_poll_s: float = 60.0
    settle_s: float = 60.0  # a job that was created is in the job list after so long
    give_up_s: float = 3600.0  # without any proper answer from the service
    drift_s: float = 600.0  # between two looks at the machine's calibration
    orders: int = 2  # of one point, each of uncertain fate and not in the list, before a person has to look


class Waiting:
    """Pauses that another thread can end."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self._stopped = Event()

    def __reduce__(self) -> tuple[type, tuple[Patience]]:
        return Waiting, (self.patience,)

    def stop(self) -> None:
        self._stopped.set()

    def pause(self, seconds: float) -> None:
        """Wait; raises Stopped as soon as somebody says stop."""
        if self._stopped.wait(max(seconds, 0.0)):
            raise Stopped("detached: the jobs go on at the service, and the same command goes on with them")

    def polls(self) -> Iterator[float]:
        """The pauses between looks, longer and longer."""
        seconds = self.patience.first_poll_s
        while True:
            yield seconds
            seconds = min(2 * seconds, self.patience.longest_poll_s)

    def ask(self, question: Callable[[], T]) -> T:
        """The answer to a question that costs nothing, asked until there is one."""
        started = time.monotonic()
        for seconds in self.polls():
            self.pause(0)
            try:
                return question()
            except NotNow as error:
                self.require_patience(started, error)
                self.pause(max(seconds, error.wait_s))
        raise AssertionError("polls do not end")

    def require_patience(self, started: float, error: Exception) -> None:
        """Raises Stopped where nothing has come of it since `started` (time.monotonic)."""
        if time.monotonic() - started > self.patience.give_up_s:
            raise Stopped(
                f"the service has given no proper answer for {self.patience.give_up_s / 60:.0f} minutes ({error}); "
                "what is ordered is in the journal, and the same command goes on"
            )
