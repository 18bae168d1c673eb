"""Looks at the raw bytes of tensors, in their own dtype and at the speed of C, with the standard library alone."""

from __future__ import annotations

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


MARKS = {bits: bytes(int(byte & bits == bits) for byte in range(256)) for bits in (0x7F, 0x7C, 0xF0, 0x80, 0x00)}
HUGE = bytes(int(byte & 0x7F >= 0x47) for byte in range(256))
