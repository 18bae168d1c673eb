"""Converts a file of `torch.save` to safetensors, byte for byte; the result is a derived file.

The derived file (`twin` in the code) is a view that reads like a file and takes no memory; it can be copied to a disk.
Loaders only get derived files, never pickles.
"""

import io
import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, product
from math import prod
from typing import Any, BinaryIO, Literal

from dovetail.adapters.files import header as headers
from dovetail.adapters.files import torchfile
from dovetail.adapters.files.header import BYTES_PER_VALUE, HeaderError, Opener, SeekableFile, TensorInfo
from dovetail.adapters.files.pickle_interpreter import Refused, Tensor

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


SAFE = {  # a library's file name for a pickle → its name for the same weights in safetensors
    "adapter_model.bin": "adapter_model.safetensors",
    "pytorch_adapter.bin": "adapter.safetensors",
    "pytorch_model_head.bin": "model_head.safetensors",
    "pytorch_model_adapter_fusion.bin": "model_adapter_fusion.safetensors",
}
MAX_BYTES = 2 * 2**30
MAX_GATHERED = 256 * 2**20  # of one tensor whose values do not lie in a row
MAX_GROWTH = 64  # times the file: views of one value may be any size
MAX_TWINS = 64
BLOCK_BYTES = 8 * 2**20
# In the adapters library each layer has its own name for the one shared prefix, which is loaded by any of them.
SHARED = re.compile(r"(?:^|\.)(prefix_tunings\..+)")


def safe_path(path: str) -> str | None:
    """Return the path of a pickle's twin; None for a file that is not an adapter's weights."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{SAFE[name]}" if name in SAFE else None


class Twin:
    """The safetensors twin of one pickle. Raises `Refused` at first use if the pickle cannot be converted."""

    def __init__(self, opener: Opener, *, nested: bool = False) -> None:
        self._opener, self._nested = opener, nested
        self._last: tuple[str, bytes] = ("", b"")

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """The tensors in the order of the file: widest values first, for alignment, then by name."""
        with self._opener() as file:
            file_size, read_tensors = file.seek(0, 2), torchfile.read(file, nested=self._nested)
        distinct = without_copies(read_tensors)
        total = sum(map(size_of, distinct.values()))
        if total > min(MAX_BYTES, MAX_GROWTH * file_size):
            raise Refused(
                f"its tensors would have {total:,} bytes: more than an adapter may have, or than its file can contain"
            )
        for name, tensor in distinct.items():
            if not is_in_a_row(tensor) and max(size_of(tensor), span_of(tensor)[1]) > MAX_GATHERED:
                raise Refused(f"{name[:80]} has more than {MAX_GATHERED:,} bytes that are not contiguous")
        return dict(sorted(distinct.items(), key=lambda item: (-BYTES_PER_VALUE[item[1].storage.dtype], item[0])))

    @cached_property
    def head(self) -> bytes:
        """Length and header, the same for the same tensors."""
        entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
        at = 0
        for name, tensor in self.tensors.items():
            end = at + size_of(tensor)
            entries[name] = {"dtype": tensor.storage.dtype, "shape": tensor.shape, "data_offsets": [at, end]}
            at = end
        return framed(entries)

    def __call__(self) -> BinaryIO:
        """Open the twin."""
        return io.BufferedReader(TwinFile(self), BLOCK_BYTES >> 3)

    def part(self, name: str, file: BinaryIO, start: int, length: int) -> bytes:
        """Return `length` bytes of one tensor."""
        tensor = self.tensors[name]
        if is_in_a_row(tensor):
            file.seek(span_of(tensor)[0] + start)
            return file.read(length)
        if self._last[0] != name:  # readers take one tensor after the other, in pieces
            self._last = (name, gathered(tensor, file))
        return self._last[1][start : start + length]

    def source(self) -> BinaryIO:
        """Open the pickle itself."""
        return self._opener()


class TwinFile(SeekableFile):
    """A twin as a seekable file."""

    def __init__(self, twin: Twin) -> None:
        self._twin, self._source = twin, twin.source()
        self._names = list(twin.tensors)
        sizes = (size_of(tensor) for tensor in twin.tensors.values())
        self._ends = list(accumulate(sizes, initial=len(twin.head)))
        super().__init__(self._ends[-1])

    def close(self) -> None:
        self._source.close()
        super().close()

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self._some(len(view))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _some(self, most: int) -> bytes:
        head = self._twin.head
        if self._at < len(head):
            return head[self._at : self._at + most]
        number = bisect_right(self._ends, self._at) - 1
        if number >= len(self._names):
            return b""
        start, end = self._ends[number], self._ends[number + 1]
        return self._twin.part(self._names[number], self._source, self._at - start, min(most, end - self._at))


def framed(entries: Mapping[str, Any]) -> bytes:
    """Return a safetensors header with its length before it, padded so that the tensors begin at a multiple of 8."""
    raw = json.dumps(entries, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw


def without_copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors without duplicates of a shared prefix: the shortest name is kept, then the first."""
    distinct: dict[str, Tensor] = {}
    keys: set[tuple[str, Tensor]] = set()
    for name in sorted(tensors, key=lambda name: (len(name), name)):
        shared = SHARED.search(name)
        key = (shared[1], tensors[name]) if shared else (name, tensors[name])
        if key not in keys:
            keys.add(key)
            distinct[name] = tensors[name]
    return distinct


