"""The form between two formats: the modules of a LoRA, each with its two matrices and the factor it is scaled by.

The bytes of tensors are read or computed only while they are written, so that memory does not grow with a file. An
adapter that cannot be written in a format, or merged, is `Unconvertible`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from dovetail.adapters.files import header as headers
from dovetail.adapters.files import values
from dovetail.adapters.files.config import Config
from dovetail.adapters.files.header import BYTES_PER_VALUE, Header, Opener
from dovetail.adapters.formats.twins import framed
from dovetail.adapters.readers.folder import blocks_of


@dataclass(frozen=True, slots=True)
class Lazy:
    """One tensor; `blocks` yields its bytes in order, in pieces of whole values."""

    dtype: str
    shape: tuple[int, ...]
    blocks: Callable[[], Iterator[bytes]]

    @property
    def size(self) -> int:
        """The size in bytes."""
        return math.prod(self.shape) * BYTES_PER_VALUE[self.dtype]

    def raw(self) -> bytes:
        """Return all bytes of this one tensor."""
        return b"".join(self.blocks())

    def transposed(self) -> Lazy:
        """Return a matrix with its rows as columns."""
        rows, columns = self.shape
        width = BYTES_PER_VALUE[self.dtype]
        return Lazy(self.dtype, (columns, rows), lambda: iter([values.transposed(self.raw(), width, rows, columns)]))

    def with_rows(self, order: Callable[[], list[int]]) -> Lazy:
        """Return a matrix with its rows in another order."""
        width = self.size // self.shape[0]
        return Lazy(self.dtype, self.shape, lambda: iter([values.reordered(self.raw(), width, order())]))

    def halves_swapped(self) -> Lazy:
        """Return a matrix with the lower half of its rows above the upper one."""
        half = self.shape[0] // 2
        return self.with_rows(lambda: [*range(half, 2 * half), *range(half)])

    def rows(self, first: int, last: int) -> Lazy:
        """Return some rows of a matrix, or of what has any number of dimensions."""
        width = self.size // self.shape[0]
        return Lazy(
            self.dtype, (last - first, *self.shape[1:]), lambda: iter([self.raw()[first * width : last * width]])
        )

    def reshaped(self, *shape: int) -> Lazy:
        return Lazy(self.dtype, shape, self.blocks)

    def converted(
        self, dtype: str, on_overflow: Callable[[], Exception], see: Callable[[bytes, bytes], None] | None = None
    ) -> Lazy:
        """Return the values in another dtype, rounded; writing it raises `on_overflow()` for a value beyond it.

        `see` gets each piece before and after.
        """

        def blocks() -> Iterator[bytes]:
            for block in self.blocks():
                piece = values.converted(block, self.dtype, dtype)
                if block and not piece:
                    raise on_overflow()
                if see:
                    see(block, piece)
                yield piece

        return Lazy(dtype, self.shape, blocks)


Lazies = dict[str, Lazy]
PIECE_VALUES = 1 << 20


def values_of(tensor: Lazy) -> Iterator[bytes]:
    """Yield the bytes in pieces of the same number of values for every dtype."""
    step, waiting = PIECE_VALUES * BYTES_PER_VALUE[tensor.dtype], b""
    for block in tensor.blocks():
        waiting += block
        while len(waiting) >= step:
            yield waiting[:step]
            waiting = waiting[step:]
    if waiting:
        yield waiting


def scalar(value: float) -> Lazy:
    """Return one number without dimensions, as F32."""
    return Lazy("F32", (), lambda: iter([values.single(value)]))


def read_lazily(opener: Opener) -> tuple[Lazies, Header]:
    """Return the tensors of a safetensors file, and its header. Raises `HeaderError`."""
    with opener() as file:
        header = headers.read(file)
    return {
        name: Lazy(tensor.dtype, tensor.shape, lambda tensor=tensor: blocks_of(opener, tensor))  # type: ignore[misc]  # bound by a default
        for name, tensor in header.tensors.items()
    }, header


def write_lazily(tensors: Mapping[str, Lazy], target: BinaryIO, metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file, the same bytes every time: widest values first, for alignment, then by name."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt", **(metadata or {})}}
    ordered = sorted(tensors.items(), key=lambda item: (-BYTES_PER_VALUE[item[1].dtype], item[0]))
    at = 0
    for name, tensor in ordered:
        entries[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [at, at + tensor.size]}
        at += tensor.size
    target.write(framed(entries))
    for name, tensor in ordered:
        if sum(map(target.write, tensor.blocks())) != tensor.size:
            raise ValueError(f"{name} has a different number of bytes than its shape")


class Unconvertible(ValueError):
    """The result would not be the same adapter; the message names the module and says why.

    `option` names the part of the request that cannot be, where it is the request and not the adapter.
    """

    def __init__(self, reason: str, module: str = "", option: str = "") -> None:
        super().__init__(f"{module[:200]}: {reason}" if module else reason)
        self.reason, self.module, self.option = reason, module[:200], option


UNET, TEXT_ENCODER, TEXT_ENCODER_2, TRANSFORMER = "unet", "text_encoder", "text_encoder_2", "transformer"
CLASSES = {  # diffusers' component → the class that PEFT's auto_mapping names
    UNET: ("UNet2DConditionModel", "diffusers.models.unets.unet_2d_condition"),
    TEXT_ENCODER: ("CLIPTextModel", "transformers.models.clip.modeling_clip"),
    TEXT_ENCODER_2: ("CLIPTextModelWithProjection", "transformers.models.clip.modeling_clip"),
}


@dataclass
class Loss:
    """The largest error of a change of precision, filled while the file is written; or what a cut to a rank loses."""

    error: float = 0.0
    tensor: str = ""
    largest: float = 0.0  # the largest magnitude in that tensor

    @property
    def share(self) -> float:
        return self.error / self.largest if self.largest else 0.0

    def see(self, name: str, before: bytes, was: str, after: bytes, now: str) -> None:
        error = values.largest_difference(before, was, after, now)
        if error > self.error or not self.tensor:
            self.error, self.tensor, self.largest = error, name, values.largest(before, was)


@dataclass(frozen=True, slots=True)
class Module:
    """One adapted module: y += scale * up(down(x)); `magnitude` belongs to DoRA."""

    down: Lazy
    up: Lazy
    scale: float
    magnitude: Lazy | None = None

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    def with_up(self, up: Lazy) -> Module:
        return replace(self, up=up)

    def cut(self, first: int, last: int, low: int = 0, high: int = 0) -> Module:
        """Return the module of these rows alone, and of this share of the rank if it is told."""
        magnitude = self.magnitude and self.magnitude.rows(first, last)
        up = self.up.rows(first, last)
        if not high:
            return Module(self.down, up, self.scale, magnitude)
        return Module(self.down.rows(low, high), up.transposed().rows(low, high).transposed(), self.scale, magnitude)


@dataclass(frozen=True, slots=True)
class Lora:
    """One LoRA on one model; `component` is its place in a pipeline of diffusers, "" for a model that stands alone.

    `head` has the weights that were trained whole, as a classifier is, by their names in the model.
    """

    config: Config
    modules: Mapping[str, Module]
    component: str = ""
    head: Mapping[str, Lazy] = field(default_factory=dict)
    losses: Sequence[Loss] = ()  # of modules that were cut to a rank

    @property
    def is_dora(self) -> bool:
        return any(module.magnitude for module in self.modules.values())


def module_of(name: str, sides: Mapping[str, Lazy], scale: float, magnitude: Lazy | None = None) -> Module:
    """Return a module of its two sides, `down` and `up`. Raises `Unconvertible` if they are no pair."""
    if sides.keys() != {"down", "up"}:
        raise Unconvertible("one of its two matrices is missing.", name)
    down, up = sides["down"], sides["up"]
    if min(len(down.shape), len(up.shape)) < 2 or down.shape[0] != up.shape[1]:
        raise Unconvertible(f"its matrices {down.shape} and {up.shape} do not match.", name)
    return Module(down, up, scale, magnitude)


def alpha_of(module: Module, name: str) -> float:
    """Return the alpha that gives exactly this scale when it is divided by the rank, a whole number if one does."""
    product = module.scale * module.rank
    near = round(product) if math.isfinite(product) else 0
    candidates: tuple[float, ...] = (near, product, math.nextafter(product, math.inf), math.nextafter(product, 0.0))
    for candidate in candidates:
        if candidate / module.rank == module.scale:
            return candidate
    raise Unconvertible(f"no alpha divided by its rank {module.rank} is exactly its scale {module.scale!r}.", name)


def diagonal(blocks: Iterable[tuple[Lazy | None, int, int]], rank: int, dtype: str) -> Iterator[bytes]:
    """Yield the rows of matrices below each other, with zeros in the columns of the others.

    Each is a matrix (None for zeros), its height, and the number of columns before it.
    """
    width = BYTES_PER_VALUE[dtype]
    for matrix, height, before in blocks:
        if matrix is None:
            yield bytes(height * rank * width)
            continue
        raw, own = matrix.raw(), matrix.shape[1] * width
        left, right = bytes(before * width), bytes((rank - before) * width - own)
        yield b"".join(left + raw[at : at + own] + right for at in range(0, len(raw), own))


def config_of(modules: Mapping[str, Module], base: str, component: str = "", **others: Any) -> Config:
    """Return the config of PEFT that selects exactly these modules and scales them the same."""
    # transformers 5.24 has no level text_model; PEFT takes the rest of a path for a module of either.
    names = {path: path.removeprefix("text_model.") if component else path for path in modules}
    ranks = {names[path]: module.rank for path, module in modules.items()}
    alphas = {names[path]: alpha_of(module, path) for path, module in modules.items()}
    rank, alpha = _commonest(ranks.values()), _commonest(alphas.values())
    class_name, library = CLASSES.get(component, ("", ""))
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": base or None,
        "auto_mapping": {"base_model_class": class_name, "parent_library": library} if class_name else None,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "use_rslora": False,
        "use_dora": any(module.magnitude for module in modules.values()),
        "target_modules": sorted(ranks) if component else targets_of(modules),  # attn1 and attn2 end alike
        "rank_pattern": {name: number for name, number in ranks.items() if number != rank},
        "alpha_pattern": {name: number for name, number in alphas.items() if number != alpha},
        **others,
    }


def targets_of(modules: Iterable[str]) -> list[str]:
    """Return the last words of the paths if each layer has all of them, else the whole paths."""
    paths = sorted(modules)
    places = {path.rpartition(".")[0] for path in paths}
    leaves = sorted({path.rpartition(".")[2] for path in paths})
    is_regular = all(not leaf.isdecimal() for leaf in leaves) and len(paths) == sum(
        f"{place}.{leaf}".lstrip(".") in set(paths) for place in places for leaf in leaves
    ) == len(places) * len(leaves)
    return leaves if is_regular else paths


def require_headless(lora: Lora, format_name: str) -> None:
    """Raise Unconvertible for weights that were trained whole, such as a classifier: other formats hold pairs alone."""
    for name in lora.head:
        raise Unconvertible(
            f"it was trained whole, and {format_name} has only pairs of matrices. Serve the adapter in "
            "PEFT's format, or merge it into its base (merge_and_unload, which keeps it) and convert that "
            "model; --to slim removes a copy of the base's own.",
            name,
        )


def require_plain(lora: Lora, format_name: str) -> None:
    """Raise Unconvertible for what a format has no name for: DoRA, and weights that were trained whole."""
    require_headless(lora, format_name)
    for name, module in lora.modules.items():
        if module.magnitude:
            raise Unconvertible(f"{format_name} has no form for DoRA that all loaders read alike.", name)


def same_for_all(lora: Lora, numbers: Mapping[str, float], what: str, format_name: str) -> float:
    """Return the number that all modules share. Raises `Unconvertible` for the first one with another."""
    common = _commonest(numbers.values())
    for name, number in numbers.items():
        if number != common:
            raise Unconvertible(
                f"its {what} is {number:g}, that of other modules {common:g}; {format_name} stores one for all.", name
            )
    return common


def only(loras: list[Lora], format_name: str) -> Lora:
    """Return the one LoRA. Raises `Unconvertible` for a file with those of several models."""
    if len(loras) != 1:
        models = ", ".join(lora.component or "a model" for lora in loras)
        raise Unconvertible(
            f"It adapts {len(loras)} models ({models}); {format_name} stores the adapter of one. Convert it "
            "to diffusers, whose file stores them all."
        )
    return loras[0]


def _commonest(numbers: Iterable[float]) -> float:
    return min(Counter(numbers).items(), key=lambda item: (-item[1], item[0]))[0]
