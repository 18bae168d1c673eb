"""Reads the facts of a GGUF file, and the names, shapes and offsets of its tensors; it does not interpret them."""

import math
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from dovetail.adapters.files.header import TensorInfo

MAGIC = b"GGUF"
MAX_FACTS = 512
MAX_TENSORS = 20_000
MAX_TEXT = 4096  # bytes of a name, or of a text in a list
MAX_VALUE = 2**20  # bytes of a text that is a fact, such as a chat template, of which the first KEPT are kept
KEPT = 2**16
MAX_LIST_BYTES = 64 * 2**20  # the facts may contain a vocabulary
TEXT, LIST = 8, 9
WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of a value, by its type
NUMBERS = {4: "<I", 5: "<i", 6: "<f", 10: "<Q", 11: "<q", 12: "<d"}
DTYPES = {0: "F32", 1: "F16", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 30: "BF16"}  # ggml.h, ggml_type
BYTES = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I8": 1, "I16": 2, "I32": 4, "I64": 8}
ALIGNMENT = 32


class GgufError(ValueError):
    """The file is not GGUF, or its header cannot be read to the end."""


@dataclass(slots=True)
class Gguf:
    """`texts` and `numbers` are facts by key; `tensors` have shapes in torch's order of dimensions.

    `packed` are the names of quantised tensors, whose values are not read.
    """

    texts: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    tensors: dict[str, TensorInfo] = field(default_factory=dict)
    packed: list[str] = field(default_factory=list)


def read(file: BinaryIO, *, lists: bool = False) -> dict[str, str]:
    """Return the texts among the facts, up to the first fault, or list without `lists`; {} if it is not GGUF."""
    facts = Gguf()
    with suppress(GgufError, struct.error):  # keep the facts that were read so far
        _facts(file, facts, lists=lists)
    return facts.texts


def read_whole(file: BinaryIO) -> Gguf:
    """Return facts and tensors. Raises `GgufError`.

    Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
    """
    facts = Gguf()
    try:
        count = _facts(file, facts)
        if count > MAX_TENSORS:
            raise GgufError(f"it has {count:,} tensors; the limit is {MAX_TENSORS:,}")
        entries = [_entry(file) for _ in range(count)]
    except struct.error as problem:
        raise GgufError("it ends inside its header") from problem
    alignment = int(facts.numbers.get("general.alignment", ALIGNMENT))
    if not 1 <= alignment <= 1 << 16:
        raise GgufError(f"an alignment of {alignment:,} bytes")
    start = -(-file.tell() // alignment) * alignment
    _place(file, facts, entries, start)
    return facts


def _facts(file: BinaryIO, facts: Gguf, *, lists: bool = True) -> int:
    """Read the facts into `facts` and return the number of tensors."""
    start = file.read(24)
    if start[:4] != MAGIC or len(start) < 24:
        raise GgufError("it does not begin with the GGUF magic")
    tensors, count = struct.unpack("<QQ", start[8:24])
    if count > MAX_FACTS:
        raise GgufError(f"it has {count:,} metadata entries; the limit is {MAX_FACTS:,}")
    for _ in range(count):
        key, (kind,) = _text(file), struct.unpack("<I", file.read(4))
        if kind == TEXT:
            facts.texts[key] = _text(file, MAX_VALUE)[:KEPT]
        elif kind in NUMBERS:
            facts.numbers[key] = float(struct.unpack(NUMBERS[kind], file.read(WIDTHS[kind]))[0])
        elif kind == LIST and not lists:
            raise GgufError("a list, which may be long")
        else:
            _skip(file, kind)
    return int(tensors)


def _skip(file: BinaryIO, kind: int) -> None:
    if kind in WIDTHS:
        file.seek(WIDTHS[kind], 1)
        return
    if kind != LIST:
        raise GgufError(f"a metadata entry of the unknown type {kind}")
    inner, count = struct.unpack("<IQ", file.read(12))
    if inner in WIDTHS and count * WIDTHS[inner] <= MAX_LIST_BYTES:
        file.seek(count * WIDTHS[inner], 1)
    elif inner == TEXT and count <= MAX_LIST_BYTES // 8:
        for _ in range(count):
            _text(file)
    else:
        raise GgufError(f"a list of {count:,} values of type {inner}")


def _entry(file: BinaryIO) -> tuple[str, tuple[int, ...], int, int]:
    name, (dimensions,) = _text(file), struct.unpack("<I", file.read(4))
    if not 1 <= dimensions <= 4:
        raise GgufError(f"{name[:80]} has {dimensions:,} dimensions")
    shape = struct.unpack(f"<{dimensions}Q", file.read(8 * dimensions))
    kind, offset = struct.unpack("<IQ", file.read(12))
    if not all(1 <= size < 2**48 for size in shape):
        raise GgufError(f"{name[:80]} has the shape {shape}")
    return name, tuple(reversed(shape)), kind, offset


def _place(file: BinaryIO, facts: Gguf, entries: list[tuple[str, tuple[int, ...], int, int]], start: int) -> None:
    size = file.seek(0, 2)
    for name, shape, kind, offset in entries:
        dtype = DTYPES.get(kind, "")
        at = start + offset
        end = at + math.prod(shape) * BYTES[dtype] if dtype else at
        if name in facts.tensors or end > size or at > size:
            raise GgufError(f"{name[:80]} is there twice, or ends at byte {end:,} of {size:,}")
        facts.tensors[name] = TensorInfo(dtype or "PACKED", shape, at, end)
        if not dtype:
            facts.packed.append(name)


def _text(file: BinaryIO, most: int = MAX_TEXT) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > most:
        raise GgufError(f"a string of {length:,} bytes")
    raw = file.read(length)
    if len(raw) < length:
        raise GgufError("it ends inside a string")
    return raw.decode("utf-8", "replace")
