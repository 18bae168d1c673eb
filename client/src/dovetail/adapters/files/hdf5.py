"""Finds the attributes of the root of an HDF5 file, where Keras keeps the config of a model, without reading the rest.

Format: "HDF5 File Format Specification Version 3.0", sections II (superblock), III.E (global heap), IV.A (headers).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_BLOCKS, MAX_BLOCK = 64, 1 << 18  # of a header, and the bytes of one
MAX_MESSAGES = 1 << 16
MAX_HEAPS, MAX_HEAP = 16, 1 << 24
SHORT = 96  # bytes of a superblock; what is missing of them at the end of a file counts as zeros
WIDTH = 8  # bytes of an address, as every library writes them by default
ATTRIBUTE, CONTINUATION, ATTRIBUTES_APART = 0x0C, 0x10, 0x15
SHARED, VARIABLE = 0x02, 9  # a flag of a message, and the class of a datatype


class ElsewhereError(ValueError):
    """The attributes are kept in a way that is not read here."""


@dataclass(frozen=True, slots=True)
class _Message:
    kind: int
    flags: int
    data: bytes


def attributes(file: BinaryIO) -> Iterator[bytes]:
    """Yield the pieces of a file that hold attributes of its root: header blocks, and heaps of texts.

    Raises ElsewhereError, also for a file that no library would open.
    """
    address = _root(file)
    heaps: set[int] = set()
    count = 0
    for piece, messages in _blocks(file, address):
        yield piece
        if (count := count + len(messages)) > MAX_MESSAGES:
            raise ElsewhereError("many messages")
        for message in messages:
            if message.kind == ATTRIBUTES_APART and len(message.data) >= WIDTH and not _is_undefined(message.data):
                raise ElsewhereError("many attributes")
            if message.kind == ATTRIBUTE:
                if message.flags & SHARED or _has_shared_parts(message.data):
                    raise ElsewhereError("a shared attribute")
                heaps.update(_heaps_of(message.data))
    if len(heaps) > MAX_HEAPS:
        raise ElsewhereError("many texts")
    for heap in sorted(heaps):
        start = _read(file, heap, 16)
        if start[:4] != b"GCOL":
            raise ElsewhereError("no heap")
        if (size := _number(start[8:16])) > MAX_HEAP:
            raise ElsewhereError("a large heap")
        yield _read(file, heap, size)


def _root(file: BinaryIO) -> int:
    """Return the address of the header of the root."""
    block = _read(file, 0, SHORT)
    version = block[8]
    widths = block[13:15] if version < 2 else block[9:11]
    if version > 3 or widths != bytes((WIDTH, WIDTH)):
        raise ElsewhereError("another superblock")
    start = (64, 68, 36, 36)[version]
    return _number(block[start : start + WIDTH])


def _blocks(file: BinaryIO, address: int) -> Iterator[tuple[bytes, list[_Message]]]:
    """Yield each block of a header with its messages."""
    start = _read(file, address, 64)
    is_new = start[:4] == b"OHDR"
    if is_new:
        flags = start[5]
        begin = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        waiting = [(address + begin + width, _number(start[begin : begin + width]))]
        head = 6 if flags & 0x04 else 4
    elif start[0] == 1:
        waiting, head = [(address + 16, _number(start[8:12]))], 8
    else:
        raise ElsewhereError("no header")
    for _ in range(MAX_BLOCKS):
        if not waiting:
            return
        place, size = waiting.pop()
        if size > MAX_BLOCK:
            raise ElsewhereError("a large header")
        piece = _read(file, place, size)
        messages = list(_messages(piece, head, is_new=is_new))
        for message in messages:
            if message.kind == CONTINUATION:
                place, size = _number(message.data[:WIDTH]), _number(message.data[WIDTH : 2 * WIDTH])
                # A block of a new header begins with a signature and ends with a checksum.
                waiting.append((place + 4, max(0, size - 8)) if is_new else (place, size))
        yield piece, messages
    raise ElsewhereError("a long header")


def _messages(piece: bytes, head: int, *, is_new: bool) -> Iterator[_Message]:
    at = 0
    while at + head <= len(piece):
        kind = piece[at] if is_new else _number(piece[at : at + 2])
        size = _number(piece[at + 1 : at + 3] if is_new else piece[at + 2 : at + 4])
        yield _Message(kind, piece[at + 3] if is_new else piece[at + 4], piece[at + head : at + head + size])
        at += head + size


def _has_shared_parts(attribute: bytes) -> bool:
    """Return whether the type of an attribute lies elsewhere, so that nothing here tells if its text does too."""
    return attribute[:1] in (b"\x02", b"\x03") and bool(attribute[1] & 3)


def _heaps_of(attribute: bytes) -> Iterator[int]:
    """Yield the addresses of the heaps in which the texts of an attribute lie, if their length is not fixed."""
    version = attribute[0] if attribute else 0
    if version > 1 and (version > 3 or attribute[1:2] != b"\0"):  # no type is here that would tell of a heap
        raise ElsewhereError("a shared type")
    sizes = [_number(attribute[at : at + 2]) for at in (2, 4, 6)]
    if version == 1:
        sizes = [-(-size // 8) * 8 for size in sizes]
    datatype = (9 if version == 3 else 8) + sizes[0]
    if attribute[datatype : datatype + 1] and attribute[datatype] & 0x0F == VARIABLE:
        values = attribute[datatype + sizes[1] + sizes[2] :]
        for at in range(0, len(values) - 15, 16):
            yield _number(values[at + 4 : at + 12])


def _is_undefined(data: bytes) -> bool:
    """Return whether a message of attributes that lie apart names no place for them."""
    start = 2 + (2 if data[1] & 1 else 0)
    return data[start : start + WIDTH] == b"\xff" * WIDTH


def _read(file: BinaryIO, place: int, size: int) -> bytes:
    if place >= file.seek(0, 2):
        raise ElsewhereError("nothing is there")
    file.seek(place)
    return file.read(size).ljust(min(size, SHORT), b"\0")


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
