"""Reads the header of a safetensors file more strictly than any loader does; it does not interpret the tensors."""

import io
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

Opener = Callable[[], BinaryIO]


class SeekableFile(io.RawIOBase):
    """A file of a known size, in bytes, whose `readinto` takes the bytes at `_at` from somewhere else."""

    def __init__(self, size: int) -> None:
        self._size, self._at = size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at


MAX_HEADER_BYTES = 4 * 2**20
MAX_METADATA_BYTES = 2 * 2**20  # image trainers write the tags of every picture into it
MAX_TENSORS = 20_000
MAX_DIMENSIONS = 4
SCALARS = ("alpha", "scalar", "on_input", "constraint")  # parts of image adapters that are one number, no dimension
# The name of an AdapterFusion lists its adapters with commas, and a textual inversion is named by its word: <cat>.
NAME = re.compile(r"[A-Za-z0-9_.,<>*\-]{1,256}")
_OF_BYTES = {
    8: ("F64", "I64", "U64"),
    4: ("F32", "I32", "U32"),
    2: ("F16", "BF16", "I16", "U16"),
    1: ("F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"),
}
BYTES_PER_VALUE = {dtype: size for size, dtypes in _OF_BYTES.items() for dtype in dtypes}


class HeaderError(ValueError):
    """The file is not a safetensors file that every reader understands in the same way."""


class Pointer(HeaderError):
    """The file is what Git keeps in the place of a large file, not the file."""


class NotGathered(HeaderError):
    """A tensor has no values: each process of a training held a part, and nobody put the parts together."""


POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor: `offset` and `end` are absolute positions in the file, in bytes."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    end: int

    @property
    def values(self) -> int:
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.end - self.offset


@dataclass(frozen=True, slots=True)
class Header:
    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]

    @property
    def parameters(self) -> int:
        return sum(tensor.values for tensor in self.tensors.values())


def read(file: BinaryIO) -> Header:
    """Read and verify the header of a seekable file: 8 bytes of length, one JSON object, then tensors without a gap.

    Raises `HeaderError` with the reason. Format: https://huggingface.co/docs/safetensors; the limits are ours.
    """
    size = file.seek(0, 2)
    file.seek(0)
    if file.read(len(POINTER)) == POINTER:
        raise Pointer("it is a Git LFS pointer, and the file it points to was not pushed")
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 10:
        raise HeaderError(f"the file has {size} bytes, too few for a header")
    if length > MAX_HEADER_BYTES:
        raise HeaderError(f"the header claims {length:,} bytes; the limit is {MAX_HEADER_BYTES:,}")
    if length > size - 8:
        raise HeaderError(f"the header claims {length:,} bytes but only {size - 8:,} follow: the file is truncated")
    return _prove(_parse(file.read(length)), start=8 + length, size=size)


def read_alone(raw: bytes) -> Header:
    """Read a header without its tensors: the JSON, with or without the 8 bytes of length before it.

    Verify the same as `read`, except that the file ends where the tensors do. Raises `HeaderError`.
    """
    if raw[:1] != b"{" and int.from_bytes(raw[:8], "little") <= len(raw) - 8:
        raw = raw[8 : 8 + int.from_bytes(raw[:8], "little")]
    if len(raw) > MAX_HEADER_BYTES:
        raise HeaderError(f"the header has {len(raw):,} bytes; the limit is {MAX_HEADER_BYTES:,}")
    return _prove(_parse(raw), start=0, size=None)


def _prove(entries: dict[str, object], start: int, size: int | None) -> Header:
    metadata = _metadata(entries.pop("__metadata__", {}))
    if len(entries) > MAX_TENSORS:
        raise HeaderError(f"it has {len(entries):,} tensors; the limit is {MAX_TENSORS:,}")
    tensors = {name: _tensor(name, entry, start) for name, entry in entries.items()}
    last = max((tensor.end for tensor in tensors.values()), default=start)
    _prove_coverage(tensors, start, last if size is None else size)
    return Header(tensors, metadata)


def _parse(raw: bytes) -> dict[str, object]:
    if raw[:1] != b"{":
        raise HeaderError("the header does not begin with '{'")
    try:
        parsed = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except HeaderError:
        raise
    except (ValueError, RecursionError) as error:
        raise HeaderError(f"the header is not JSON ({error})") from error
    assert isinstance(parsed, dict)
    return parsed


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    parsed = dict(pairs)
    if len(parsed) != len(pairs):
        raise HeaderError("the header has a key twice")
    return parsed


def _no_constant(name: str) -> None:
    raise HeaderError(f"the header contains {name}")


def _metadata(entry: object) -> dict[str, str]:
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise HeaderError("__metadata__ is not an object of strings")
    if sum(len(key) + len(value) for key, value in entry.items()) > MAX_METADATA_BYTES:
        raise HeaderError(f"__metadata__ is larger than the {MAX_METADATA_BYTES:,} bytes allowed")
    return entry


def _tensor(name: str, entry: object, start: int) -> TensorInfo:
    if not NAME.fullmatch(name):
        raise HeaderError(f"{name[:80]!r} is not a tensor name (letters, digits, '_', '.', ',', '-'; at most 256)")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise HeaderError(f"{name} must have dtype, shape and data_offsets, and no other keys")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BYTES_PER_VALUE:
        raise HeaderError(f"{name} has the unknown dtype {str(dtype)[:20]!r}")
    if isinstance(shape, list) and 0 in shape and isinstance(offsets, list) and offsets[:1] == offsets[1:]:
        raise NotGathered(
            f"{name} has the shape {str(shape)[:80]} but no values: DeepSpeed's ZeRO-3 keeps a part in each process"
        )
    least = 0 if name.endswith(SCALARS) else 1
    if not _sizes(shape, least=1) or not least <= len(shape) <= MAX_DIMENSIONS:
        raise HeaderError(f"{name} needs 1 to {MAX_DIMENSIONS} dimensions, each of at least 1")
    if not _sizes(offsets, least=0) or len(offsets) != 2:
        raise HeaderError(f"{name} has offsets that are not two whole numbers")
    tensor = TensorInfo(dtype, tuple(shape), start + offsets[0], start + offsets[1])
    if tensor.end - tensor.offset != tensor.values * BYTES_PER_VALUE[dtype]:
        raise HeaderError(f"{name} is {dtype} {list(shape)} but has {tensor.end - tensor.offset:,} bytes")
    return tensor


def _sizes(value: object, least: int) -> bool:
    return isinstance(value, list) and all(type(size) is int and least <= size < 2**48 for size in value)


def _prove_coverage(tensors: dict[str, TensorInfo], start: int, size: int) -> None:
    position = start
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].offset):
        if tensor.offset != position:
            raise HeaderError(
                f"{name} begins at byte {tensor.offset:,}, not at {position:,}: tensors overlap or leave a gap"
            )
        position = tensor.end
    if position != size:
        raise HeaderError(f"the tensors end at byte {position:,} but the file at {size:,}")
