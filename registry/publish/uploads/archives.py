"""Zip archives that people upload: the files in one, within bounds; nothing is extracted to a folder.

Only the directory of an archive is held in memory, and that one is limited; members are read in pieces.
"""

import io
import posixpath
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from registry.kernel.errors import PushTooLarge, ValueInvalid
from registry.kernel.limits import quotas
from registry.kernel.texts import names
from registry.publish.uploads.planning import MAX_ASKED

MAX_READ = 4 << 20  # bytes that one read may ask for: zipfile reads the whole directory at once
MAX_RATIO, FREE_BYTES = 200, 16 << 20  # how much larger than the archive its files may be, beyond what is small anyway
PIECE = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_CLUTTER = ("__MACOSX/", ".DS_Store", "Thumbs.db")  # files that systems add by themselves


@dataclass(frozen=True, slots=True)
class Source:
    """A file that somebody sent: its path in the repository, its size in bytes, and a function that opens it."""

    path: str
    size: int
    open: Callable[[], BinaryIO]

    @property
    def is_archive(self) -> bool:
        return self.path.lower().endswith(".zip")


def unpack(archive: Source) -> list[Source]:
    """Return the files in a zip archive; a single folder around all of them is left out of their paths.

    Raises ValueInvalid for what is no zip, for links, encrypted files and other compressions than deflate, PathInvalid,
    FileTooLarge, and PushTooLarge for too many files, too many bytes, or far more bytes than the archive has.
    """
    with _reading(archive):
        opened = zipfile.ZipFile(_Careful(archive))  # once for all members: each look would read the directory again
        listed = [info for info in opened.infolist() if not info.is_dir() and not _is_clutter(info.filename)]
    if len(listed) > MAX_ASKED:
        raise PushTooLarge(
            f"{archive.path} holds {len(listed):,} files; the limit is {MAX_ASKED:,}.", fix="Use `hf upload`."
        )
    for info in listed:
        _check(archive, info)
    total = sum(info.file_size for info in listed)
    if total > max(FREE_BYTES, archive.size * MAX_RATIO) or sum(info.compress_size for info in listed) > archive.size:
        raise PushTooLarge(
            f"The files in {archive.path} have {total:,} bytes, the archive {archive.size:,}: it is not unpacked.",
            fix="Upload the files themselves.",
        )
    quotas.check_push(total)
    top = _common_folder([info.filename for info in listed])
    return [_member(archive, opened, info, top) for info in listed]


def _is_clutter(path: str) -> bool:
    return path.startswith(_CLUTTER[0]) or posixpath.basename(path) in _CLUTTER


def _check(archive: Source, info: zipfile.ZipInfo) -> None:
    names.check_path(info.filename)
    quotas.check_file(info.filename, info.file_size)
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise ValueInvalid(f"{info.filename} in {archive.path} is a link or a device.", fix="Put the file itself in.")
    if info.flag_bits & 0x1:
        raise ValueInvalid(f"{info.filename} in {archive.path} is encrypted.", fix="Zip it without a password.")
    if info.compress_type not in _METHODS:
        raise ValueInvalid(f"{info.filename} in {archive.path} is not compressed by deflate.", fix="Zip it again.")


def _common_folder(paths: list[str]) -> str:
    """Return the folder that holds every path, with its slash; "" if there is none."""
    folder = posixpath.commonpath([posixpath.dirname(path) for path in paths]) if paths else ""
    return f"{folder}/" if folder else ""


def _member(archive: Source, opened: zipfile.ZipFile, info: zipfile.ZipInfo, top: str) -> Source:
    def open_member() -> BinaryIO:
        return io.BufferedReader(_Member(archive, opened, info))

    return Source(info.filename.removeprefix(top), info.file_size, open_member)


class _Careful(io.RawIOBase):
    """A file that refuses to be read in one large piece: a directory of an archive can name a million files."""

    def __init__(self, source: Source) -> None:
        self._source, self._file = source, source.open()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:  # zipfile reads the end of an archive so
            size = self._source.size - self.tell()
        if size > MAX_READ:
            raise zipfile.BadZipFile("its directory is too long")
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Member(io.RawIOBase):
    """The bytes of one member, decompressed while they are read."""

    def __init__(self, archive: Source, opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        self._source = archive
        with _reading(archive):
            self._file = opened.open(info)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # any writable buffer
        with _reading(self._source):
            data = self._file.read(min(len(view), PIECE))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def _reading(archive: Source) -> Iterator[None]:
    """Turn the complaints of zipfile and zlib into refusals that name the archive."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeError) as error:
        reason = f"{archive.path} cannot be read as a zip: {str(error)[:200] or 'it ends early'}."
        raise ValueInvalid(reason, fix="Zip the folder again, or upload the files themselves.") from None


def pieces(source: Source) -> Iterator[bytes]:
    """Yield the bytes of a file in pieces of at most 1 MiB."""
    with source.open() as file:
        while piece := file.read(PIECE):
            yield piece
