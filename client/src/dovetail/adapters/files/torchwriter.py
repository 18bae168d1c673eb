"""Writes the tensors of a safetensors file in the format of `torch.save`, the same bytes every time."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from dovetail.adapters.files.header import BYTES_PER_VALUE, Header, TensorInfo
from dovetail.adapters.files.pickle_interpreter import ORDERED_DICT, STORAGES, TENSOR

STORAGE_OF = {dtype: name for name, dtype in STORAGES.items()}
ALIGNMENT = 64  # of the bytes of a storage in the file, as in torch
WHEN = (1980, 1, 1, 0, 0, 0)
BLOCK_BYTES = 4 * 2**20


class Unwritable(ValueError):
    """A tensor has a dtype for which files of torch.save have no storage."""


def write(header: Header, source: BinaryIO, target: BinaryIO) -> None:
    """Write a zip with an OrderedDict of tensors, each with a storage of its own. Raises `Unwritable`."""
    pickled = pickle_of(header.tensors)
    with zipfile.ZipFile(target, "w") as archive:
        _member(archive, "data.pkl", [pickled], len(pickled))
        _member(archive, "byteorder", [b"little"], 6)
        for number, tensor in enumerate(header.tensors.values()):
            _member(archive, f"data/{number}", _blocks(tensor, source), tensor.size)
        _member(archive, "version", [b"3\n"], 2)


def pickle_of(tensors: Mapping[str, TensorInfo]) -> bytes:
    """Return a pickle (protocol 2) that names each tensor; a storage's key is the tensor's number."""
    parts = [b"\x80\x02", _global(ORDERED_DICT), b")R("]
    for number, (name, tensor) in enumerate(tensors.items()):
        if tensor.dtype not in STORAGE_OF:
            raise Unwritable(f"{name} is {tensor.dtype}, which torch.save has no storage for")
        storage = _global(f"torch {STORAGE_OF[tensor.dtype]}Storage")
        reference = [_text("storage"), storage, _text(str(number)), _text("cpu"), _number(tensor.values)]
        strides = [_product(tensor.shape[at + 1 :]) for at in range(len(tensor.shape))]
        parts += [_text(name), _global(TENSOR), b"((", *reference, b"tQ", _number(0), _row(tensor.shape), _row(strides)]
        parts += [b"\x89", _global(ORDERED_DICT), b")RtR"]
    return b"".join([*parts, b"u."])


def _global(name: str) -> bytes:
    return b"c" + name.replace(" ", "\n").encode() + b"\n"


def _text(text: str) -> bytes:
    raw = text.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def _number(number: int) -> bytes:
    if number < 2**31:
        return b"J" + struct.pack("<i", number)
    return b"\x8a\x08" + struct.pack("<q", number)


def _row(numbers: tuple[int, ...] | list[int]) -> bytes:
    return b"(" + b"".join(map(_number, numbers)) + b"t"


def _product(numbers: tuple[int, ...]) -> int:
    product = 1
    for number in numbers:
        product *= number
    return product


def _blocks(tensor: TensorInfo, source: BinaryIO) -> Iterator[bytes]:
    step = BLOCK_BYTES // BYTES_PER_VALUE[tensor.dtype] * BYTES_PER_VALUE[tensor.dtype]
    for start in range(tensor.offset, tensor.end, step):
        source.seek(start)
        yield source.read(min(step, tensor.end - start))


def _member(archive: zipfile.ZipFile, name: str, blocks: Iterator[bytes] | list[bytes], size: int) -> None:
    info = zipfile.ZipInfo(f"archive/{name}", WHEN)
    info.file_size = size
    assert archive.fp is not None
    before = archive.fp.tell() + 30 + len(info.filename) + 4
    room = -before % ALIGNMENT
    info.extra = b"FB" + struct.pack("<H", room) + b"Z" * room
    with archive.open(info, "w") as member:
        for block in blocks:
            member.write(block)
