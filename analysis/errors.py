"""The exceptions for results that cannot be read."""


class ResultsError(ValueError):
    """A results folder or file cannot be analysed; the message says which, why, and the way out."""


class UnreachableError(ResultsError):
    """The place of the results does not answer: that says nothing about the results themselves."""
