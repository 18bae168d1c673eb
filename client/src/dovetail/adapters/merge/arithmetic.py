"""The arithmetic of merges, on the matrices of one module at a time, as PEFT's add_weighted_adapter does it.

Sources: peft/utils/merge_utils.py and peft/tuners/lora/model.py. All numbers are 32-bit floats, as in PEFT on a CPU.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = Any
WHOLE_SVD = 1024  # the largest shorter side of a matrix that is decomposed whole
SPARE, ITERATIONS = 16, 4  # singular values beyond the rank, and power iterations, of a larger one
Keep = Callable[[int, tuple[int, ...]], Array]  # number of the source and a shape → the values that stay, as 0 and 1


def roots(weight: float, scale: float) -> tuple[float, float]:
    """Return the factors of A and of B: the root of weight times scale in each, with the sign in A."""
    product = weight * scale
    root = math.sqrt(abs(product))
    return (root if product >= 0 else -root), root


def linear(tensors: Sequence[Array], weights: Sequence[float]) -> Array:
    return _weighted(np.stack(tensors), weights).sum(axis=0)


def ties(tensors: Sequence[Array], weights: Sequence[float]) -> Array:
    """Elect a sign for each value by the sum, and average over the sources that agree with it."""
    stacked = np.stack(tensors)
    elected = np.where(stacked.sum(axis=0) >= 0, 1, -1)
    agrees = np.sign(stacked) == elected
    mixed = (_weighted(stacked, weights) * agrees).sum(axis=0)
    return mixed / np.maximum(agrees.sum(axis=0), 1).astype(np.float32)


def largest(tensor: Array, density: float) -> Array:
    """Keep this share of the values, those of largest magnitude; of equal ones the first."""
    if density >= 1:
        return tensor
    flat = np.abs(tensor).reshape(-1)
    count = int(density * flat.size)
    kept = np.zeros(flat.size, dtype=np.float32)
    kept[np.argsort(-flat, kind="stable")[:count]] = 1
    return tensor * kept.reshape(tensor.shape)


def rescaled(tensor: Array, kept: Array, density: float) -> Array:
    """Keep the chosen values and enlarge them, so that the expected sum stays."""
    return tensor * kept / np.float32(density)


def chosen(seed: Sequence[int], shape: tuple[int, ...], density: float) -> Array:
    """Return 1 for a random share of the values and 0 for the others, the same for the same seed."""
    return (np.random.default_rng(list(seed)).random(shape, dtype=np.float32) < density).astype(np.float32)


def stacked(downs: Sequence[Array], ups: Sequence[Array], factors: Sequence[float]) -> tuple[Array, Array]:
    """Return one pair whose product is the sum of all products, each times its factor."""
    scaled = [down * np.float32(factor) for down, factor in zip(downs, factors, strict=True)]
    return np.concatenate(scaled, axis=0), np.concatenate(ups, axis=1)


def product_svd(
    downs: Sequence[Array], ups: Sequence[Array], factors: Sequence[float], rank: int
) -> tuple[Array, Array]:
    """Return the best pair of this rank for the same sum, without ever forming it.

    With up = Q R and down' = P S, the singular values of up down are those of R S'.
    """
    down, up = stacked(downs, ups, factors)
    left, left_rest = np.linalg.qr(up.astype(np.float64))
    right, right_rest = np.linalg.qr(down.astype(np.float64).T)
    inner_left, sizes, inner_right = np.linalg.svd(left_rest @ right_rest.T)
    kept = min(rank, sizes.size)
    new_up, new_down = (left @ inner_left[:, :kept]) * sizes[:kept], inner_right[:kept] @ right.T
    missing = rank - kept
    return (
        np.pad(new_down, ((0, missing), (0, 0))).astype(np.float32),
        np.pad(new_up, ((0, 0), (0, missing))).astype(np.float32),
    )


def best_pair(change: Array, rank: int) -> tuple[Array, Array, float, float]:
    """Return the best pair of this rank for a matrix, and what is lost and the whole, by Frobenius' norm."""
    matrix = change.astype(np.float64)
    down, up = _pair(*singular(matrix, rank), rank)
    return down, up, float(np.linalg.norm(matrix - up @ down)), float(np.linalg.norm(matrix))


def best_pair_of_product(up: Array, down: Array, rank: int) -> tuple[Array, Array, float, float]:
    """Return the same for the product of two matrices, which is not computed where they are narrow."""
    if up.shape[1] >= min(len(up), down.shape[1]):
        return best_pair(up @ down, rank)
    (left, outer), (right, inner) = np.linalg.qr(up), np.linalg.qr(down.T)
    own_left, sizes, own_right = np.linalg.svd(outer @ inner.T)
    pair = _pair(left @ own_left, sizes, own_right @ right.T, rank)
    return *pair, float(np.linalg.norm(sizes[rank:])), float(np.linalg.norm(sizes))


def best_pair_of_kronecker(first: Array, second: Array, rank: int) -> tuple[Array, Array, float, float]:
    """Return the same for the product of Kronecker's: its singular values are the products of those of both."""
    (left, sizes, right), (other_left, other_sizes, other_right) = singular(first, rank), singular(second, rank)
    products = np.outer(sizes, other_sizes).reshape(-1)
    order = np.argsort(-products, kind="stable")[:rank]
    one, other = np.divmod(order, len(other_sizes))
    lefts = np.einsum("ak,bk->abk", left[:, one], other_left[:, other]).reshape(-1, len(order))
    rights = np.einsum("ka,kb->kab", right[one], other_right[other]).reshape(len(order), -1)
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    lost = max(0.0, 1 - float(np.sum((products[order] / norm) ** 2))) if norm else 0.0
    return *_pair(lefts, products[order], rights, rank), norm * math.sqrt(lost), norm


def singular(matrix: Array, rank: int) -> tuple[Array, Array, Array]:
    """Return the largest singular values of a matrix, at least `rank`, with their vectors to the left and the right.

    Those of large matrices are found by random projection with power iterations (Halko et al., 2011).
    """
    small = min(matrix.shape)
    if small <= WHOLE_SVD:
        left, sizes, right = np.linalg.svd(matrix, full_matrices=False)
        return left, sizes, right
    found = matrix @ np.random.default_rng(0).normal(size=(matrix.shape[1], min(rank + SPARE, small)))
    for _ in range(ITERATIONS):
        found = matrix @ (matrix.T @ np.linalg.qr(found)[0])
    basis = np.linalg.qr(found)[0]
    left, sizes, right = np.linalg.svd(basis.T @ matrix, full_matrices=False)
    return basis @ left, sizes, right


def _pair(left: Array, sizes: Array, right: Array, rank: int) -> tuple[Array, Array]:
    roots_of_sizes = np.sqrt(sizes[:rank])
    return roots_of_sizes[:, None] * right[: len(roots_of_sizes)], left[:, : len(roots_of_sizes)] * roots_of_sizes


def _weighted(stacked: Array, weights: Sequence[float]) -> Array:
    factors = np.asarray(weights, dtype=np.float32)
    return stacked * factors.reshape(-1, *[1] * (stacked.ndim - 1))
