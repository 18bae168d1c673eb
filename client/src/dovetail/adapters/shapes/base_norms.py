"""Norms of a base's weights, and the share of them that an adapter's modules change.

The share of a module is ‖scaling · B·A‖ / ‖W‖ with Frobenius norms. Names of an adapter's modules are those of the
model that was trained, which wraps the base: leading parts of either name may differ, and shapes decide. The first
measurement imports numpy, as in `values`.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from dovetail.adapters.files.header import Header
from dovetail.adapters.files.values import FLOATS, singles
from dovetail.adapters.shapes import factors
from dovetail.adapters.shapes.passport import Module

BLOCK = 1 << 18  # values that are read at once
MAX_DROPPED = 4  # leading parts of a module's name that the base may lack
_PEFT = ("base_model", "model")
_WRAPPERS = {"model", "language_model", "base_model", "transformer"}  # parts that may stand for each other
NO_PAIR = "it is not a pair of factors: its values replace others"
NO_SCALE = "no config beside the weights states its scale"
NO_TENSOR = "the base's files have no such weights in floating point"
NOT_FINITE = "a value is not finite"

Norm = tuple[float | None, tuple[int, ...]]  # null where a value is not finite; and the shape


@dataclass(frozen=True, slots=True)
class Share:
    """The share of a module of the base that an adapter changes; without a value `reason` says why."""

    value: float | None
    base_norm: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Layer:
    """The modules of one layer together: norm of their changes, of their weights, and the one by the other."""

    name: str
    norm: float
    base_norm: float

    @property
    def share(self) -> float | None:
        return self.norm / self.base_norm if self.base_norm else None


def measure(file: BinaryIO, header: Header) -> dict[str, Norm]:
    """Return the norm and the shape of each matrix of floats in a file, tensor → norm. Raises OSError.

    Those of 8 bits are left out: in a base they have scales beside them.
    """
    return {
        name: (_norm(file, header, name), tensor.shape)
        for name, tensor in sorted(header.tensors.items(), key=lambda item: item[1].offset)
        if tensor.dtype in (*FLOATS, "F64") and len(tensor.shape) > 1
    }


def _norm(file: BinaryIO, header: Header, name: str) -> float | None:
    tensor, squares = header.tensors[name], 0.0
    for start in range(0, tensor.values, BLOCK):
        values = factors.values_of(file, tensor, singles, start, BLOCK)
        squares += float(values @ values)
    return math.sqrt(squares) if math.isfinite(squares) else None


class BaseNorms:
    """The norms of one base by the names of its tensors."""

    def __init__(self, norms: Mapping[str, Norm]) -> None:
        self._norms = norms
        heads = {tuple(_head(name.split("."))) for name in norms}
        prefixes = {head[:count] for head in heads for count in range(1, len(head) + 1)}
        self._prefixes = [(), *sorted(prefixes, key=lambda parts: (len(parts), parts))]

    def share(self, module: Module) -> Share:
        """Return the share that a module, whose norm has its scale, changes of the base."""
        if not module.rank:
            return Share(None, reason=NO_PAIR)
        row = self._find(module)
        if row is None:
            return Share(None, reason=NO_TENSOR)
        if module.norm is None or not row[0]:
            return Share(None, row[0], NOT_FINITE if module.norm is None or row[0] is None else "the base's norm is 0")
        return Share(module.norm / row[0], row[0])

    def _find(self, module: Module) -> Norm | None:
        parts = tuple(module.name.split("."))
        parts = parts[2:] if parts[:2] == _PEFT else parts
        for dropped in range(min(len(_head(parts)), MAX_DROPPED) + 1):
            rows = list(self._rows(parts[:dropped], parts[dropped:], module.shape))
            if rows:
                return rows[0] if len(rows) == 1 else None  # several: nothing tells which of them it is
        return None

    def _rows(self, dropped: Sequence[str], rest: Sequence[str], shape: tuple[int, int] | None) -> Iterator[Norm]:
        for prefix in self._prefixes:
            if dropped and prefix and not {*dropped, *prefix} <= _WRAPPERS:
                continue
            row = self._norms.get(".".join((*prefix, *rest, "weight"))) or self._norms.get(".".join((*prefix, *rest)))
            if row and _is_shape(row[1], shape):
                yield row
                if not prefix:
                    return


def by_layer(modules: Iterable[Module], shares: Iterable[Share]) -> list[Layer]:
    """Return the layers of the modules whose share is known, in their order."""
    squares: dict[str, tuple[float, float]] = {}
    for module, share in zip(modules, shares, strict=True):
        if share.value is not None and module.norm is not None and share.base_norm is not None:
            name = layer_of(module.name)
            norm, base_norm = squares.get(name, (0.0, 0.0))
            squares[name] = norm + module.norm**2, base_norm + share.base_norm**2
    layers = [Layer(name, math.sqrt(norm), math.sqrt(base_norm)) for name, (norm, base_norm) in squares.items()]
    return sorted(layers, key=lambda layer: natural_order(layer.name))


def natural_order(name: str) -> list[tuple[int, str]]:
    """Return a key by which layer 2 comes before layer 10."""
    return [(int(part), "") if part.isdecimal() and len(part) < 10 else (-1, part) for part in name.split(".")]


def _head(parts: Sequence[str]) -> Sequence[str]:
    """Return the parts of a name before its layer's number, without the last part of a name that has none."""
    return parts[: next((place for place, part in enumerate(parts) if part.isdecimal()), len(parts) - 1)]


def layer_of(module: str) -> str:
    """Return the name of a module up to the number of its layer; "other modules" for one without a number."""
    parts = module.removeprefix("base_model.model.").split(".")
    place = next((place for place, part in enumerate(parts) if part.isdecimal()), None)
    return ".".join(parts[: place + 1]) if place is not None else "other modules"


def _is_shape(weights: tuple[int, ...], product: tuple[int, int] | None) -> bool:
    """Return whether weights have the shape of a product of factors; some layers and embeddings keep it transposed."""
    flat = (weights[0], math.prod(weights[1:]))
    return product is None or product in (flat, flat[::-1])
