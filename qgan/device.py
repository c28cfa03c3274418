"""What the machine is told and asked: arithmetic, memory, graphs of kernels."""

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from qgan.errors import OutOfMemory
from qgan.settings import Precision

_WARM_UP = 3  # calls before a graph is captured: libraries choose and load their kernels in them


@contextmanager
def arithmetic(precision: Precision, device: torch.device) -> Iterator[None]:
    """Products of matrices and convolutions inside run in this precision; weights stay float32."""
    before = torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision  # type: ignore[attr-defined]
    fp32 = "ieee" if precision == "float32" else "tf32"
    _set_fp32(fp32, fp32)
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            yield
    finally:
        _set_fp32(*before)


def _set_fp32(matmul: str, convolution: str) -> None:
    torch.backends.cuda.matmul.fp32_precision = matmul
    torch.backends.cudnn.conv.fp32_precision = convolution  # type: ignore[attr-defined]


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees: the next step takes it again without the system's help.

    By default glibc returns every large block, and a step of training then spends a third of its time on page faults.
    Elsewhere than on Linux nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        trim_threshold, top_pad, mmap_max = -1, -2, -4  # <malloc.h>
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(top_pad, 64 * 2**20)


@contextmanager
def memory_for(what: str, lower: str) -> Iterator[None]:
    """Turn a failed allocation inside into one sentence: while doing what, and which settings to lower."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_allocation(error):
            raise
        raise OutOfMemory(f"out of memory while {what}; lower {lower}") from error


def _is_allocation(error: Exception) -> bool:
    # on a CPU torch raises a bare RuntimeError, and oneDNN says no more than that it could not
    told = ("can't allocate memory", "could not create a primitive")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(each in str(error) for each in told)


class Graphed:
    """A function of tensors that, on a GPU, is captured once and then replayed as one graph of kernels.

    The function must do all its work on the device, on inputs of the same shapes every time; it may change tensors
    that it holds. The first calls run as usual. On a CPU every call does.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self.function = function
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.inputs: tuple[Tensor, ...] = ()
        self.output: Any = None

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The function's result; after the capture it is overwritten by the next call."""
        if inputs[0].device.type != "cuda":
            return self.function(*inputs)
        self.calls += 1
        if self.calls <= _WARM_UP:
            return self._aside(inputs)
        if self.graph is None:
            self.inputs = tuple(each.clone() for each in inputs)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):  # records, runs nothing
                self.output = self.function(*self.inputs)
        for held, given in zip(self.inputs, inputs, strict=True):
            held.copy_(given)
        self.graph.replay()
        return self.output  # type: ignore[no-any-return]

    def _aside(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """One call on another stream, as a capture asks of the calls before it."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            output = self.function(*inputs)
        torch.cuda.current_stream().wait_stream(stream)
        output.record_stream(torch.cuda.current_stream())
        return output
