"""Variants of the files that hold the weights: by torch.save, as safetensors, in another precision, or slim.

Slim leaves out whole embeddings that equal those of the base, since a loader takes the base's own.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from dovetail.adapters.convert import lora
from dovetail.adapters.convert.lora import Lazies, Lazy, Loss, Unconvertible, read_lazily, write_lazily
from dovetail.adapters.convert.peft import CONFIG, PREFIX, WEIGHTS, Writer, json_writer, read_config, read_tensors
from dovetail.adapters.files import config as configs
from dovetail.adapters.files import header as headers
from dovetail.adapters.files import torchfile, values
from dovetail.adapters.files.config import Config
from dovetail.adapters.files.header import HeaderError, Opener
from dovetail.adapters.formats import twins

PICKLED = {safe: pickle for pickle, safe in twins.SAFE.items()}
DTYPES = {"fp16": "F16", "bf16": "BF16"}
LOOKED_AT = (*twins.SAFE.values(), "adapters.safetensors")


@dataclass
class Variant:
    """New files in place of `replaced`; all others stay."""

    files: dict[str, Writer]
    replaced: set[str]
    losses: list[Loss] = field(default_factory=list)


def as_safetensors(files: Mapping[str, Opener]) -> Variant:
    """Return each pickle of weights as safetensors, byte for byte. Raises `Unconvertible` if one holds more."""
    pickles = twins.alone(files)
    if not pickles:
        raise Unconvertible("There are no weights in a file of torch.save without a safetensors file beside it.")
    joined = twins.join(files)
    for path, reason in joined.refused.items():
        raise Unconvertible(f"{path} cannot be read: {reason}.")
    return Variant({safe: copier(joined.files[safe]) for _, safe in pickles}, {path for path, _ in pickles})


def as_pickles(files: Mapping[str, Opener]) -> Variant:
    """Return each safetensors file of weights as torch.save would write it."""
    variant = Variant({}, set())
    for path, opener in files.items():
        folder, slash, name = path.rpartition("/")
        if name in PICKLED and (pickle := f"{folder}{slash}{PICKLED[name]}") not in files:
            header = _header(path, opener)
            try:
                torchfile.pickle_of(header.tensors)
            except torchfile.Unwritable as problem:
                raise Unconvertible(f"{problem}.") from problem
            variant.files[pickle] = _pickle(opener)
            variant.replaced.add(path)
    if not variant.files:
        raise Unconvertible("There are no weights in a safetensors file without a file of torch.save beside it.")
    return variant


def in_precision(files: Mapping[str, Opener], precision: str) -> Variant:
    """Return all floats of the weights in F16 or BF16. Raises `Unconvertible` for a value that is beyond it."""
    dtype, variant = DTYPES[precision], Variant({}, set())
    safe = twins.join(files)
    for path, reason in safe.refused.items():
        raise Unconvertible(f"{path} cannot be read: {reason}.")
    for path in sorted(path for path in safe.files if path.rpartition("/")[2] in LOOKED_AT):
        tensors, header = read_lazily(safe.files[path])
        is_other = [name for name, tensor in tensors.items() if tensor.dtype in values.FLOATS and tensor.dtype != dtype]
        if is_other:
            loss = Loss()
            variant.losses.append(loss)
            variant.files[path] = _converted(path, tensors, header.metadata, dtype, loss)
            variant.replaced.add(safe.made.get(path, path))
    if not variant.files:
        raise Unconvertible(f"There are no float weights that are not {dtype} already.")
    return variant


def _converted(path: str, tensors: Lazies, metadata: Mapping[str, str], dtype: str, loss: Loss) -> Writer:
    narrow = {name: _narrow(name, tensor, dtype, loss) for name, tensor in tensors.items()}
    return lambda target: write_lazily(narrow, target, metadata)


def _narrow(name: str, tensor: Lazy, dtype: str, loss: Loss) -> Lazy:
    if tensor.dtype not in values.FLOATS or tensor.dtype == dtype:
        return tensor

    def see(before: bytes, after: bytes) -> None:
        loss.see(name, before, tensor.dtype, after, dtype)

    return tensor.converted(dtype, lambda: Unconvertible(f"it has a value that {dtype} cannot represent.", name), see)


def _header(path: str, opener: Opener) -> headers.Header:
    try:
        with opener() as file:
            return headers.read(file)
    except HeaderError as problem:
        raise Unconvertible(f"{path} cannot be read: {problem}.") from problem


def copier(opener: Opener) -> Writer:
    def write(target: BinaryIO) -> None:
        with opener() as source:
            shutil.copyfileobj(source, target, 1 << 20)

    return write


def _pickle(opener: Opener) -> Writer:
    def write(target: BinaryIO) -> None:
        with opener() as source:
            torchfile.write(headers.read(source), source, target)

    return write


TABLES = ("embed_tokens", "lm_head", "wte", "word_embeddings", "embed_in", "embed_out")
WRAPPERS = (".base_layer.", ".modules_to_save.", ".original_module.")  # PEFT may save one table under several of them
TIED = ("lm_head.weight", "embed_out.weight")


def without_copies(files: Mapping[str, Opener], base_files: Mapping[str, Opener]) -> Variant:
    """Return config and weights without the copies. Raises `Unconvertible` where no table equals the base's."""
    config, tensors, base = read_config(files), read_tensors(files), base_tensors(base_files)
    tables = {name: path for name in tensors if (path := _table(name))}
    if not tables:
        raise Unconvertible("It contains no whole embedding and no whole output layer.")
    copies = {name for name, path in tables.items() if _is_copy(path, tensors[name], base, config)}
    if not copies:
        name, path = next(iter(tables.items()))
        raise Unconvertible("it differs from that of the base.", name)
    kept = {name: tensor for name, tensor in tensors.items() if name not in copies}
    dropped = {tables[name].removesuffix(".weight").rpartition(".")[2] for name in copies}
    remaining = {path.removesuffix(".weight").rpartition(".")[2] for name, path in tables.items() if name not in copies}
    slim = _without(config, dropped - remaining)
    writers = {WEIGHTS: lambda target: write_lazily(kept, target)}
    if slim != config:
        writers[CONFIG] = json_writer(slim)
    return Variant(writers, set(writers))


def base_tensors(files: Mapping[str, Opener]) -> Lazies:
    """Return the tensors of all safetensors files of a base. Raises `Unconvertible` without one."""
    tensors: Lazies = {}
    for path in sorted(path for path in files if path.endswith(".safetensors") and "/" not in path):
        try:
            tensors |= read_lazily(files[path])[0]
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
    pieces = zip(lora.values_of(tensor), lora.values_of(own), strict=True)
    return all(values.is_same(left, tensor.dtype, right, own.dtype) for left, right in pieces)


def _without(config: Config, dropped: set[str]) -> Config:
    """Return the config without modules_to_save that are no longer in the file."""
    saved = configs.names(config, "modules_to_save")
    kept = [name for name in saved if name.rpartition(".")[2] not in dropped]
    return config if len(kept) == len(saved) else {**config, "modules_to_save": kept or None}
