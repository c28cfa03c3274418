"""A lease: one holder at a time of something that several processes or hosts want, given up when its holder dies."""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from study.processes import place, runs
from study.storage import Storage

TTL_S = 60.0  # a lease that is not renewed for so long has expired
_BEATS = 4  # renewals within that time


class Lease:
    """A lease under a name in a storage.

    Each holder creates the object NAME/<number> after the last one, and keeps it new; the highest number holds. So
    only exclusive creation is asked of the storage. Where the times written there look too old, the lease is watched
    before it is taken: the clocks of two hosts need not agree.
    """

    def __init__(self, storage: Storage, name: str = "lease", ttl_s: float = TTL_S) -> None:
        self.storage, self.name, self.ttl_s = storage, name, ttl_s
        self.number: int | None = None
        self.beat = 0
        self._renewed = 0.0

    @contextmanager
    def hold(self) -> Iterator[bool]:
        """Hold the lease and renew it meanwhile; False where another one holds it, see `holder`."""
        if not self.acquire():
            yield False
            return
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew_until, args=(ended,), daemon=True)
        renewing.start()
        try:
            yield True
        finally:
            ended.set()
            renewing.join()
            self.release()

    def acquire(self) -> bool:
        """Take the lease if nobody holds it. Waits up to half of `ttl_s` to see whether a silent holder is alive."""
        number = self._last()
        if number:
            found = self._read(number)
            if _held(found, self.ttl_s):
                return False
            if not _given_up(found) and self._beats(number, found):
                return False
        mine = number + 1
        self._renewed, self.beat = _clock(), 0
        if not self.storage.create(self._object(mine), self._content()):
            return False  # another one was faster
        if self._last() != mine:
            self.storage.delete(self._object(mine))  # and its successor, too
            return False
        self.number = mine
        for name in self.storage.list(self.name):
            if _number(name) < mine:
                self.storage.delete(f"{self.name}/{name}")
        return True

    def renew(self) -> bool:
        """Say that the holder lives; False where the lease was lost to another one."""
        if self.number is None or self._last() != self.number:
            self.number = None
            return False
        before = _clock()
        self.beat += 1
        self.storage.write(self._object(self.number), self._content())
        self._renewed = before
        return True

    def release(self) -> None:
        """Give the lease up at once."""
        if self.number is not None and self._last() == self.number:
            self.storage.write(self._object(self.number), self._content(released=True))
        self.number = None

    @property
    def held(self) -> bool:
        """Whether it is still ours: neither lost nor expired."""
        return self.number is not None and _clock() - self._renewed < self.ttl_s

    @property
    def holder(self) -> str:
        """Who holds it now, in words."""
        found = self._read(self._last())
        return f"process {found.get('process', '?')} on {found.get('host', 'an unknown host')}"

    def _renew_until(self, ended: threading.Event) -> None:
        while not ended.wait(self.ttl_s / _BEATS):
            try:
                if not self.renew():
                    return
            except OSError:
                continue  # a storage that does not answer for a while; `held` ends by itself

    def _beats(self, number: int, found: dict[str, Any]) -> bool:
        """Whether the holder renews while we watch, or another one takes the lease."""
        end = _clock() + 2 * self.ttl_s / _BEATS
        while _clock() < end:
            time.sleep(self.ttl_s / _BEATS / 4)
            if self._last() != number or self._read(number) != found:
                return True
        return False

    def _last(self) -> int:
        return max(map(_number, self.storage.list(self.name)), default=0)

    def _object(self, number: int) -> str:
        return f"{self.name}/{number}"

    def _read(self, number: int) -> dict[str, Any]:
        try:
            found = json.loads(self.storage.read(self._object(number)))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _content(self, released: bool = False) -> bytes:
        return json.dumps(
            {
                "host": socket.gethostname(),
                "place": place(),
                "process": os.getpid(),
                "seen": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "beat": self.beat,
                "released": released,
            }
        ).encode()


def _held(found: dict[str, Any], ttl_s: float) -> bool:
    """Held for certain: seen not long ago, by a process that runs as far as we can know."""
    if _given_up(found):
        return False
    try:
        age = (datetime.now(UTC) - datetime.fromisoformat(found["seen"])).total_seconds()
    except (KeyError, TypeError, ValueError):
        return False
    return abs(age) < ttl_s


def _given_up(found: dict[str, Any]) -> bool:
    """Given back, damaged, or of a process of this place that does not run any more."""
    process = found.get("process")
    return found.get("released") is not False or (
        found.get("place") == place() and isinstance(process, int) and not runs(process)
    )


def _number(name: str) -> int:
    return int(name) if name.isdecimal() else 0


def _clock() -> float:
    """Seconds that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
