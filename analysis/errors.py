"""The one exception for results that cannot be read."""


class ResultsError(ValueError):
    """A results folder or file cannot be analysed; the message says which, why, and the way out."""
