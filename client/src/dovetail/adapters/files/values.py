"""Examines the raw little-endian values of tensors with numpy, a block at a time.

The first call imports numpy: that takes longer than importing the rest of this library, and describing an adapter or
reading its header needs no values.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

FLOATS = ("F32", "F16", "BF16")
# Per dtype: the bytes of a value, and the bits that are all set in NaN and infinity alone: those of the exponent. In
# E4M3, which has no infinity, that exponent is a number's too, up to 448; NaN has every bit but the sign set.
EXPONENTS = {
    "F64": (8, 0x7FF0_0000_0000_0000),
    "F32": (4, 0x7F80_0000),
    "F16": (2, 0x7C00),
    "BF16": (2, 0x7F80),
    "F8_E4M3": (1, 0x7F),
    "F8_E5M2": (1, 0x7C),
}
HUGE = {"F32": 0x4700_0000, "BF16": 0x4700}  # the bits of 32,768


def _bits(raw: bytes, width: int) -> Any:
    """Return values as unsigned whole numbers of the same bits, without a copy."""
    import numpy as np  # noqa: PLC0415 - see above

    return np.frombuffer(raw, f"<u{width}")


def has_not_finite(dtype: str, raw: bytes) -> bool:
    """Return whether values of this dtype hold NaN or infinity; whole numbers never do."""
    if dtype not in EXPONENTS:
        return False
    width, exponent = EXPONENTS[dtype]
    bits = _bits(raw, width)
    return bool(((bits & exponent) == exponent).any())


def is_all_zero(dtype: str, raw: bytes) -> bool:
    """Return whether all values are zero, with either sign."""
    if dtype not in EXPONENTS:
        return not _bits(raw, 1).any()
    return not (_bits(raw, EXPONENTS[dtype][0]) << 1).any()  # without the sign


def is_huge(dtype: str, raw: bytes) -> bool:
    """Return whether a value reaches 32,768 in magnitude; F16 hardly can, and whole numbers are not looked at."""
    if dtype not in HUGE:
        return False
    width, _ = EXPONENTS[dtype]
    magnitudes = _bits(raw, width) & ((1 << (8 * width - 1)) - 1)
    return bool((magnitudes >= HUGE[dtype]).any())


def converted(raw: bytes, dtype: str, target: str) -> bytes:
    """Return floats of one dtype in another one of F32, F16 and BF16, rounded to nearest even as trainers do.

    Empty when a value is beyond F16.
    """
    import numpy as np  # noqa: PLC0415 - see above

    if dtype == target:
        return raw
    wide = (_bits(raw, 2).astype("<u4") << 16).view("<f4") if dtype == "BF16" else np.frombuffer(raw, _FORMATS[dtype])
    if target != "BF16":
        with np.errstate(over="ignore"):
            narrow = wide.astype(_FORMATS[target])
        return b"" if np.isinf(narrow).any() and np.isfinite(wide).all() else bytes(narrow.tobytes())
    bits = wide.astype("<f4").view("<u4")
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16  # a finite value never carries out of its 32 bits
    return bytes(rounded.astype("<u2").tobytes())


def widened(raw: bytes, dtype: str) -> Any:
    """Return floats of up to 32 bits as an array of 32-bit floats; each value is kept exactly."""
    import numpy as np  # noqa: PLC0415 - see above

    if dtype in ("F8_E4M3", "F8_E5M2"):
        return _of_eight_bits(dtype)[_bits(raw, 1)]
    if dtype == "BF16":
        return (_bits(raw, 2).astype("<u4") << 16).view("<f4")
    return np.frombuffer(raw, _FORMATS[dtype]).astype("<f4", copy=False)


@lru_cache
def _of_eight_bits(dtype: str) -> Any:
    """Return the 256 values of a dtype of 8 bits as 32-bit floats, in the order of their bits.

    Source: Micikevicius et al., "FP8 formats for deep learning", 2022, table 1.
    """
    import numpy as np  # noqa: PLC0415 - see above

    bits = np.arange(256, dtype="<u2")
    if dtype == "F8_E5M2":  # the upper half of F16
        return (bits << 8).view("<f2").astype("<f4")
    finite = ((bits & 0x80) << 8 | (bits & 0x7F) << 7).view("<f2").astype("<f4") * 256  # F16's exponent has 8 more
    return np.where(bits & 0x7F == 0x7F, np.float32(np.nan), finite)


def doubles(raw: bytes, dtype: str) -> Any:
    """Return floats of any width as an array of 64-bit floats; each value is kept exactly."""
    import numpy as np  # noqa: PLC0415 - see above

    return np.frombuffer(raw, "<f8") if dtype == "F64" else widened(raw, dtype).astype("<f8")


def singles(raw: bytes, dtype: str) -> Any:
    """Return floats of any width as an array of 32-bit floats; those of 64 bits are rounded."""
    return doubles(raw, dtype).astype("<f4") if dtype == "F64" else widened(raw, dtype)


def largest_difference(raw: bytes, dtype: str, other: bytes, other_dtype: str) -> float:
    """Return the largest distance between two values in the same place; 0 without values."""
    difference = widened(raw, dtype).astype("<f8") - widened(other, other_dtype)
    return float(abs(difference).max(initial=0.0))


def largest(raw: bytes, dtype: str) -> float:
    """Return the largest magnitude; 0 without values."""
    return float(abs(widened(raw, dtype)).max(initial=0.0))


def is_same(raw: bytes, dtype: str, other: bytes, other_dtype: str) -> bool:
    """Return whether the same bits stand for the same values, after floats of unlike width are widened."""
    if dtype == other_dtype:
        return raw == other
    if not {dtype, other_dtype} <= set(FLOATS):
        return False
    left, right = widened(raw, dtype), widened(other, other_dtype)
    return left.shape == right.shape and bool((left.view("<u4") == right.view("<u4")).all())


def transposed(raw: bytes, width: int, rows: int, columns: int) -> bytes:
    """Return the values of a matrix, `width` bytes each, column by column."""
    return bytes(_bits(raw, width).reshape(rows, columns).T.tobytes())


def reordered(raw: bytes, width: int, order: Sequence[int]) -> bytes:
    """Return rows of `width` bytes each in another order."""
    return bytes(_bits(raw, 1).reshape(-1, width)[list(order)].tobytes())


def single(value: float) -> bytes:
    """Return one number as F32."""
    return struct.pack("<f", value)


_FORMATS = {"F32": "<f4", "F16": "<f2"}
