"""Finds the arrays in an archive of numpy.savez, as mlx-lm once kept its adapters; nothing in it is unpickled.

The header of an array says whether a pickle follows. Formats: numpy/lib/format.py, and mlx/io/load.cpp, which writes
bfloat16 as two bytes without a type.
"""

from __future__ import annotations

import ast
import re
import zipfile
from collections.abc import Iterator
from typing import IO, BinaryIO

from dovetail.adapters.files.archives import open_zip
from dovetail.adapters.files.header import (
    BYTES_PER_VALUE,
    MAX_DIMENSIONS,
    MAX_TENSORS,
    NAME,
    Header,
    HeaderError,
    TensorInfo,
)
from dovetail.adapters.files.torchfile import BROKEN

SUFFIX, ARRAY = ".npz", ".npy"
MAX_ARRAY_HEADER = 1 << 12
LOCAL_HEADER = 30  # bytes, before the name and the extra fields of a member (APPNOTE.TXT 4.3.7)
ENCRYPTED = 1
MAGIC = b"\x93NUMPY"
DTYPES = {"f8": "F64", "f4": "F32", "f2": "F16", "V2": "BF16", "i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8"}
DESCRIBED = re.compile(
    rb"\{'descr': '[<|]?(\w\d)', 'fortran_order': (True|False), 'shape': \(([\d, ]{0,200})\),? ?\}\s*"
)
SHAPE = re.compile(r"(?:\d{1,15}, ?)*(?:\d{1,15})?")  # a comma ends each size, so that there is one way to read it


def read(file: BinaryIO) -> Header:
    """Return the arrays of a seekable file by name, each with its place in the file. Raises `HeaderError`."""
    try:
        with open_zip(file) as archive:
            members = archive.infolist()
    except BROKEN as problem:
        raise HeaderError(f"the archive cannot be read ({str(problem)[:100]})") from problem
    if len(members) > MAX_TENSORS:
        raise HeaderError(f"{len(members):,} arrays are more than the {MAX_TENSORS:,} allowed")
    tensors = {info.filename.removesuffix(ARRAY): _array(file, info) for info in members}
    if len(tensors) != len(members):
        raise HeaderError("the archive names an array twice")
    end = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].offset):
        if tensor.offset < end:
            raise HeaderError(f"{name} begins at byte {tensor.offset:,}, within another array")
        end = tensor.end
    if end > file.seek(0, 2):
        raise HeaderError("the file is cut off")
    return Header(tensors, {})


def _array(file: BinaryIO, info: zipfile.ZipInfo) -> TensorInfo:
    name = info.filename.removesuffix(ARRAY)
    if name == info.filename or not NAME.fullmatch(name):
        raise HeaderError(f"{info.filename[:80]!r} is no array")
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & ENCRYPTED:
        raise HeaderError(f"{name} is compressed or encrypted: save it with numpy.savez or mx.savez")
    file.seek(info.header_offset)
    local = file.read(LOCAL_HEADER)
    start = info.header_offset + len(local) + int.from_bytes(local[26:28], "little")
    start += int.from_bytes(local[28:30], "little")
    file.seek(start)
    begin = file.read(12)
    width = 2 if begin[6:7] == b"\x01" else 4
    length = int.from_bytes(begin[8 : 8 + width], "little")
    offset = start + 8 + width + length
    if begin[:6] != MAGIC or length > MAX_ARRAY_HEADER:
        raise HeaderError(f"{name} is no array of numpy")
    file.seek(start + 8 + width)
    dtype, shape = _described(name, file.read(length))
    end = start + info.file_size
    tensor = TensorInfo(dtype, shape, offset, end)
    if tensor.size != tensor.values * BYTES_PER_VALUE[dtype]:
        raise HeaderError(f"{name} is {dtype} {list(shape)} but owns {tensor.size:,} bytes")
    return tensor


def _described(name: str, text: bytes) -> tuple[str, tuple[int, ...]]:
    match = DESCRIBED.fullmatch(text)
    dtype = DTYPES.get(match[1].decode()) if match else None
    if match is None or dtype is None:
        raise HeaderError(f"{name} holds something else than numbers: {text[:60]!r}")
    if not SHAPE.fullmatch(sizes := match[3].decode()):
        raise HeaderError(f"{name} has no shape: {sizes[:60]!r}")
    shape = tuple(int(size) for size in sizes.split(",") if size.strip())
    if match[2] == b"True" and len(shape) > 1:
        raise HeaderError(f"{name} is stored column by column: save it with numpy.ascontiguousarray")
    if len(shape) > MAX_DIMENSIONS or 0 in shape:
        raise HeaderError(f"{name} needs up to {MAX_DIMENSIONS} dimensions, each of at least 1")
    return dtype, shape


OBJECTS = re.compile(rb"""['"][|<>=]?O\d*['"]""")  # the dtype of an array that numpy saves as a pickle
OBJECT = re.compile(r"(?<![A-Za-z])(?:O|object)")  # in the names of dtypes
OF_PYTHON_2 = re.compile(r"(\d)L\b")  # a number as it wrote it
MAX_HEADER = 2**16


def holds_objects(file: IO[bytes]) -> bool:
    """Read the header of an array; return whether numpy takes its dtype for one of objects, however it is written."""
    start = file.read(8)
    if start[:6] != MAGIC:
        return False
    size = int.from_bytes(file.read(2 if start[6:7] == b"\x01" else 4), "little")
    header = file.read(min(size, MAX_HEADER))
    if size > MAX_HEADER:
        return True  # of this length nobody writes one
    try:
        content = ast.literal_eval(OF_PYTHON_2.sub(r"\1", header.decode("latin-1").strip()))
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return bool(OBJECTS.search(header))
    descr = content.get("descr") if isinstance(content, dict) else None
    return any(map(OBJECT.search, _dtypes(descr)))


def _dtypes(descr: object) -> Iterator[str]:
    """Yield the types of values in a dtype: a name, some (field, dtype), or (dtype, shape)."""
    if isinstance(descr, str):
        yield descr
    elif isinstance(descr, tuple) and descr:
        yield from _dtypes(descr[0])
    for field in descr if isinstance(descr, list) else ():
        yield from _dtypes(field[1] if isinstance(field, tuple) and len(field) > 1 else None)
