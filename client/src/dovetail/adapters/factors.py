"""Pairs of low-rank factors in a safetensors file, the matrices that they stand for, and their scale.

The first call that reads values imports numpy, as in `values`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from dovetail.adapters import config as configs
from dovetail.adapters.header import Header, TensorInfo
from dovetail.adapters.patterns import PatternError
from dovetail.adapters.selection import PatternTable
from dovetail.adapters.values import EXPONENTS

MAX_FACTOR = 16_000_000  # values of one factor: more are not read at once
MAX_RANK = 4096  # of a pair: products of its factors take rank × rank values, and singular values the cube of it
_FACTOR = re.compile(r"(.+)\.lora_(A|B|down|up|embedding_A|embedding_B)(?:\.default)?(?:\.weight)?")
_DOWN = ("A", "down", "embedding_A")
_DEFAULT_ALPHA = 8.0  # of PEFT
_STEPS = 200_000  # of matching patterns for one file, about a second: pages wait for it
Convert = Callable[[bytes, str], Any]  # bytes and dtype → an array of floats


def pairs_of(tensors: Mapping[str, TensorInfo]) -> dict[str, tuple[str, str]]:
    """Return module → names of its two factors: the one that leads into the low rank, and the one that leads out."""
    sides: dict[str, dict[bool, str]] = {}
    for name in tensors:
        if match := _FACTOR.fullmatch(name):
            sides.setdefault(match[1], {})[match[2] in _DOWN] = name
    both = {module: (names[True], names[False]) for module, names in sides.items() if len(names) == 2}
    return {module: names for module, names in both.items() if _is_pair(*(tensors[name] for name in names))}


def _is_pair(down: TensorInfo, up: TensorInfo) -> bool:
    return (
        len(down.shape) in (2, 4)
        and len(up.shape) == len(down.shape)
        and down.shape[0] == up.values // up.shape[0] <= MAX_RANK
        and max(down.values, up.values) <= MAX_FACTOR
        and {down.dtype, up.dtype} <= EXPONENTS.keys()
    )


def shape_of_product(header: Header, down: str, up: str) -> tuple[int, int]:
    """Return the shape of the matrix that two factors stand for."""
    first = header.tensors[down]
    return header.tensors[up].shape[0], first.values // first.shape[0]


def factors_of(file: BinaryIO, header: Header, names: tuple[str, str], convert: Convert) -> tuple[Any, Any]:
    """Return the factors (rank × in, out × rank) of a pair in the precision of `convert`; a convolution's are flat."""
    rank = header.tensors[names[0]].shape[0]
    inner, outer = (values_of(file, header.tensors[name], convert) for name in names)
    return inner.reshape(rank, -1), outer.reshape(-1, rank)


def values_of(file: BinaryIO, tensor: TensorInfo, convert: Convert, start: int = 0, count: int | None = None) -> Any:
    """Return values of a tensor from `start` on, flat; all of them without a `count`."""
    width = tensor.size // tensor.values
    file.seek(tensor.offset + start * width)
    raw = file.read(min(tensor.size - start * width, tensor.size if count is None else count * width))
    return convert(raw, tensor.dtype)


class Scales:
    """The factors by which PEFT scales the pairs of an adapter with this config.

    Its patterns share one budget, whatever the number of modules; a table that costs more counts as if it were empty.
    """

    def __init__(self, config: configs.Config) -> None:
        self._alpha = configs.number(config, "lora_alpha") or _DEFAULT_ALPHA
        self._is_by_root = config.get("use_rslora") is True
        table = config.get("alpha_pattern")
        items = table.items() if isinstance(table, dict) else ()
        numbers = {str(key).removeprefix("^"): value for key, value in items if isinstance(value, int | float)}
        try:
            self._alphas = PatternTable(numbers, steps=_STEPS)
        except PatternError:
            self._alphas = PatternTable({})

    def of(self, module: str, rank: int) -> float:
        """Return the factor for a pair of this rank; 1 for a plain tensor, whose rank is 0."""
        if not rank:
            return 1.0
        try:
            alpha = self._alphas.get(module, self._alpha)
        except PatternError:
            alpha = self._alpha
        return alpha / (math.sqrt(rank) if self._is_by_root else rank)
