"""Reads the files of one revision for the checks; each fact is read once, on first use, and tensors block by block.

`Folder` reads an adapter of PEFT. The readers of other families are subclasses with the same properties, so that one
check works for all of them.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from dovetail.adapters.files import config as configs
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import Header, Opener, TensorInfo
from dovetail.adapters.files.values import FLOATS, converted
from dovetail.adapters.formats.description import PICKLED_WEIGHTS, WEIGHTS
from dovetail.adapters.formats.tokens import Names
from dovetail.adapters.formats.twins import Joined
from dovetail.adapters.methods import Kind, kind_of, task_of
from dovetail.adapters.results.findings import some
from dovetail.adapters.shapes.fit import Manifest, Shape, expected
from dovetail.adapters.shapes.layout import Layout, canonical, named, sort_tensors
from dovetail.adapters.shapes.selection import PatternTable

AGAIN = "Save the adapter again with PeftModel.save_pretrained()"
MAX_FILES = 10_000
BLOCK_BYTES = 8 * 2**20


def opener_of(path: Path) -> Opener:
    return lambda: path.open("rb")


def files_in(folder: Path) -> dict[str, Opener]:
    """Return the regular files under a folder by their relative path; symbolic links are left out."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): opener_of(path) for path in paths[:MAX_FILES]}


def blocks_of(opener: Opener, tensor: TensorInfo) -> Iterator[bytes]:
    """Yield the bytes of a tensor in blocks of whole values, so that memory does not grow with the file."""
    with opener() as file:
        for start in range(tensor.offset, tensor.end, BLOCK_BYTES):
            file.seek(start)
            yield file.read(min(BLOCK_BYTES, tensor.end - start))


@dataclass(frozen=True, slots=True)
class Source:
    """A file of tensors; `path` is its path in the part of the adapter that lies in `place`, "" for the top."""

    path: str
    opener: Opener
    header: Callable[[], Header]
    place: str = ""
    is_head: bool = False  # True if it holds the head beside an adapter

    @property
    def size(self) -> int:
        """The size in bytes."""
        with self.opener() as file:
            return file.seek(0, 2)

    def blocks(self) -> Iterator[tuple[str, TensorInfo, bytes]]:
        """Yield name, tensor and a piece of its bytes, for every piece of the file."""
        for name, tensor in self.header().tensors.items():
            for block in blocks_of(self.opener, tensor):
                yield name, tensor, block


@dataclass(frozen=True, slots=True)
class Effect:
    """Tensors that must not all be zero, since a part of an adapter then changes nothing; all in one file."""

    what: str  # one of them, in words
    tensors: Mapping[str, Sequence[TensorInfo]]  # by module or by another name
    source: Source
    is_by_module: bool = False  # True if a single module of zeros is worth a warning
    may_be_zero: bool = False  # True if other tensors have an effect too


def placed(sources: Sequence[Source], place: str) -> list[Source]:
    """Return the files of one part of an adapter, which lies in a folder of its own."""
    return [replace(source, place=place) for source in sources]


MAX_TEXT_BYTES = 256 * 2**10


@dataclass(frozen=True, slots=True)
class Base:
    """The known facts of the frozen base that the adapter is checked against."""

    id: str
    manifest: Manifest
    vocabulary: int = 0  # rows of the input embedding
    weights: Opener | None = None  # a safetensors file, to compare saved embeddings with
    model_type: str = ""
    hidden: int = 0  # width of the hidden states
    expect: Callable[[Any], dict[str, Shape]] | None = None  # for formats whose shapes only their library knows
    revision: str | None = None  # its commit in the base cache
    names: tuple[str, ...] = ()  # its other names on this hub
    license: str = ""
    head_task: str | None = None  # the task of its own head; None if that is not known
    tokens: int = 0  # of its own tokenizer, which may have more than there are rows
    chat_template: str | None = None  # "" if it has none; None if that is not known
    architectures: tuple[str, ...] = ()
    token_names: Names | None = None  # of its tokenizer; None if that is not known
    token_ids: Callable[[], Mapping[str, int]] | None = None  # of its tokenizer; None if that is not at hand


