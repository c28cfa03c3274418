"""Work on large arrays strip by strip: what is intermediate stays in the processor's cache, and strips run in threads.

numpy lets go of the interpreter inside its loops, so threads help; every element is computed alone, so the result does
not depend on them.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from numpy.typing import NDArray

_ELEMENTS = 1 << 15  # of a strip, 256 kB of float64 each; shorter ones make threads wait for the interpreter


def in_strips(function: Callable[..., NDArray[Any]], result: NDArray[Any], *arrays: NDArray[Any]) -> NDArray[Any]:
    """Fill `result` (rows, ...) with `function(*arrays)`, which works row by row on arrays (rows, ...)."""
    rows = len(result)
    each = max(1, _ELEMENTS * rows // max(result.size, 1))

    def fill(start: int) -> None:
        strip = slice(start, start + each)
        result[strip] = function(*(array[strip] for array in arrays))

    starts = range(0, rows, each)
    if len(starts) < 4:
        for start in starts:
            fill(start)
    else:
        list(_threads().map(fill, starts))
    return result


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
