"""Facts in the files of weights of a revision, read without the tensors: shards, trainers' settings, the checkpoint."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dovetail.adapters.files import config as configs
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import HeaderError
from registry.kernel.errors import FileNotFound, RegistryError, ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.repos import bases, lookup, pull
from registry.repos.contents.facts import BlobFile, Facts, file_openers
from registry.repos.manifest import Entry
from registry.repos.refs import MAIN

KEY = "ss_new_sd_model_hash"  # of kohya's trainer: the sha256 of the file
SUFFIXES = (".safetensors", ".ckpt")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A digest, and the file of the named base that has it; no path where none of those that are known here has."""

    sha256: str
    base: str
    path: str


def checkpoint_of(described: Facts, by: Caller) -> Checkpoint | None:
    """Return what the header says beside the base that the card names; None where either, or its files, are not known.

    No query for a header without the digest.
    """
    sha256 = next((str(fact.value).lower() for fact in described.training.facts if fact.name == KEY), "")
    if not SHA256.fullmatch(sha256):
        return None
    named = next(iter(configs.names(dict(described.card.data), "base_model")), "")
    files = _files_of(named, by) if named else {}
    checkpoints = {digest: path for path, digest in files.items() if path.endswith(SUFFIXES) and "/" not in path}
    return Checkpoint(sha256, named, checkpoints.get(sha256, "")) if checkpoints else None


def _files_of(named: str, by: Caller) -> dict[str, str]:
    """Return path → sha256 of a base in the cache, or of the repository of that name on main."""
    if (base := bases.find_base(named)) and base.files:
        return dict(base.files)
    try:
        revision = pull.resolve(lookup.find(named, by, Permission.DOWNLOAD), MAIN)
        pull.require_served(revision, by)
    except RegistryError:
        return {}
    return {entry.path: entry.sha256 for entry in pull.entries(revision).values()}


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
        raise ValueInvalid(f"{path} has no weight_map.", fix="Give the index file of sharded weights.")
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
        f"{path} refers to more than {MAX_SHARDS} files or {MAX_TENSORS:,} tensors.",
        fix="Read their headers with Range requests.",
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
        raise ValueInvalid(f"{entry.path} is not a weights index: {str(error)[:200]}.", fix="Push it again.") from None
    return index


def _header(entry: Entry) -> dict[str, object]:
    """Return a header as it stands in the file, with offsets from the beginning of the tensors."""
    try:
        header = headers.read(file_openers({entry.path: entry})[entry.path]())
    except HeaderError as error:
        raise ValueInvalid(f"{entry.path} is not a safetensors file: {error}.", fix="Push it again.") from None
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
