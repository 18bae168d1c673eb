"""Tars of stored files that are built while they are read: the same files give the same bytes, from any position.

A change of what these functions return would change the digests of layers that clients have pinned.
"""

import hashlib
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from registry.bytes import blobs
from registry.repos import pull
from registry.repos.manifest import folders_of

BLOCK = 512
_END = bytes(2 * BLOCK)


@dataclass(frozen=True, slots=True)
class TarFile:
    """A file of a tar."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a tar: bytes that are known, or a stored object (`data` is None)."""

    size: int
    data: bytes | None = None
    sha256: str = ""


def size_of(files: Iterable[TarFile]) -> int:
    """Return the size of the tar of these files in bytes."""
    return sum(part.size for part in _parts(files))


def digest_of(files: Iterable[TarFile]) -> str:
    """Return the sha256 of the tar of these files; reads all of them. Raises StoreUnavailable."""
    hasher = hashlib.sha256()
    for piece in read(files):
        hasher.update(piece)
    return hasher.hexdigest()


def read(files: Iterable[TarFile], start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Yield bytes [start, end) of the tar of these files, in pieces of at most 1 MiB. Raises StoreUnavailable."""
    at = 0
    for part in _parts(files):
        first, last = max(start - at, 0), part.size if end is None else min(end - at, part.size)
        at += part.size
        if first >= last:
            continue
        if part.data is not None:
            yield part.data[first:last]
        else:
            yield from _stored(part.sha256, first, last)


def _stored(sha256: str, start: int, end: int) -> Iterator[bytes]:
    source = pull.open_object(blobs.Keys.blob(sha256), start, end)
    try:
        while piece := source.read(blobs.PIECE):
            yield piece
    finally:
        source.close()


def _parts(files: Iterable[TarFile]) -> Iterator[_Part]:
    folders: set[str] = set()
    for file in files:
        above = [folder for folder in reversed(list(folders_of(file.path))) if folder and folder not in folders]
        folders.update(above)
        head = b"".join(_header(f"{folder}/", 0, tarfile.DIRTYPE, 0o755) for folder in above)
        head += _header(file.path, file.size, tarfile.REGTYPE, 0o644)
        yield _Part(len(head), head)
        yield _Part(file.size, sha256=file.sha256)
        if padding := -file.size % BLOCK:
            yield _Part(padding, bytes(padding))
    yield _Part(len(_END), _END)


def _header(path: str, size: int, kind: bytes, mode: int) -> bytes:
    info = tarfile.TarInfo(path)
    info.size, info.type, info.mode, info.mtime = size, kind, mode, 0
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