class Folder:
    """Files by path, the card's front matter, the base (None: not at hand), known base ids (None: not checked)."""

    weights, pickled_weights = WEIGHTS, PICKLED_WEIGHTS  # the paths of this format
    base_field = "base_model_name_or_path"  # the field of the config with the id of the base
    again = "Save the trained adapter again with save_pretrained() and push it."
    to_safetensors = (
        "Save the adapter again with save_pretrained(..., safe_serialization=True) and push adapter_model.safetensors."
    )

    def __init__(
        self,
        files: Mapping[str, Opener],
        card: Mapping[str, object] | None = None,
        base: Base | None = None,
        known_bases: Collection[str] | None = None,
    ) -> None:
        self.files, self.card, self.base, self.known_bases = files, card, base, known_bases
        self.place = ""  # the folder of the adapter, "" for the top
        self.adapter_base: str | None = None  # where it names an adapter of the hub as base: the base of that one
        self.joined = Joined(files)  # tells which of the files are conversions of pickles

    @cached_property
    def sizes(self) -> dict[str, int]:
        sizes = {}
        for path, opener in self.files.items():
            with opener() as file:
                sizes[path] = file.seek(0, 2)
        return sizes

    @cached_property
    def config(self) -> configs.Config:
        with self.files[configs.NAME]() as file:
            return configs.read(file)

    @cached_property
    def stored_header(self) -> headers.Header:
        with self.files[self.weights]() as file:
            return headers.read(file)

    @cached_property
    def header(self) -> headers.Header:
        """The header with the names that save_pretrained() writes."""
        return canonical(self.stored_header)

    @property
    def named(self) -> list[str]:
        """The tensors whose names hold the adapter's own name, default."""
        return sorted(named(self.stored_header.tensors))

    @property
    def tensors(self) -> dict[str, headers.TensorInfo]:
        """Every tensor of the adapter."""
        return self.header.tensors

    @property
    def sources(self) -> list[Source]:
        """The files of tensors; none if they cannot be read at all."""
        return [Source(self.weights, self.files[self.weights], lambda: self.header)]

    @property
    def metadata(self) -> Mapping[str, str]:
        """The notes in the header of the weights."""
        return self.header.metadata

    @cached_property
    def kind(self) -> Kind | None:
        return kind_of(self.config)

    @property
    def stated_task(self) -> str | None:
        """The task that the adapter's own files name."""
        return task_of(self.config)

    @cached_property
    def layout(self) -> Layout:
        assert self.kind is not None
        return sort_tensors(self.header, self.config, self.kind)

    @cached_property
    def expected(self) -> dict[str, Shape]:
        """The tensors that this config needs on this base."""
        assert self.kind is not None
        assert self.base is not None
        return expected(self.config, self.kind, self.base.manifest, self.layout.rows)

    @property
    def whole_numbers(self) -> tuple[str, ...]:
        """Parts of the names of tensors whose values are integers by design, such as indices."""
        try:
            return self.kind.whole_numbers if configs.NAME in self.files and self.kind else ()
        except configs.ConfigError:
            return ()  # config.invalid says so

    @property
    def missing_head(self) -> str:
        """The path of a head's weights if they are missing although the head's config is here; else ""."""
        return ""

    @property
    def effects(self) -> list[Effect]:
        """The groups of tensors that must not all be zero."""
        kind, layout = self.kind, self.layout
        assert kind is not None
        (source,) = self.sources
        names = [name for name in kind.effect if any(name in own for own in layout.modules.values())]
        what = some(names or kind.effect, 2) or "tensor"
        by_module = bool(layout.modules and kind.effect)
        return [Effect(what, self._effective(kind), source, by_module, bool(self.config.get("use_dora")))]

    def _effective(self, kind: Kind) -> dict[str, list[headers.TensorInfo]]:
        layout = self.layout
        if kind.effect:
            shared = {name: [tensor] for name, tensor in layout.shared.items() if name.startswith(kind.effect)}
            if shared:
                return shared
        by_module = {
            module: [tensor for name, tensor in own.items() if not kind.effect or name in kind.effect]
            for module, own in layout.modules.items()
        }
        return {module: tensors for module, tensors in by_module.items() if tensors}

    @property
    def scales(self) -> dict[str, float]:
        """The scale of each module's matrices, if the files state it."""
        config = self.config
        if config.get("peft_type") != "LORA":
            return {}
        rank, alpha = configs.whole(config, "r") or 8, configs.number(config, "lora_alpha")
        ranks, alphas = PatternTable(config.get("rank_pattern")), PatternTable(config.get("alpha_pattern"))
        default = 8.0 if alpha is None else alpha
        modules = self.layout.modules
        return {module: _scale(config, ranks.get(module, rank), alphas.get(module, default)) for module in modules}

    @property
    def can_be_fitted(self) -> bool:
        """True if the shapes of the base are known, and those that the adapter needs can be computed."""
        return self.base is not None

    @property
    def strangers(self) -> list[str]:
        """The tensors that the base has no place for."""
        assert self.base is not None
        assert self.kind is not None
        beside = self.layout.at_home(self.kind, self.base.manifest)
        return sorted(self.tensors.keys() - self.expected.keys() - beside.keys())

    @property
    def misshapen(self) -> list[tuple[str, tuple[int, ...]]]:
        """The tensors that have another shape than the base needs, each with the shape that it should have."""
        assert self.base is not None
        assert self.kind is not None
        tensors = self.tensors
        wrong = [(name, shape) for name, shape in self.expected.items() if shape and tensors[name].shape != shape]
        of_base = self.layout.at_home(self.kind, self.base.manifest)
        # Embeddings and biases of the base: only a vocabulary grows.
        return wrong + [
            (name, shape)
            for name, shape in of_base.items()
            if tensors[name].shape[1:] != shape[1:] or tensors[name].shape[0] < shape[0]
        ]

    @property
    def base_id(self) -> str | None:
        return configs.text(self.config, self.base_field)

    def is_of_base(self, tensor: headers.TensorInfo) -> bool:
        """Return whether a tensor of the base, of any name, holds the same values when rounded to this dtype."""
        if self.base is None or self.base.weights is None:
            return False
        with self.base.weights() as file:
            every = headers.read(file).tensors.values()
            twins = [
                twin
                for twin in every
                if twin.shape == tensor.shape
                and (twin.dtype == tensor.dtype or {twin.dtype, tensor.dtype} <= set(FLOATS))
            ]
            return any(self._equal(tensor, twin, file) for twin in twins)

    def _equal(self, tensor: headers.TensorInfo, twin: headers.TensorInfo, file: BinaryIO) -> bool:
        file.seek(twin.offset)
        for block in self.blocks(tensor):
            base_block = file.read(twin.size * len(block) // tensor.size)
            if converted(base_block, twin.dtype, tensor.dtype) != block:
                return False
        return True

    def holds_alike(self, left: headers.TensorInfo, right: headers.TensorInfo) -> bool:
        """Return whether two tensors of the adapter are equal byte for byte."""
        alike = (left.dtype, left.shape) == (right.dtype, right.shape)
        return alike and all(a == b for a, b in zip(self.blocks(left), self.blocks(right), strict=True))

    def text(self, path: str) -> str:
        """Return the beginning of a file as text; invalid UTF-8 becomes replacement characters."""
        with self.files[path]() as file:
            return file.read(MAX_TEXT_BYTES).decode("utf-8", "replace")

    def blocks(self, tensor: headers.TensorInfo) -> Iterator[bytes]:
        return blocks_of(self.files[self.weights], tensor)


def _scale(config: configs.Config, rank: float, alpha: float) -> float:
    """Return PEFT's factor of the product of both matrices: alpha / r, or alpha / sqrt(r) with rsLoRA."""
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
