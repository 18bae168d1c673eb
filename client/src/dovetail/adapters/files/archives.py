"""Unpacks the beginning of a compressed file, and opens archives, in bounded memory and with bounded work.

In an archive of numpy.savez, as mlx-lm once kept its adapters, it finds the arrays; nothing in it is unpickled, and the
header of an array says whether a pickle follows. Formats: numpy/lib/format.py, and mlx/io/load.cpp, which writes
bfloat16 as two bytes without a type.
"""

from __future__ import annotations

import ast
import bz2
import gzip
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from dovetail.adapters.files.header import (
    BYTES_PER_VALUE,
    MAX_DIMENSIONS,
    MAX_TENSORS,
    NAME,
    Header,
    HeaderError,
    TensorInfo,
)

BROKEN = (  # exceptions of zipfile for malformed archives
    *(zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, OSError, EOFError),
    *(ValueError, OverflowError, IndexError, KeyError, MemoryError),
)
START_BYTES = 512
PIECE = 2**16
MAX_LZMA_MEMORY = 2**28
MAX_STREAMS = 64  # of xz in a row: empty ones take 32 bytes each, and each costs a copy of the rest
MAX_DIRECTORY_BYTES = 2**25  # of a zip; each entry takes twenty times its own size in memory
INSTRUCTION = 64  # the cost of an instruction of a pickle, in bytes that are unpacked in the same time
LEAST_BUDGET, BYTE_BUDGET = 2**27, 64  # for any file, and for each of its bytes: so a plain pickle is read to its end


@dataclass(slots=True)
class Budget:
    """The work that may still be done for one file with all that lies in it, or for several: in unpacked bytes.

    A file of some kilobytes may unpack to terabytes: entries of a zip may share the same bytes, and hold zips again.
    """

    left: int

    @classmethod
    def of(cls, file: BinaryIO) -> Budget:
        """Return the budget that a file earns by its size."""
        budget = cls(LEAST_BUDGET + BYTE_BUDGET * file.seek(0, 2))
        file.seek(0)
        return budget

    @property
    def is_spent(self) -> bool:
        return self.left <= 0

    def unpack(self, size: int) -> None:
        self.left -= size + START_BYTES

    def step(self, instructions: int) -> None:
        self.left -= INSTRUCTION * instructions


class TooLargeError(zipfile.BadZipFile):
    """The directory of an archive would fill the memory."""


class _Limited(io.RawIOBase):
    """A file of which nobody reads more than `most` bytes at once: zipfile reads a whole directory of any size."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.most = file, MAX_DIRECTORY_BYTES

    def read(self, size: int = -1) -> bytes:
        if size > self.most:
            raise TooLargeError(f"its directory has {size:,} bytes")
        return self._file.read(size)

    def seek(self, place: int, whence: int = 0) -> int:
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


def open_zip(file: BinaryIO) -> zipfile.ZipFile:
    """Open an archive. Raises BadZipFile, TooLargeError for a directory that would fill the memory."""
    limited = _Limited(file)
    archive = zipfile.ZipFile(cast(IO[bytes], limited))
    limited.most = file.seek(0, 2)  # from here on a member is read
    return archive


def is_compressed(start: bytes) -> bool:
    """Return whether a file that begins like this is compressed."""
    return start.startswith(tuple(COMPRESSED))


def unpacked(file: BinaryIO, start: bytes, size: int) -> bytes:
    """Return the first bytes of what is in a compressed file; what comes out before it breaks counts.

    A reader of a stream follows the instructions at its beginning before it comes to the damage.
    """
    unpack = next(unpack for magic, unpack in COMPRESSED.items() if start.startswith(magic))
    file.seek(0)
    content = bytearray()
    try:
        for piece in unpack(file, size):
            content += piece[: size - len(content)]
            if len(content) >= size:
                break
    except (*BROKEN, lzma.LZMAError):
        pass
    file.seek(0)
    return bytes(content)


def _gunzipped(file: BinaryIO, size: int) -> Iterator[bytes]:
    with gzip.open(file) as stream:
        yield from iter(lambda: stream.read1(PIECE), b"")


def _bunzipped(file: BinaryIO, size: int) -> Iterator[bytes]:
    with bz2.open(file) as stream:
        yield from iter(lambda: stream.read1(PIECE), b"")


def _inflated(file: BinaryIO, size: int) -> Iterator[bytes]:
    stream = zlib.decompressobj()
    for packed in iter(lambda: file.read(PIECE), b""):
        while packed:
            yield stream.decompress(packed, PIECE)
            packed = stream.unconsumed_tail


def _of_old_joblib(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Unpack a file of joblib before 0.10: the length in 19 characters, and a space of Python 2, are before zlib."""
    file.seek(2 + 19)
    if file.read(1) != b" ":
        file.seek(-1, 1)
    yield from _inflated(file, size)


