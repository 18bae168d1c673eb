"""Weights that lie in several files: what their index and the header of each say, without the tensors themselves."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from dovetail.adapters import HeaderError
from dovetail.adapters import header as headers
from registry.kernel.errors import FileNotFound, ValueInvalid
from registry.repos import facts
from registry.repos.facts import BlobFile
from registry.repos.manifest import Entry

MAX_INDEX_BYTES = 16 << 20
MAX_SHARDS, MAX_TENSORS = 512, 100_000  # of all files together: each is a dictionary in memory and in the answer
MAX_PARTS, MAX_ENTRIES = 10_000, 250_000  # objects and lists in an index, and what they hold: it is read for anybody


@dataclass(frozen=True)
class ShardedWeights:
    """`index` is what the index says but for its map of tensors, which the headers (file → its header) say again."""

    index: dict[str, object]
    headers: dict[str, dict[str, object]]


def read_sharded_weights(entries: Mapping[str, Entry], path: str) -> ShardedWeights:
    """Return what the index at `path` (model.safetensors.index.json, say) and its files' headers say.

    Raises FileNotFound, and ValueInvalid for what is no index, names too many files, or has a header nobody can read.
    """
    said = _index(_there(entries, path))
    where = said.pop("weight_map", None)
    if not isinstance(where, dict) or not all(isinstance(name, str) for name in where.values()):
        raise ValueInvalid(f"{path} holds no weight_map.", fix="Name the index of weights in several files.")
    names = sorted(set(where.values()))
    if len(names) > MAX_SHARDS:
        raise _too_much(path)
    folder, found, tensors = path.rpartition("/")[0], dict[str, dict[str, object]](), 0
    for name in names:  # what the index says of them is not what they hold
        found[name] = _header(_there(entries, f"{folder}/{name}".lstrip("/")))
        tensors += len(found[name]) - 1  # beside what the header says of itself
        if tensors > MAX_TENSORS:
            raise _too_much(path)
    return ShardedWeights(said, found)


def _too_much(path: str) -> ValueInvalid:
    return ValueInvalid(
        f"{path} leads to more than {MAX_SHARDS} files or {MAX_TENSORS:,} tensors.", fix="Read their headers by Range."
    )


def _there(entries: Mapping[str, Entry], path: str) -> Entry:
    if path not in entries:
        raise FileNotFound(f"Entry not found: there is no file {path[:200]!r}.")
    return entries[path]


def _index(entry: Entry) -> dict[str, object]:
    try:
        if entry.size > MAX_INDEX_BYTES:
            raise ValueError("it is too large")
        raw = BlobFile(entry.sha256, entry.size).read()
        if raw.count(b"{") + raw.count(b"[") > MAX_PARTS or raw.count(b":") > MAX_ENTRIES:
            raise ValueError("it says too much")
        said = json.loads(raw)
        if not isinstance(said, dict):
            raise ValueError("it is no JSON object")
    except (ValueError, RecursionError) as error:
        raise ValueInvalid(f"{entry.path} is no index of weights: {str(error)[:200]}.", fix="Push it again.") from None
    return said


def _header(entry: Entry) -> dict[str, object]:
    """Return a header as it stands in the file: offsets count from where the tensors begin."""
    try:
        read = headers.read(facts.file_openers({entry.path: entry})[entry.path]())
    except HeaderError as error:
        raise ValueInvalid(f"{entry.path} is no safetensors file: {error}.", fix="Push it again.") from None
    start = min((tensor.offset for tensor in read.tensors.values()), default=0)
    tensors: dict[str, object] = {
        name: {"dtype": one.dtype, "shape": one.shape, "data_offsets": [one.offset - start, one.end - start]}
        for name, one in read.tensors.items()
    }
    return {"__metadata__": read.metadata, **tensors}
