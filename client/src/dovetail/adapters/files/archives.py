"""Unpacks the beginning of a compressed file, and opens archives, in bounded memory and with bounded work."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from dovetail.adapters.files.torchfile import BROKEN

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
