"""Sketches of matrices: short vectors whose inner products estimate those of the matrices, and singular values.

Source of the sketch of a product of two factors: TensorSketch (Pham and Pagh, "Fast and scalable polynomial kernels
via explicit feature maps", KDD 2013), here with the position modulo SIZE as hash, which sums instead of scattering.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

Array = Any
SIZE = 512  # numbers of a sketch
SMALL = 64  # of one that is kept of each module: two unrelated ones have a cosine of 0 with a deviation of 1/8
ZERO: Array = np.zeros(SIZE // 2 + 1, "<c16")
IN, OUT, PLAIN = range(3)  # each side of a matrix has signs of its own
_NOTHING = 1e-9
_KEPT = 1 << 18  # signs of one length that are kept: a megabyte, and more than the width of any module


def singular_values(inner: Array, outer: Array) -> list[float]:
    """Return the singular values of outer · inner, the largest first, from the factors' Gram matrices (rank × rank).

    They are NaN where a value of a factor is not finite.
    """
    left, right = (gram.astype("<f8") for gram in (inner @ inner.T, outer.T @ outer))
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return [math.nan] * len(inner)
    values, vectors = np.linalg.eigh(left)
    root = vectors * np.sqrt(values.clip(0.0))
    singular: list[float] = np.sqrt(np.linalg.eigvalsh(root.T @ right @ root).clip(0.0))[::-1].tolist()
    return singular


def of_product(inner: Array, outer: Array) -> Array:
    """Return the sketch of the matrix outer · inner (rank × in, out × rank), in the frequency domain."""
    return (np.fft.rfft(_folded(inner, IN)) * np.fft.rfft(_folded_columns(outer, OUT))).sum(axis=0)


def of_matrix(matrix: Array) -> Array:
    """Return what `of_product` does of factors of this matrix (out × in)."""
    folded = _folded_columns(_folded_columns(matrix, OUT), IN)  # by the remainders of in × those of out, modulo SIZE
    places = np.arange(SIZE)
    return np.fft.rfft(folded[places[:, None], places - places[:, None]].sum(axis=0))


def of_values(values: Array) -> Array:
    """Return the sketch of a flat array, in the frequency domain; sketches of parts may be added."""
    return np.fft.rfft(_folded(values[None], PLAIN))[0]


def quantised(sketch: Array) -> bytes:
    """Return a sketch as SIZE signed bytes, the largest magnitude as 127; empty where it is zero or not finite."""
    return _quantised([sketch], SIZE)[0]


def quantised_small(sketches: Sequence[Array]) -> list[bytes]:
    """Return sketches likewise as SMALL bytes, with their positions modulo SMALL; they come from `small`."""
    return _quantised(sketches, SMALL) if sketches else []


def small(sketch: Array) -> Array:
    """Return the sketch in the frequency domain whose positions are taken modulo SMALL."""
    return sketch[:: SIZE // SMALL].copy()


def _quantised(sketches: Sequence[Array], size: int) -> list[bytes]:
    values = np.fft.irfft(np.stack(sketches), size, axis=1)
    largest = np.abs(values).max(axis=1, keepdims=True)
    is_kept = np.isfinite(largest) & (largest >= _NOTHING)
    rows = np.rint(np.where(is_kept, values, 0.0) * (127 / np.where(is_kept, largest, 1.0))).astype("i1")
    return [row.tobytes() if kept else b"" for row, kept in zip(rows, is_kept[:, 0], strict=True)]


def cosine(one: bytes, two: bytes) -> float:
    """Return the cosine of two quantised sketches; 0 where one is empty."""
    return cosines(one, [two])[0]


def cosines(one: bytes, others: Sequence[bytes]) -> list[float]:
    """Return the cosines of a quantised sketch with others; 0 where one is empty."""
    return pairwise([one] * len(others), others, SIZE)


def pairwise(ones: Sequence[bytes], twos: Sequence[bytes], size: int) -> list[float]:
    """Return the cosines of quantised sketches of this size with those in the same place; 0 where one is empty."""
    left, right = (
        np.frombuffer(b"".join(one or bytes(size) for one in side), "i1").reshape(-1, size).astype("<f4")
        for side in (ones, twos)
    )
    lengths = np.sqrt(np.einsum("rk,rk->r", left, left) * np.einsum("rk,rk->r", right, right))
    products = np.einsum("rk,rk->r", left, right)
    values: list[float] = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0).tolist()
    return values


def _signs(count: int, side: int) -> Array:
    """Return `count` random signs, the same in every process. Those of a file with absurd shapes are not kept."""
    return _kept_signs(count, side) if count <= _KEPT else _new_signs(count, side)


@lru_cache(maxsize=64)
def _kept_signs(count: int, side: int) -> Array:
    return _new_signs(count, side)


def _new_signs(count: int, side: int) -> Array:
    """Return signs from PCG64, whose streams numpy keeps stable."""
    bits = np.random.PCG64([count, side]).random_raw(count // 64 + 1).astype("<u8").view("u1")
    return np.unpackbits(bits, count=count).astype("<f4") * 2 - 1


def _folded(rows: Array, side: int) -> Array:
    """Return rows with random signs, in which the positions that are equal modulo SIZE are summed (rows × SIZE)."""
    length = rows.shape[1]
    signs, whole = _signs(length, side), length // SIZE * SIZE
    blocks = rows[:, :whole].reshape(len(rows), -1, SIZE)
    folded = np.einsum("rbk,bk->rk", blocks, signs[:whole].reshape(-1, SIZE))
    folded[:, : length - whole] += rows[:, whole:] * signs[whole:]
    return folded


def _folded_columns(matrix: Array, side: int) -> Array:
    """Return `_folded` of the transposed matrix, which is summed as it lies in memory."""
    length, columns = matrix.shape
    signs, whole = _signs(length, side), length // SIZE * SIZE
    blocks = matrix[:whole].reshape(-1, SIZE, columns)
    folded = np.einsum("bkr,bk->kr", blocks, signs[:whole].reshape(-1, SIZE))
    folded[: length - whole] += matrix[whole:] * signs[whole:, None]
    return folded.T