def _unlzmaed(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Unpack one stream or several; a stream may claim a dictionary of gigabytes."""
    packed = file.read(size)
    form = lzma.FORMAT_ALONE if packed[:1] == b"]" else lzma.FORMAT_XZ
    for _ in range(MAX_STREAMS):
        if not packed:
            break
        stream = lzma.LZMADecompressor(form, memlimit=MAX_LZMA_MEMORY)
        yield stream.decompress(packed, PIECE)
        while not stream.eof and not stream.needs_input:
            yield stream.decompress(b"", PIECE)
        packed = stream.unused_data


Unpack = Callable[[BinaryIO, int], Iterator[bytes]]
COMPRESSED: dict[bytes, Unpack] = {  # what joblib, and readers of archives, unpack, by the first bytes
    b"\x1f\x8b": _gunzipped,
    b"BZh": _bunzipped,
    b"\xfd7zXZ\x00": _unlzmaed,
    b"]\x00": _unlzmaed,
    b"x\x01": _inflated,
    b"x^": _inflated,
    b"x\x9c": _inflated,
    b"x\xda": _inflated,
    b"ZF0x": _of_old_joblib,
}


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
        raise HeaderError(f"it has {len(members):,} arrays; the limit is {MAX_TENSORS:,}")
    tensors = {info.filename.removesuffix(ARRAY): _array(file, info) for info in members}
    if len(tensors) != len(members):
        raise HeaderError("the archive has an array twice")
    end = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].offset):
        if tensor.offset < end:
            raise HeaderError(f"{name} begins at byte {tensor.offset:,}, inside another array")
        end = tensor.end
    if end > file.seek(0, 2):
        raise HeaderError("the file is truncated")
    return Header(tensors, {})


def _array(file: BinaryIO, info: zipfile.ZipInfo) -> TensorInfo:
    name = info.filename.removesuffix(ARRAY)
    if name == info.filename or not NAME.fullmatch(name):
        raise HeaderError(f"{info.filename[:80]!r} is not an array")
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & ENCRYPTED:
        raise HeaderError(f"{name} is compressed or encrypted: save it with numpy.savez or mx.savez")
    if not 0 <= info.header_offset < file.seek(0, 2):
        raise HeaderError(f"{name} begins at byte {info.header_offset:,}, outside the file")
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
        raise HeaderError(f"{name} is not a numpy array")
    file.seek(start + 8 + width)
    dtype, shape = _described(name, file.read(length))
    end = start + info.file_size
    tensor = TensorInfo(dtype, shape, offset, end)
    if tensor.size != tensor.values * BYTES_PER_VALUE[dtype]:
        raise HeaderError(f"{name} is {dtype} {list(shape)} but has {tensor.size:,} bytes")
    return tensor


def _described(name: str, text: bytes) -> tuple[str, tuple[int, ...]]:
    match = DESCRIBED.fullmatch(text)
    dtype = DTYPES.get(match[1].decode()) if match else None
    if match is None or dtype is None:
        raise HeaderError(f"{name} contains something other than numbers: {text[:60]!r}")
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
