"""The colour of text and axes, which a page may turn into its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib import rc_context

INK = "#1c1e21"
_INKED: dict[Any, Any] = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    "hatch.color": INK,
}


@contextmanager
def inked() -> Iterator[None]:
    """Draw text and axes in INK."""
    with rc_context(_INKED):
        yield
