"""Pairs of low-rank factors in a safetensors file, the matrices that they stand for, and their scale.

The first call that reads values imports numpy, as in `values`.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from dovetail.adapters.files import config as configs
from dovetail.adapters.files.header import Header, TensorInfo
from dovetail.adapters.files.patterns import PatternError
from dovetail.adapters.files.values import EXPONENTS
from dovetail.adapters.shapes.selection import PatternTable

MAX_FACTOR = 16_000_000  # values of one factor: more are not read at once
MAX_DIFFERENCE = 1 << 25  # values of a whole difference: likewise
MAX_RANK = 4096  # of a pair: products of its factors take rank × rank values, and singular values the cube of it
_FACTOR = re.compile(r"(.+)\.lora_(A|B|a|b|down|up|embedding_A|embedding_B)(?:\.default)?(?:\.weight)?")
_DOWN = ("A", "a", "down", "embedding_A")
_OF_MLX = (".lora_a", ".lora_b")  # both transposed; torchtune's end in .weight, and are not
DIFFERENCE = ".diff"  # the whole change of a matrix, as LyCORIS and ComfyUI save it
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
    return {module: names for module, names in both.items() if _is_pair(tensors, *names)}


def _is_pair(tensors: Mapping[str, TensorInfo], *names: str) -> bool:
    down, up = (tensors[name] for name in names)
    (rank, _), (_, other) = (_matrix(name, tensors[name]) for name in names)
    return (
        len(down.shape) in (2, 4)
        and len(up.shape) == len(down.shape)
        and rank == other <= MAX_RANK
        and max(down.values, up.values) <= MAX_FACTOR
        and {down.dtype, up.dtype} <= EXPONENTS.keys()
    )


def _matrix(name: str, tensor: TensorInfo) -> tuple[int, int]:
    """Return the rows and columns of a factor as PEFT has it; a convolution's filters are rows."""
    rows = tensor.shape[0] if tensor.shape else 1
    columns = tensor.values // rows
    return (columns, rows) if name.endswith(_OF_MLX) else (rows, columns)


def rank_of(tensors: Mapping[str, TensorInfo], down: str) -> int:
    """Return the rank of a pair by the factor that leads into it."""
    return _matrix(down, tensors[down])[0]


def is_difference(name: str, tensor: TensorInfo) -> bool:
    """Return whether a tensor is what a pair stands for, the whole difference of a matrix."""
    return (
        len(tensor.shape) in (2, 4)
        and tensor.values <= MAX_DIFFERENCE
        and tensor.dtype in EXPONENTS
        and name.removesuffix(".weight").endswith(DIFFERENCE)
    )


def shape_of_product(header: Header, down: str, up: str) -> tuple[int, int]:
    """Return the shape of the matrix that two factors stand for."""
    return _matrix(up, header.tensors[up])[0], _matrix(down, header.tensors[down])[1]


def factors_of(file: BinaryIO, header: Header, names: tuple[str, str], convert: Convert) -> tuple[Any, Any]:
    """Return the factors (rank × in, out × rank) of a pair in the precision of `convert`; a convolution's are flat."""
    inner, outer = (_factor(file, name, header.tensors[name], convert) for name in names)
    return inner, outer


def _factor(file: BinaryIO, name: str, tensor: TensorInfo, convert: Convert) -> Any:
    rows, columns = _matrix(name, tensor)
    values = values_of(file, tensor, convert)
    return values.reshape(columns, rows).T if name.endswith(_OF_MLX) else values.reshape(rows, columns)


def values_of(file: BinaryIO, tensor: TensorInfo, convert: Convert, start: int = 0, count: int | None = None) -> Any:
    """Return values of a tensor from `start` on, flat; all of them without a `count`."""
    width = tensor.size // tensor.values
    file.seek(tensor.offset + start * width)
    raw = file.read(min(tensor.size - start * width, tensor.size if count is None else count * width))
    return convert(raw, tensor.dtype)


class Scales:
    """The factors by which PEFT or MLX scales the pairs of an adapter with this config.

    Its patterns share one budget, whatever the number of modules; a table that costs more counts as if it were empty.
    """

    def __init__(self, config: configs.Config) -> None:
        of_mlx = config.get("lora_parameters")
        self._of_mlx = configs.number(of_mlx, "scale") if isinstance(of_mlx, dict) else None  # for every rank
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
        if self._of_mlx is not None:
            return self._of_mlx
        try:
            alpha = self._alphas.get(module, self._alpha)
        except PatternError:
            alpha = self._alpha
        return alpha / (math.sqrt(rank) if self._is_by_root else rank)
