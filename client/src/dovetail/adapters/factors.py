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
from dovetail.adapters.patterns import Pattern, PatternError
from dovetail.adapters.values import EXPONENTS

MAX_FACTOR = 16_000_000  # values of one factor: more are not read at once
MAX_RANK = 4096  # matrices of rank × rank are made of a pair
_FACTOR = re.compile(r"(.+)\.lora_(A|B|down|up|embedding_A|embedding_B)(?:\.default)?(?:\.weight)?")
_DOWN = ("A", "down", "embedding_A")
_DEFAULT_ALPHA = 8.0  # of PEFT
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
        and down.shape[0] == up.values // up.shape[0]
        and down.shape[0] <= MAX_RANK
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


def scale_of(config: configs.Config, module: str, rank: int) -> float:
    """Return the factor by which PEFT scales a pair of this rank; 1 for a plain tensor."""
    if not rank:
        return 1.0
    alpha = configs.number(config, "lora_alpha") or _DEFAULT_ALPHA
    patterns = config.get("alpha_pattern")
    for pattern, value in patterns.items() if isinstance(patterns, dict) else ():
        if isinstance(value, int | float) and _matches(str(pattern), module):
            alpha = float(value)
            break
    return alpha / (math.sqrt(rank) if config.get("use_rslora") is True else rank)


def _matches(pattern: str, module: str) -> bool:
    try:
        return Pattern(rf"(?:.*\.)?(?:{pattern.removeprefix('^')})").fullmatch(module)
    except PatternError:
        return False
