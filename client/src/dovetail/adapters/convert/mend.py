"""Weights that a loader of PEFT does not find though all are there: under other names, or in several files.

Nothing of a value changes: tensors are renamed and written into one file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from dovetail.adapters.convert.lora import Lazies, read_lazily, write_lazily
from dovetail.adapters.files import config as configs
from dovetail.adapters.files.header import Header, HeaderError, Opener, TensorInfo
from dovetail.adapters.files.pickle_interpreter import Refused
from dovetail.adapters.formats import twins
from dovetail.adapters.formats.description import PICKLED_WEIGHTS, WEIGHTS
from dovetail.adapters.shapes import layout

PREFIX = "base_model.model."
SHARD = re.compile(r"adapter_model-0*(\d{1,5})-of-0*(\d{1,5})\.(?:safetensors|bin)")
INDEXES = (f"{WEIGHTS}.index.json", f"{PICKLED_WEIGHTS}.index.json")


@dataclass(frozen=True, slots=True)
class Mended:
    """The weights as PEFT looks for them. `removed` are the files whose tensors are in them; `deeds` are sentences."""

    tensors: Lazies
    metadata: Mapping[str, str]
    removed: tuple[str, ...]
    deeds: tuple[str, ...]

    @property
    def header(self) -> Header:
        """Names and shapes, without places in a file."""
        return Header({name: TensorInfo(one.dtype, one.shape, 0, 0) for name, one in self.tensors.items()}, {})

    @property
    def size(self) -> int:
        """The size in bytes, without the header."""
        return sum(one.size for one in self.tensors.values())

    def write(self, target: BinaryIO) -> None:
        """Write the file."""
        write_lazily(self.tensors, target, self.metadata)


def mended(files: Mapping[str, Opener]) -> Mended | None:
    """Return the weights at the top of some files as PEFT looks for them; None if nothing is to be mended, or not so.

    Tells names and files alone; the caller must ask whether the adapter then fits a base.
    """
    if configs.NAME not in files:
        return None
    parts = _parts(files)
    paths = parts or [path for path in (WEIGHTS, PICKLED_WEIGHTS) if path in files][:1]
    read = _read(files, paths)
    if read is None:
        return None
    tensors, metadata = read
    is_known = any("lora_" in name or layout.ADAPTER.search(name) for name in tensors)
    names = {name: _canonical(name) for name in tensors} if is_known else {}
    if len(set(names.values())) != len(tensors) or not all(name.startswith(PREFIX) for name in names.values()):
        return None
    deeds = [f"The {len(parts)} parts are joined into {WEIGHTS}."] if parts else []
    renamed = sorted(name for name, new in names.items() if name != new)
    if renamed:
        deeds.append(f"{len(renamed):,} tensors are renamed: {renamed[0]} becomes {names[renamed[0]]}.")
    if not deeds:
        return None
    removed = tuple(path for path in (*paths, *INDEXES) if path in files and path != WEIGHTS)
    return Mended({names[name]: one for name, one in tensors.items()}, metadata, removed, tuple(deeds))


def _parts(files: Mapping[str, Opener]) -> list[str]:
    """Return the parts of weights in several files, if none is missing and no whole file is beside them."""
    matches = {path: match for path in files if (match := SHARD.fullmatch(path))}
    numbers = sorted(int(match[1]) for match in matches.values())
    totals = {int(match[2]) for match in matches.values()}
    is_whole = len(totals) == 1 and numbers == list(range(1, max(totals) + 1))
    return sorted(matches) if is_whole and not {WEIGHTS, PICKLED_WEIGHTS} & files.keys() else []


def _read(files: Mapping[str, Opener], paths: list[str]) -> tuple[Lazies, dict[str, str]] | None:
    """Return the tensors and the notes of all these files; None if one cannot be read, or two hold the same name."""
    tensors: Lazies = {}
    metadata: dict[str, str] = {}
    for path in paths:
        opener: Opener = twins.Twin(files[path]) if path.endswith(".bin") else files[path]
        try:
            own, header = read_lazily(opener)
        except (HeaderError, Refused):
            return None
        if tensors.keys() & own.keys():
            return None
        tensors |= own
        metadata |= header.metadata
    return (tensors, metadata) if tensors else None


def _canonical(name: str) -> str:
    """Return the name under which PEFT saves a tensor that a wrapper, or a state dict of the whole, names otherwise."""
    bare = layout.unwrapped(name)
    return bare if bare.startswith(PREFIX) else f"{PREFIX}{bare.removeprefix('base_model.')}"
