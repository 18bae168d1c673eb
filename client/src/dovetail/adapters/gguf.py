"""Reads the first facts of a GGUF file, as far as they tell an adapter from a model; tensors are not looked at."""

from __future__ import annotations

import struct
from typing import BinaryIO

MAGIC = b"GGUF"
MAX_FACTS = 64
MAX_TEXT = 4096
TEXT, LIST = 8, 9
WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of a value, by its type


def read(file: BinaryIO) -> dict[str, str]:
    """The texts among the first facts, by key; empty for what is no GGUF. What comes after a list is not read.

    Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
    """
    start = file.read(24)
    if start[:4] != MAGIC or len(start) < 24:
        return {}
    found: dict[str, str] = {}
    try:
        for _ in range(min(MAX_FACTS, struct.unpack("<Q", start[16:24])[0])):
            key, (kind,) = _text(file), struct.unpack("<I", file.read(4))
            if kind == TEXT:
                found[key] = _text(file)
            elif kind in WIDTHS:
                file.read(WIDTHS[kind])
            else:
                break
    except (struct.error, ValueError):
        pass  # what was read so far is all that is known
    return found


def _text(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > MAX_TEXT:
        raise ValueError(f"a text of {length:,} bytes")
    return file.read(length).decode("utf-8", "replace")
