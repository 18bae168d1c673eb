"""Tensors whose bytes are read or computed only while they are written, so that memory does not grow with a file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from dovetail.adapters.files import header as headers
from dovetail.adapters.files import values
from dovetail.adapters.files.header import BYTES_PER_VALUE, Header, Opener
from dovetail.adapters.formats.twins import framed
from dovetail.adapters.readers.sources import blocks_of


@dataclass(frozen=True, slots=True)
class Lazy:
    """One tensor; `blocks` yields its bytes in order, in pieces of whole values."""

    dtype: str
    shape: tuple[int, ...]
    blocks: Callable[[], Iterator[bytes]]

    @property
    def size(self) -> int:
        """The size in bytes."""
        return math.prod(self.shape) * BYTES_PER_VALUE[self.dtype]

    def raw(self) -> bytes:
        """Return all bytes of this one tensor."""
        return b"".join(self.blocks())

    def transposed(self) -> Lazy:
        """Return a matrix with its rows as columns."""
        rows, columns = self.shape
        width = BYTES_PER_VALUE[self.dtype]
        return Lazy(self.dtype, (columns, rows), lambda: iter([values.transposed(self.raw(), width, rows, columns)]))

    def with_rows(self, order: Callable[[], list[int]]) -> Lazy:
        """Return a matrix with its rows in another order."""
        width = self.size // self.shape[0]
        return Lazy(self.dtype, self.shape, lambda: iter([values.reordered(self.raw(), width, order())]))

    def halves_swapped(self) -> Lazy:
        """Return a matrix with the lower half of its rows above the upper one."""
        half = self.shape[0] // 2
        return self.with_rows(lambda: [*range(half, 2 * half), *range(half)])

    def rows(self, first: int, last: int) -> Lazy:
        """Return some rows of a matrix, or of what has any number of dimensions."""
        width = self.size // self.shape[0]
        return Lazy(
            self.dtype, (last - first, *self.shape[1:]), lambda: iter([self.raw()[first * width : last * width]])
        )

    def reshaped(self, *shape: int) -> Lazy:
        return Lazy(self.dtype, shape, self.blocks)

    def converted(
        self, dtype: str, on_overflow: Callable[[], Exception], see: Callable[[bytes, bytes], None] | None = None
    ) -> Lazy:
        """Return the values in another dtype, rounded; writing it raises `on_overflow()` for a value beyond it.

        `see` gets each piece before and after.
        """

        def blocks() -> Iterator[bytes]:
            for block in self.blocks():
                piece = values.converted(block, self.dtype, dtype)
                if block and not piece:
                    raise on_overflow()
                if see:
                    see(block, piece)
                yield piece

        return Lazy(dtype, self.shape, blocks)


Lazies = dict[str, Lazy]
PIECE_VALUES = 1 << 20


def values_of(tensor: Lazy) -> Iterator[bytes]:
    """Yield the bytes in pieces of the same number of values for every dtype."""
    step, waiting = PIECE_VALUES * BYTES_PER_VALUE[tensor.dtype], b""
    for block in tensor.blocks():
        waiting += block
        while len(waiting) >= step:
            yield waiting[:step]
            waiting = waiting[step:]
    if waiting:
        yield waiting


def scalar(value: float) -> Lazy:
    """Return one number without dimensions, as F32."""
    return Lazy("F32", (), lambda: iter([values.single(value)]))


def read(opener: Opener) -> tuple[Lazies, Header]:
    """Return the tensors of a safetensors file, and its header. Raises `HeaderError`."""
    with opener() as file:
        header = headers.read(file)
    return {
        name: Lazy(tensor.dtype, tensor.shape, lambda tensor=tensor: blocks_of(opener, tensor))  # type: ignore[misc]  # bound by a default
        for name, tensor in header.tensors.items()
    }, header


def write(tensors: Mapping[str, Lazy], target: BinaryIO, metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file, the same bytes every time: widest values first, for alignment, then by name."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt", **(metadata or {})}}
    ordered = sorted(tensors.items(), key=lambda item: (-BYTES_PER_VALUE[item[1].dtype], item[0]))
    at = 0
    for name, tensor in ordered:
        entries[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [at, at + tensor.size]}
        at += tensor.size
    target.write(framed(entries))
    for name, tensor in ordered:
        if sum(map(target.write, tensor.blocks())) != tensor.size:
            raise ValueError(f"{name} has another number of bytes than its shape")
