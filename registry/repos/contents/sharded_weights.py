"""Weights in several files: their index and the header of each file, without the tensors."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from dovetail.adapters import HeaderError
from dovetail.adapters.files import header as headers
from registry.kernel.errors import FileNotFound, ValueInvalid
from registry.repos.contents import facts
from registry.repos.contents.facts import BlobFile
from registry.repos.manifest import Entry

MAX_INDEX_BYTES = 16 << 20
MAX_SHARDS, MAX_TENSORS = 512, 100_000  # over all files: each tensor is a dictionary in memory and in the answer
MAX_PARTS, MAX_ENTRIES = 10_000, 250_000  # objects and lists in an index, and their entries: anybody can have it read


@dataclass(frozen=True)
class ShardedWeights:
    """`index` is the index without its map of tensors, which `headers` (file → its header) repeats."""

    index: dict[str, object]
    headers: dict[str, dict[str, object]]


def read_sharded_weights(entries: Mapping[str, Entry], path: str) -> ShardedWeights:
    """Return the index at `path` (such as model.safetensors.index.json) and the headers of its files.

    Raises FileNotFound, and ValueInvalid for a file that is no index, for too many files, or an unreadable header.
    """
    index = _read_index(_require_entry(entries, path))
    weight_map = index.pop("weight_map", None)
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise ValueInvalid(f"{path} holds no weight_map.", fix="Name the index of weights in several files.")
    names = sorted(set(weight_map.values()))
    if len(names) > MAX_SHARDS:
        raise _too_much(path)
    folder, file_headers, tensors = path.rpartition("/")[0], dict[str, dict[str, object]](), 0
    for name in names:  # the index may be wrong about the tensors, so the headers are read
        file_headers[name] = _header(_require_entry(entries, f"{folder}/{name}".lstrip("/")))
        tensors += len(file_headers[name]) - 1  # without the header's own __metadata__
        if tensors > MAX_TENSORS:
            raise _too_much(path)
    return ShardedWeights(index, file_headers)


def _too_much(path: str) -> ValueInvalid:
    return ValueInvalid(
        f"{path} leads to more than {MAX_SHARDS} files or {MAX_TENSORS:,} tensors.", fix="Read their headers by Range."
    )


def _require_entry(entries: Mapping[str, Entry], path: str) -> Entry:
    if path not in entries:
        raise FileNotFound(f"Entry not found: there is no file {path[:200]!r}.")
    return entries[path]


def _read_index(entry: Entry) -> dict[str, object]:
    try:
        if entry.size > MAX_INDEX_BYTES:
            raise ValueError("it is too large")
        raw = BlobFile(entry.sha256, entry.size).read()
        if raw.count(b"{") + raw.count(b"[") > MAX_PARTS or raw.count(b":") > MAX_ENTRIES:
            raise ValueError("it says too much")
        index = json.loads(raw)
        if not isinstance(index, dict):
            raise ValueError("it is no JSON object")
    except (ValueError, RecursionError) as error:
        raise ValueInvalid(f"{entry.path} is no index of weights: {str(error)[:200]}.", fix="Push it again.") from None
    return index


def _header(entry: Entry) -> dict[str, object]:
    """Return a header as it stands in the file, with offsets from the beginning of the tensors."""
    try:
        header = headers.read(facts.file_openers({entry.path: entry})[entry.path]())
    except HeaderError as error:
        raise ValueInvalid(f"{entry.path} is no safetensors file: {error}.", fix="Push it again.") from None
    start = min((tensor.offset for tensor in header.tensors.values()), default=0)
    tensors: dict[str, object] = {
        name: {
            "dtype": tensor.dtype,
            "shape": tensor.shape,
            "data_offsets": [tensor.offset - start, tensor.end - start],
        }
        for name, tensor in header.tensors.items()
    }
    return {"__metadata__": header.metadata, **tensors}
