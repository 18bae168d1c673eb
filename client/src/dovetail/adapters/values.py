"""Looks at the raw bytes of tensors, in their own dtype and at the speed of C, with the standard library alone."""

from __future__ import annotations

import struct

# Per dtype: bytes a value has, the bits of its last byte and of the byte before that are all set in NaN and infinity.
EXPONENTS = {"F64": (8, 0x7F, 0xF0), "F32": (4, 0x7F, 0x80), "BF16": (2, 0x7F, 0x80), "F16": (2, 0x7C, 0x00)}


def has_not_finite(dtype: str, raw: bytes) -> bool:
    """Whether little-endian values of this dtype hold NaN or infinity; whole numbers never do."""
    if dtype not in EXPONENTS:
        return False
    width, high_bits, low_bits = EXPONENTS[dtype]
    high = raw[width - 1 :: width].translate(MARKS[high_bits])
    if b"\x01" not in high:
        return False
    low = raw[width - 2 :: width].translate(MARKS[low_bits])
    return int.from_bytes(high, "little") & int.from_bytes(low, "little") != 0


def is_all_zero(dtype: str, raw: bytes) -> bool:
    if dtype not in EXPONENTS:
        return raw.count(0) == len(raw)
    width = EXPONENTS[dtype][0]
    signs = raw[width - 1 :: width].count(0x80)
    return raw.count(0) == len(raw) - signs


def is_huge(dtype: str, raw: bytes) -> bool:
    """Whether a value reaches 32,768 in magnitude; F16 hardly can, and whole numbers are not looked at."""
    if dtype not in ("F32", "BF16"):
        return False
    width = EXPONENTS[dtype][0]
    return b"\x01" in raw[width - 1 :: width].translate(HUGE)


def converted(raw: bytes, held: str, wanted: str) -> bytes:
    """Floats of one dtype in another one of F32, F16 and BF16, rounded to nearest even as trainers do.

    Empty when a value is beyond F16.
    """
    return raw if held == wanted else _narrowed(_widened(raw, held), wanted)


def _widened(raw: bytes, held: str) -> bytes:
    if held == "F16":
        return _repacked(raw, "e", "f")
    if held == "F32":
        return raw
    wide = bytearray(2 * len(raw))
    wide[2::4], wide[3::4] = raw[0::2], raw[1::2]
    return bytes(wide)


def _narrowed(raw: bytes, wanted: str) -> bytes:
    if wanted == "F16":
        return _repacked(raw, "f", "e")
    return raw if wanted == "F32" else _in_bf16(raw)


def _in_bf16(raw: bytes) -> bytes:
    """All values at once, as one number: a finite one never carries into its neighbour."""
    number, ones = int.from_bytes(raw, "little"), int.from_bytes(b"\1\0\0\0" * (len(raw) // 4), "little")
    number += ones * 0x7FFF + ((number >> 16) & ones)
    wide = number.to_bytes(len(raw) + 1, "little")[: len(raw)]
    narrow = bytearray(len(raw) // 2)
    narrow[0::2], narrow[1::2] = wide[2::4], wide[3::4]
    return bytes(narrow)


def _repacked(raw: bytes, held: str, wanted: str) -> bytes:
    """A slice at a time: a float of Python takes many times its bytes."""
    width, slices = struct.calcsize(f"<{held}"), []
    try:
        for at in range(0, len(raw), SLICE * width):
            part = raw[at : at + SLICE * width]
            count = len(part) // width
            slices.append(struct.pack(f"<{count}{wanted}", *struct.unpack(f"<{count}{held}", part)))
    except OverflowError:
        return b""
    return b"".join(slices)


FLOATS = ("F32", "F16", "BF16")
SLICE = 1 << 16
MARKS = {bits: bytes(int(byte & bits == bits) for byte in range(256)) for bits in (0x7F, 0x7C, 0xF0, 0x80, 0x00)}
HUGE = bytes(int(byte & 0x7F >= 0x47) for byte in range(256))
