"""Unpacks the beginning of a compressed file, in bounded memory."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from typing import BinaryIO

from dovetail.adapters.torchfile import BROKEN

MAX_LZMA_MEMORY = 2**28


def is_compressed(start: bytes) -> bool:
    """Return whether a file that begins like this is compressed."""
    return start.startswith(tuple(COMPRESSED))


def unpacked(file: BinaryIO, start: bytes, size: int) -> bytes:
    """Return the first bytes of what is in a compressed file, b"" if it cannot be unpacked."""
    unpack = next(unpack for magic, unpack in COMPRESSED.items() if start.startswith(magic))
    file.seek(0)
    try:
        content = unpack(file, size)
    except (*BROKEN, lzma.LZMAError):
        content = b""
    file.seek(0)
    return content


def _gunzipped(file: BinaryIO, size: int) -> bytes:
    with gzip.open(file) as stream:
        return stream.read(size)


def _bunzipped(file: BinaryIO, size: int) -> bytes:
    with bz2.open(file) as stream:
        return stream.read(size)


def _inflated(file: BinaryIO, size: int) -> bytes:
    return zlib.decompressobj().decompress(file.read(size), size)


def _unlzmaed(file: BinaryIO, size: int) -> bytes:
    """Return the first bytes of one stream or several; a stream may claim a dictionary of gigabytes."""
    packed, content = file.read(size), b""
    while packed and len(content) < size:
        stream = lzma.LZMADecompressor(memlimit=MAX_LZMA_MEMORY)
        content += stream.decompress(packed, size - len(content))
        packed = stream.unused_data
    return content


Unpack = Callable[[BinaryIO, int], bytes]
COMPRESSED: dict[bytes, Unpack] = {  # what joblib, and readers of archives, unpack, by the first bytes
    b"\x1f\x8b": _gunzipped, b"BZh": _bunzipped, b"\xfd7zXZ\x00": _unlzmaed, b"]\x00\x00": _unlzmaed,
    b"x\x01": _inflated, b"x^": _inflated, b"x\x9c": _inflated, b"x\xda": _inflated,
}  # fmt: skip
