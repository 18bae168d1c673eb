"""The files of one revision as the checks see them; each fact is read once, when first asked for.

`Folder` reads an adapter of PEFT. The readers of other families are its subclasses: they answer the same questions, so
that one check serves all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO

from dovetail.adapters import config as configs
from dovetail.adapters import header as headers
from dovetail.adapters.description import PICKLED_WEIGHTS, WEIGHTS
from dovetail.adapters.findings import some
from dovetail.adapters.fit import Manifest, Shape, expected
from dovetail.adapters.header import Opener
from dovetail.adapters.kinds import Kind, kind_of
from dovetail.adapters.layout import Layout, sort_tensors
from dovetail.adapters.selection import PatternTable
from dovetail.adapters.sources import Effect, Source, blocks_of
from dovetail.adapters.twins import Joined
from dovetail.adapters.values import FLOATS, converted

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
    expect: Callable[[Any], dict[str, Shape]] | None = None  # for formats whose shapes only their library can tell
    revision: str | None = None  # the commit on the shelf
    names: tuple[str, ...] = ()  # other names that mean it on this hub
    license: str = ""
    head_task: str | None = None  # the task of the head that it brings itself; None where that is not known


class Folder:
    """Files by path, the card's front matter, the base (None: not at hand), all known base ids (None: not asked)."""

    weights, pickled_weights = WEIGHTS, PICKLED_WEIGHTS  # where this format keeps them
    base_field = "base_model_name_or_path"  # of the config: the id of the base
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
        self.place = ""  # the folder of the adapter that is meant, where that is not the one at the top
        self.joined = Joined(files)  # which of the files are twins of pickles

    @cached_property
    def sizes(self) -> dict[str, int]:
        found = {}
        for path, opener in self.files.items():
            with opener() as file:
                found[path] = file.seek(0, 2)
        return found

    @cached_property
    def config(self) -> configs.Config:
        with self.files[configs.NAME]() as file:
            return configs.read(file)

    @cached_property
    def header(self) -> headers.Header:
        with self.files[self.weights]() as file:
            return headers.read(file)

    @property
    def tensors(self) -> dict[str, headers.TensorInfo]:
        """Every tensor of the adapter."""
        return self.header.tensors

    @property
    def sources(self) -> list[Source]:
        """The files of tensors; none where they cannot be read at all."""
        return [Source(self.weights, self.files[self.weights], lambda: self.header)]

    @property
    def metadata(self) -> Mapping[str, str]:
        """The notes in the header of the weights."""
        return self.header.metadata

    @cached_property
    def kind(self) -> Kind | None:
        return kind_of(self.config)

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
        """The path of a head's weights that are not here though the head's config is; "" where nothing is missing."""
        return ""

    @property
    def effects(self) -> list[Effect]:
        """The groups of tensors that must not all be zero."""
        kind, layout = self.kind, self.layout
        assert kind is not None
        (source,) = self.sources
        what = some(kind.effect, 2) or "tensor"
        by_module = bool(layout.modules and kind.effect)
        return [Effect(what, self._effective(kind), source, by_module, bool(self.config.get("use_dora")))]

    def _effective(self, kind: Kind) -> dict[str, list[headers.TensorInfo]]:
        layout = self.layout
        if kind.effect:
            shared = {name: [tensor] for name, tensor in layout.shared.items() if name.startswith(kind.effect)}
            if shared:
                return shared
        found = {module: [tensor for name, tensor in own.items() if not kind.effect or name in kind.effect]
                 for module, own in layout.modules.items()}  # fmt: skip
        return {module: tensors for module, tensors in found.items() if tensors}

    @property
    def scales(self) -> dict[str, float]:
        """The scale of each module's matrices, where the files state it."""
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
        """Whether the shapes of the base are known, and what the adapter needs of them."""
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
        wrong = [(name, wanted) for name, wanted in self.expected.items() if wanted and tensors[name].shape != wanted]
        of_base = self.layout.at_home(self.kind, self.base.manifest)
        # Embeddings and biases of the base: only a vocabulary grows.
        return wrong + [
            (name, wanted) for name, wanted in of_base.items()
            if tensors[name].shape[1:] != wanted[1:] or tensors[name].shape[0] < wanted[0]
        ]  # fmt: skip

    @property
    def base_id(self) -> str | None:
        return configs.text(self.config, self.base_field)

    def is_of_base(self, tensor: headers.TensorInfo) -> bool:
        """Whether a tensor of the base holds the same values, rounded to this dtype, whatever its name."""
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
            held = file.read(twin.size * len(block) // tensor.size)
            if converted(held, twin.dtype, tensor.dtype) != block:
                return False
        return True

    def holds_alike(self, one: headers.TensorInfo, other: headers.TensorInfo) -> bool:
        """Whether two tensors of the adapter are the same, byte for byte."""
        alike = (one.dtype, one.shape) == (other.dtype, other.shape)
        return alike and all(a == b for a, b in zip(self.blocks(one), self.blocks(other), strict=True))

    def text(self, path: str) -> str:
        """The beginning of a file as text; what is no UTF-8 becomes replacement characters."""
        with self.files[path]() as file:
            return file.read(MAX_TEXT_BYTES).decode("utf-8", "replace")

    def blocks(self, tensor: headers.TensorInfo) -> Iterator[bytes]:
        return blocks_of(self.files[self.weights], tensor)


def _scale(config: configs.Config, rank: float, alpha: float) -> float:
    """How strongly PEFT adds the product of both matrices to the base: alpha / r, or alpha / sqrt(r) with rsLoRA."""
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
