"""What can go wrong: input that cannot be used, and numbers that run away."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Something the user gave cannot be used; the message says what, where, what is allowed and the way out.

    `key` names the setting at fault, so that a study file's line can be found.
    """

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class Diverged(RuntimeError):
    """A loss, gradient or parameter is no longer finite; the message says which and the way out."""


class OutOfMemory(RuntimeError):
    """An allocation failed; the message says while doing what, and which settings to lower."""


class Stopped(RuntimeError):
    """A run must not go on without a person; the message says why, and how it goes on. Nothing paid for is lost."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """' (did you mean `x`?)' or ''."""
    close = get_close_matches(name, list(allowed), n=1)
    return f" (did you mean `{close[0]}`?)" if close else ""
