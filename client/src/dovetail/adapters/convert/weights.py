"""Variants of the files that hold the weights: as torch.save writes them, as safetensors, and in another precision."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from dovetail.adapters.convert import lazy
from dovetail.adapters.convert.lazy import Lazies, Lazy
from dovetail.adapters.convert.lora import Loss
from dovetail.adapters.convert.peft import Writer
from dovetail.adapters.convert.refusal import Unconvertible
from dovetail.adapters.files import header as headers
from dovetail.adapters.files import torchwriter, values
from dovetail.adapters.files.header import HeaderError, Opener
from dovetail.adapters.formats import twins
from dovetail.adapters.formats.twins import SAFE

PICKLED = {safe: pickle for pickle, safe in SAFE.items()}
DTYPES = {"fp16": "F16", "bf16": "BF16"}
LOOKED_AT = (*SAFE.values(), "adapters.safetensors")


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
        raise Unconvertible("No weights here are a file of torch.save without a safetensors file beside it.")
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
                torchwriter.pickle_of(header.tensors)
            except torchwriter.Unwritable as problem:
                raise Unconvertible(f"{problem}.") from problem
            variant.files[pickle] = _pickle(opener)
            variant.replaced.add(path)
    if not variant.files:
        raise Unconvertible("No weights here are a safetensors file without a file of torch.save beside it.")
    return variant


def in_precision(files: Mapping[str, Opener], precision: str) -> Variant:
    """Return all floats of the weights in F16 or BF16. Raises `Unconvertible` for a value that is beyond it."""
    dtype, variant = DTYPES[precision], Variant({}, set())
    safe = twins.join(files)
    for path, reason in safe.refused.items():
        raise Unconvertible(f"{path} cannot be read: {reason}.")
    for path in sorted(path for path in safe.files if path.rpartition("/")[2] in LOOKED_AT):
        tensors, header = lazy.read(safe.files[path])
        is_other = [name for name, tensor in tensors.items() if tensor.dtype in values.FLOATS and tensor.dtype != dtype]
        if is_other:
            loss = Loss()
            variant.losses.append(loss)
            variant.files[path] = _converted(path, tensors, header.metadata, dtype, loss)
            variant.replaced.add(safe.made.get(path, path))
    if not variant.files:
        raise Unconvertible(f"No weights here hold floats that are not {dtype} already.")
    return variant


def _converted(path: str, tensors: Lazies, metadata: Mapping[str, str], dtype: str, loss: Loss) -> Writer:
    narrow = {name: _narrow(name, tensor, dtype, loss) for name, tensor in tensors.items()}
    return lambda target: lazy.write(narrow, target, metadata)


def _narrow(name: str, tensor: Lazy, dtype: str, loss: Loss) -> Lazy:
    if tensor.dtype not in values.FLOATS or tensor.dtype == dtype:
        return tensor

    def see(before: bytes, after: bytes) -> None:
        loss.see(name, before, tensor.dtype, after, dtype)

    return tensor.converted(dtype, lambda: Unconvertible(f"it has a value that {dtype} cannot hold.", name), see)


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
            torchwriter.write(headers.read(source), source, target)

    return write
