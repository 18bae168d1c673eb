"""The folder driver of the blob store: one file for each object; knows neither rows nor HTTP."""

import ctypes
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from ctypes import c_int64
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Self

from registry.bytes.blobs.contract import BlobMissing, Bytes, BytesChanged, Entry, PartUploads, Reader
from registry.kernel.errors import StoreUnavailable

# The kernel keeps a file in blocks of memory as large as its writes, where they begin at a multiple of their size. A
# file of 100 MB that was written in chunks of 8 to 128 KiB took 10 % longer to send than one in blocks of this size. A
# virtual machine returns larger free blocks to its host: with 256 KiB, every third push of 100 MB took three times as
# long as the others.
BLOCK = 64 << 10
MOST_PARTS = 1024  # buffers that one writev(2) takes (IOV_MAX)
WRITE_BACK = 1 << 20  # bytes passed to the disk at once
# Linux only, and not in Python's os: starts to write a range to the disk without waiting.
_begin_to_write = getattr(ctypes.CDLL(None), "sync_file_range", None)
_WRITE = 2


class _FileReader:
    def __init__(self, file: BinaryIO, start: int, end: int | None) -> None:
        self._file = file
        self.version = _file_version(os.fstat(file.fileno()))
        self._left = None if end is None else max(0, end - start)
        file.seek(start)

    def read(self, size: int = -1, /) -> bytes:
        if self._left is not None:
            size = self._left if size < 0 else min(size, self._left)
        data = self._file.read(size)
        if self._left is not None:
            self._left -= len(data)
        return data

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _Written:
    """A new file: written in blocks, and flushed to the disk while it is written, so that the final sync is short."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=0)
        self._waiting: list[memoryview] = []
        self._room = BLOCK  # bytes, to the end of the block
        self._begun = self._size = 0

    def write(self, part: Bytes) -> None:
        """Take bytes that do not change afterwards: they are written once their block is full."""
        rest = memoryview(part)
        while rest:
            piece, rest = rest[: self._room], rest[self._room :]
            self._waiting.append(piece)
            self._room -= len(piece)
            if not self._room or len(self._waiting) == MOST_PARTS:
                self._write_waiting()

    def _write_waiting(self) -> None:
        file, parts = self._file.fileno(), self._waiting
        while parts:
            written = os.writev(file, parts)
            self._size += written
            # A write stops early where the disk is nearly full, and the next one says so.
            rest = memoryview(b"".join(parts))[written:] if written < sum(map(len, parts)) else None
            parts = [rest] if rest else []
        self._waiting, self._room = [], self._room or BLOCK
        if _begin_to_write and self._size - self._begun >= WRITE_BACK:
            _begin_to_write(file, c_int64(self._begun), c_int64(self._size - self._begun), _WRITE)
            self._begun = self._size

    def sync(self) -> None:
        self._write_waiting()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()


def _file_version(stat: os.stat_result) -> str:
    return f"{stat.st_ino}-{stat.st_size}-{stat.st_mtime_ns}"


@contextmanager
def _folder_errors(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise BlobMissing(key) from None
    except OSError as error:
        raise StoreUnavailable(f"The folder of stored files cannot be used: {error.strerror}.") from error


class FileStore:
    """Objects as files below one folder; the rename-free `link` makes a name appear whole and only once."""

    keeps_headers = False

    def __init__(self, root: Path) -> None:
        self._root = root
        self._unfinished = root / "unfinished"
        with _folder_errors(str(root)):
            self._unfinished.mkdir(parents=True, exist_ok=True)

    def _path(self, key: str) -> Path:
        if key.startswith("/") or ".." in key.split("/"):
            raise ValueError(f"{key!r} is not a key")
        return self._root / key

    def check(self) -> None:
        probe = self._unfinished / str(uuid.uuid4())
        with _folder_errors(str(self._root)):
            probe.write_bytes(b"")
            probe.unlink()

    def put(self, key: str, parts: Iterable[Bytes]) -> bool:
        path, unfinished = self._path(key), self._unfinished / str(uuid.uuid4())
        try:
            # Errors of `parts` belong to the caller; only errors of our own file are the store's.
            with _folder_errors(key):
                file = _Written(unfinished)
            with file:
                for part in parts:
                    with _folder_errors(key):
                        file.write(part)
                with _folder_errors(key):
                    file.sync()
            with _folder_errors(key):
                return _link(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)

    def open(self, key: str, start: int = 0, end: int | None = None) -> Reader:
        with _folder_errors(key):
            return _FileReader(self._path(key).open("rb"), start, end)

    def size(self, key: str) -> int:
        with _folder_errors(key):
            return self._path(key).stat().st_size

    def promote(self, staged: str, key: str, version: str) -> None:
        source = self._path(staged)
        with _folder_errors(staged):
            if _file_version(source.stat()) != version:
                raise BytesChanged(staged)
            _link(source, self._path(key))
            source.unlink()

    def publish(self, key: str, data: bytes, *, kind: str, cache: str, facts: Mapping[str, str]) -> None:
        path, unfinished = self._path(key), self._unfinished / str(uuid.uuid4())
        with _folder_errors(key):
            unfinished.write_bytes(data)
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.replace(path)

    def share(self, key: str, public_key: str, cache: str) -> None:
        with _folder_errors(key):
            _link(self._path(key), self._path(public_key))

    def let_anybody_read(self, prefix: str) -> str:
        raise ValueError("the web server that serves a folder decides who may read it")

    def delete(self, key: str) -> None:
        with _folder_errors(key):
            self._path(key).unlink(missing_ok=True)

    def list(self, prefix: str) -> Iterator[Entry]:
        folder = self._path(prefix if prefix.endswith("/") else prefix.rpartition("/")[0])
        for path in folder.rglob("*"):
            key = path.relative_to(self._root).as_posix()
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue  # deleted since the folder was read
            if key.startswith(prefix) and path.is_file():
                yield Entry(key, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC))

    def tidy(self, before: datetime) -> int:
        stale = [entry.key for entry in self.list("unfinished/") if entry.modified_at < before]
        for key in stale:
            self.delete(key)
        return len(stale)

    def presigned_get(self, key: str, filename: str, seconds: int) -> str | None:
        return None

    def presigned_put(self, key: str, seconds: int) -> str | None:
        return None

    def in_parts(self) -> PartUploads | None:
        return None

    def local_path(self, key: str) -> Path | None:
        return self._path(key)


def _link(source: Path, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name must survive a power cut too, not only the bytes
    finally:
        os.close(folder)
    return True