# --- the files of a revision -----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Joined:
    """Files, with twins of the pickles that have no safetensors file beside them.

    `made` is twin → pickle, `refused` is pickle → the reason why it has no twin.
    """

    files: Mapping[str, Opener]
    made: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


def join(files: Mapping[str, Opener]) -> Joined:
    """Add twins at the paths where a library looks for safetensors; existing files are never replaced."""
    twins: dict[str, str] = {}
    refused: dict[str, str] = {}
    joined: dict[str, Opener] = dict(files)
    for path, safe in alone(files):
        twin = Twin(files[path])
        if reason := why_not(twin):
            refused[path] = reason
        else:
            joined[safe], twins[safe] = twin, path
    return Joined(joined, twins, refused)


def alone(files: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return the pickles without a safetensors file beside them, each with the path of its twin."""
    paths = ((path, safe_path(path)) for path in sorted(files))
    return [(path, safe) for path, safe in paths if safe and safe not in files][:MAX_TWINS]


def why_not(twin: Twin) -> str:
    """Return the reason why a pickle cannot be converted, or ""."""
    try:
        if not twin.tensors:
            return "it contains no tensors"
        with twin() as file:
            headers.read(file)
    except (Refused, HeaderError) as problem:
        return str(problem)
    return ""


def differences(twin: Twin, safe: Opener) -> list[str]:
    """Return the sorted names of tensors that differ between a pickle and the safetensors file beside it.

    Raises `Refused` and `HeaderError` for files that cannot be read.
    """
    with safe() as file, twin() as twin_file:
        safe_tensors, twin_tensors = headers.read(file).tensors, headers.read(twin_file).tensors
        copies = twin_copies(twin)
        names = (safe_tensors.keys() ^ twin_tensors.keys()) - copies
        return sorted(
            names
            | {
                name
                for name in safe_tensors.keys() & twin_tensors.keys()
                if not _alike(safe_tensors[name], file, twin_tensors[name], twin_file)
            }
        )


def twin_copies(twin: Twin) -> set[str]:
    """Return the names that a pickle has and its twin leaves out."""
    with twin.source() as file:
        return torchfile.read(file).keys() - twin.tensors.keys()


def _alike(left: TensorInfo, left_file: BinaryIO, right: TensorInfo, right_file: BinaryIO) -> bool:
    if (left.dtype, left.shape) != (right.dtype, right.shape):
        return False
    return all(a == b for a, b in zip(_blocks(left, left_file), _blocks(right, right_file), strict=True))


def _blocks(tensor: TensorInfo, file: BinaryIO) -> Iterator[bytes]:
    for start in range(tensor.offset, tensor.end, BLOCK_BYTES):
        file.seek(start)
        yield file.read(min(BLOCK_BYTES, tensor.end - start))
