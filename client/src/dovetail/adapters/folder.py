"""The files of one revision as the checks see them; each fact is read once, when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from dovetail.adapters import config as configs
from dovetail.adapters import header as headers
from dovetail.adapters.description import PICKLED_WEIGHTS, WEIGHTS
from dovetail.adapters.fit import Manifest, Shape, expected
from dovetail.adapters.header import Opener
from dovetail.adapters.kinds import Kind, kind_of
from dovetail.adapters.layout import Layout, sort_tensors
from dovetail.adapters.twins import Joined
from dovetail.adapters.values import FLOATS, converted

MAX_FILES = 10_000
MAX_TEXT_BYTES = 256 * 2**10
BLOCK_BYTES = 8 * 2**20


def opener_of(path: Path) -> Opener:
    return lambda: path.open("rb")


def files_in(folder: Path) -> dict[str, Opener]:
    """The regular files under a folder, by their path in it. Links are left out, wherever they point to."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): opener_of(path) for path in found[:MAX_FILES]}


def blocks_of(opener: Opener, tensor: headers.TensorInfo) -> Iterator[bytes]:
    """The bytes of a tensor, a whole number of values at a time, so that memory does not grow with the file."""
    with opener() as file:
        for start in range(tensor.offset, tensor.end, BLOCK_BYTES):
            file.seek(start)
            yield file.read(min(BLOCK_BYTES, tensor.end - start))


@dataclass(frozen=True, slots=True)
class Base:
    """What is known of the frozen base the adapter is checked against."""

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
    def base_id(self) -> str | None:
        return configs.text(self.config, "base_model_name_or_path")

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
