"""The slim variant: whole embeddings that equal those of the base are left out, since a loader takes the base's own."""

from __future__ import annotations

from collections.abc import Mapping

from dovetail.adapters.convert import lazy
from dovetail.adapters.convert.lazy import Lazies, Lazy
from dovetail.adapters.convert.peft import CONFIG, PREFIX, WEIGHTS, json_writer, read_config, read_tensors
from dovetail.adapters.convert.refusal import Unconvertible
from dovetail.adapters.convert.weights import Variant
from dovetail.adapters.files import config as configs
from dovetail.adapters.files import values
from dovetail.adapters.files.config import Config
from dovetail.adapters.files.header import HeaderError, Opener

TABLES = ("embed_tokens", "lm_head", "wte", "word_embeddings", "embed_in", "embed_out")
WRAPPERS = (".base_layer.", ".modules_to_save.", ".original_module.")  # PEFT may save one table under several of them
TIED = ("lm_head.weight", "embed_out.weight")


def without_copies(files: Mapping[str, Opener], base_files: Mapping[str, Opener]) -> Variant:
    """Return config and weights without the copies. Raises `Unconvertible` where no table equals the base's."""
    config, tensors, base = read_config(files), read_tensors(files), base_tensors(base_files)
    tables = {name: path for name in tensors if (path := _table(name))}
    if not tables:
        raise Unconvertible("It holds no whole embedding and no whole output layer.")
    copies = {name for name, path in tables.items() if _is_copy(path, tensors[name], base, config)}
    if not copies:
        name, path = next(iter(tables.items()))
        raise Unconvertible("it is not equal to that of the base, bit for bit.", name)
    kept = {name: tensor for name, tensor in tensors.items() if name not in copies}
    dropped = {tables[name].removesuffix(".weight").rpartition(".")[2] for name in copies}
    remaining = {path.removesuffix(".weight").rpartition(".")[2] for name, path in tables.items() if name not in copies}
    slim = _without(config, dropped - remaining)
    writers = {WEIGHTS: lambda target: lazy.write(kept, target)}
    if slim != config:
        writers[CONFIG] = json_writer(slim)
    return Variant(writers, set(writers))


def base_tensors(files: Mapping[str, Opener]) -> Lazies:
    """Return the tensors of all safetensors files of a base. Raises `Unconvertible` without one."""
    tensors: Lazies = {}
    for path in sorted(path for path in files if path.endswith(".safetensors") and "/" not in path):
        try:
            tensors |= lazy.read(files[path])[0]
        except HeaderError as problem:
            raise Unconvertible(f"{path} of the base cannot be read: {problem}.") from problem
    if not tensors:
        raise Unconvertible("The base has no safetensors file to compare with.")
    return tensors


def _table(name: str) -> str:
    """Return the base's name of a whole table in the file; "" for any other tensor."""
    path = name.removeprefix(PREFIX)
    for wrapper in WRAPPERS:
        path = path.replace(wrapper, ".")
    is_table = name.startswith(PREFIX) and path.endswith(".weight") and path.split(".")[-2] in TABLES
    return path if is_table and ".lora_" not in path else ""


def _is_copy(path: str, tensor: Lazy, base: Lazies, config: Config) -> bool:
    names = [name for name in base if f".{name}".endswith(f".{path}") or f".{path}".endswith(f".{name}")]
    if not names and path in TIED:  # a base with one table for input and output keeps it under the other name
        names = [name for name in base if name.rpartition(".")[0].rpartition(".")[2] in TABLES]
    if len(names) != 1 or base[names[0]].shape != tensor.shape:
        return False
    return _is_equal(tensor, base[names[0]])


def _is_equal(tensor: Lazy, own: Lazy) -> bool:
    """Compare value by value, a row block at a time; floats of unlike width are equal if widening makes them so."""
    if tensor.dtype == own.dtype:
        return all(left == right for left, right in zip(tensor.blocks(), own.blocks(), strict=True))
    if not {tensor.dtype, own.dtype} <= set(values.FLOATS):
        return False
    pieces = zip(lazy.values_of(tensor), lazy.values_of(own), strict=True)
    return all(values.is_same(left, tensor.dtype, right, own.dtype) for left, right in pieces)


def _without(config: Config, dropped: set[str]) -> Config:
    """Return the config without modules_to_save that are no longer in the file."""
    saved = configs.names(config, "modules_to_save")
    kept = [name for name in saved if name.rpartition(".")[2] not in dropped]
    return config if len(kept) == len(saved) else {**config, "modules_to_save": kept or None}
