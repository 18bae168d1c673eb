"""Gathers the values of a tensor that is a strided view of a storage into contiguous bytes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import BinaryIO, Literal

from dovetail.adapters.files.header import BYTES_PER_VALUE
from dovetail.adapters.files.pickle_interpreter import Tensor

CODES: dict[int, Literal["B", "H", "I", "Q"]] = {1: "B", 2: "H", 4: "I", 8: "Q"}


def size_of(tensor: Tensor) -> int:
    """Return the size in bytes of a tensor's contiguous values."""
    return prod(tensor.shape) * BYTES_PER_VALUE[tensor.storage.dtype]


def span_of(tensor: Tensor) -> tuple[int, int]:
    """Return the offset of the first byte that a tensor needs, and the number of bytes up to the last."""
    width = BYTES_PER_VALUE[tensor.storage.dtype]
    last = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride, strict=True))
    return tensor.storage.start + tensor.offset * width, (last + 1) * width if 0 not in tensor.shape else 0


def is_in_a_row(tensor: Tensor) -> bool:
    contiguous = 1
    for size, step in zip(reversed(tensor.shape), reversed(tensor.stride), strict=True):
        if size != 1 and step != contiguous:
            return 0 in tensor.shape
        contiguous *= size
    return True


def gathered(tensor: Tensor, file: BinaryIO) -> bytes:
    """Return the bytes of a tensor as if it were contiguous."""
    start, length = span_of(tensor)
    file.seek(start)
    width = BYTES_PER_VALUE[tensor.storage.dtype]
    values = memoryview(file.read(length)).cast(CODES[width])
    return b"".join(_runs(tensor, values))


def _runs(tensor: Tensor, values: memoryview) -> Iterator[bytes]:
    outer = [(size, step) for size, step in zip(tensor.shape, tensor.stride, strict=True) if size != 1]
    run = 1
    while outer and outer[-1][1] == run:
        run *= outer.pop()[0]
    size, step = outer.pop() if run == 1 and outer else (run, 1)
    for places in product(*([at * stride for at in range(count)] for count, stride in outer)):
        at = sum(places)
        yield values[at : at + (size - 1) * step + 1 : step].tobytes() if step else values[at : at + 1].tobytes() * size
