"""The exceptions for results that cannot be read."""

from collections.abc import Iterable
from difflib import get_close_matches


class ResultsError(ValueError):
    """A results folder or file cannot be analysed; the message says which, why, and the way out."""


class UnreachableError(ResultsError):
    """The place of the results does not answer: that says nothing about the results themselves."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """' (did you mean x?)' or ''."""
    near = get_close_matches(name, list(allowed), 1)
    return f" (did you mean {near[0]}?)" if near else ""


def damaged(name: object, error: Exception) -> ResultsError:
    """The error of a trial's file that cannot be read as what it is."""
    return ResultsError(f"{name}: damaged ({error}); remove its folder and run the study again")
