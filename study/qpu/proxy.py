"""The actor as a training process sees it: what `IonqSampler` needs, whatever is killed meanwhile."""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from study.qpu.line import TTL_S
from study.qpu.run import Run

_ASK_AGAIN_S = (0.1, 5.0)  # between two questions whether it is our turn: first, and at most


class Proxy:
    """The jobs of a run, in another process. Asks for the machine when it is first needed, and keeps it till `leave`.

    Can be pickled; a copy is a holder of its own.
    """

    def __init__(self, run: Run, say: Callable[[str], None] | None = None) -> None:
        self.run = run
        self.say = say
        self.holder: str | None = None
        self._ended = threading.Event()

    def __reduce__(self) -> tuple[type, tuple[Run]]:
        return Proxy, (self.run,)

    def measure(self, call: int, theta: list[list[float]], shots: int) -> list[list[int]]:
        """See `PaidJobs.measure`; waits for the machine."""
        return self._call("measure", call, theta, shots)  # type: ignore[no-any-return]

    def remember(self, call: int, losses: list[float]) -> list[float]:
        """See `PaidJobs.remember`."""
        return self._call("remember", call, losses)  # type: ignore[no-any-return]

    def begin_cycle(self, number: int) -> None:
        """See `PaidJobs.begin_cycle`."""
        self._call("begin_cycle", number)

    def leave(self) -> None:
        """Give the machine to the next one; what is asked later waits in line again."""
        if self.holder is not None:
            self._ended.set()
            holder, self.holder = self.holder, None
            self._ask(lambda actor: actor.leave.remote(holder))

    def _call(self, method: str, *arguments: Any) -> Any:
        from study.qpu.actor import NotYours

        while True:
            self._take_turn()
            try:
                return self._ask(lambda actor: getattr(actor, method).remote(self.holder, *arguments))
            except NotYours:
                self._forget()

    def _take_turn(self) -> None:
        """Return as the holder of the machine, once it is our turn."""
        if self.holder is None:
            holder, told, seconds = uuid.uuid4().hex, None, _ASK_AGAIN_S[0]
            who = f"{self.run.name} (process {os.getpid()} on {socket.gethostname()})"
            while (wait := self._ask(lambda actor: actor.ask.remote(self.run, holder, who))) is not None:
                if self.say is not None and wait != told:
                    self.say(told := wait)
                time.sleep(seconds)
                seconds = min(2 * seconds, _ASK_AGAIN_S[1])
            self.holder, self._ended = holder, threading.Event()
            threading.Thread(target=self._beat, args=(holder, self._ended), daemon=True).start()

    def _forget(self) -> None:
        self._ended.set()
        self.holder = None

    def _ask(self, question: Callable[[Any], Any]) -> Any:
        """The actor's answer; one that was killed is asked again once it is there again."""
        import ray

        from study.qpu.actor import DIED, actor

        while True:
            try:
                return ray.get(question(actor()))
            except ray.exceptions.RayTaskError as error:
                cause = error.cause
                raise cause if isinstance(cause, Exception) else error from None
            except DIED:
                time.sleep(0.2)

    def _beat(self, holder: str, ended: threading.Event) -> None:
        while not ended.wait(TTL_S / 4):
            self._ask(lambda actor: actor.beat.remote(holder))
