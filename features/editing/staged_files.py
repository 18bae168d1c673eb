"""Files that wait for their commit: stored and believed, named by path, and committed by the same way as a push.

A browser stages files first and commits them after a look at what they are. Nothing but the bytes is kept between:
what is staged is a list that the browser holds. It gives no right to bytes, which are looked up for the caller again.

Files come in Zip archives too, within bounds; nothing is extracted to a folder. Only the directory of an archive is
held in memory, and that one is limited; members are read in pieces.
"""

import io
import json
import posixpath
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction

from registry.bytes import blobs, intake
from registry.bytes.blobs import Digest
from registry.kernel import quotas
from registry.kernel.errors import BlobUnknown, PushTooLarge, ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.texts import names
from registry.models import Blob, Ref, Repository
from registry.publish import plans, push, repositories, uploads
from registry.publish.plans import MAX_ASKED, Asked
from registry.publish.push import Inline, Intent, Operation, Stored
from registry.repos import downloads, manifest
from registry.repos.contents import facts
from registry.repos.manifest import Entry
from registry.repos.refs import MAIN

MAX_READ = 4 << 20  # bytes that one read may ask for: zipfile reads the whole directory at once
MAX_RATIO, FREE_BYTES = 200, 16 << 20  # how much larger than the archive its files may be, beyond what is small anyway
PIECE = 1 << 20
FIRST_TITLE = "First version"  # of the commit that an adapter begins with
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


def files_in(archive: Source) -> list[Source]:
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
            f"The files in {archive.path} have {total:,} bytes, the zip itself {archive.size:,}: it was not unpacked.",
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
        raise ValueInvalid(
            f"{info.filename} in {archive.path} is a link or a device.", fix="Replace it with a regular file."
        )
    if info.flag_bits & 0x1:
        raise ValueInvalid(f"{info.filename} in {archive.path} is encrypted.", fix="Create the zip without a password.")
    if info.compress_type not in _METHODS:
        raise ValueInvalid(
            f"{info.filename} in {archive.path} does not use deflate compression.", fix="Create the zip again."
        )


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


MAX_LIST = 1 << 20  # characters


@dataclass(frozen=True, slots=True)
class Staged:
    """A file whose bytes are here; size in bytes."""

    path: str
    sha256: str
    size: int


def parse(text: str) -> list[Staged]:
    """Read the list that `listed` wrote and a browser sent back. Raises ValueInvalid and PushTooLarge."""
    try:
        rows: Iterable[tuple[object, object, int]] = json.loads(text) if len(text) <= MAX_LIST else ()
        staged = [Staged(names.check_path(str(path)), str(digest), int(size)) for path, digest, size in rows]
    except (ValueError, TypeError, OverflowError, RecursionError):  # JSON of Python has Infinity
        raise ValueInvalid("The list of uploaded files cannot be read.", fix="Choose the files again.") from None
    for file in staged:
        uploads.check_digest(file.sha256)
    check_list([file.path for file in staged])
    return staged


def listed(staged: Iterable[Staged]) -> str:
    """Return the files as JSON: [[path, sha256, size], …]."""
    return json.dumps([[file.path, file.sha256, file.size] for file in staged], separators=(",", ":"))


def stage(
    repository: Repository | None, ref: str, sources: Sequence[Source], by: Caller, count: Callable[[int], None]
) -> list[Staged]:
    """Store files, and those in zip archives in place of the archives; nothing is held in memory.

    Without a repository they are those of a draft.

    `count` is called first with the number of their bytes, and may refuse: a small archive may hold many, and what is
    never committed stays for days.

    Raises what plans.decide and files_in raise, before any byte is stored, and ValueInvalid for two files of
    one path. Call push.require_for before.
    """
    files = [file for source in sources for file in (files_in(source) if source.is_archive else [source])]
    check_list([names.check_path(file.path) for file in files])
    asked = [Asked(file.path, file.size) for file in files]
    if repository is None:
        plans.check(asked)
    else:
        plans.decide(repository, ref, asked, by=by)
    count(sum(file.size for file in files))
    return [_stored(repository, file) for file in files]


def unpack(
    repository: Repository, ref: str, staged: Sequence[Staged], by: Caller, count: Callable[[int], None]
) -> list[Staged]:
    """Return the files with those in staged zip archives in place of the archives. Raises what `stage` raises."""
    require_usable(repository, staged, by)
    packed = [Source(file.path, file.size, _opener(file)) for file in staged if _is_archive(file)]
    plain = [file for file in staged if not _is_archive(file)]
    unpacked = stage(repository, ref, packed, by, count) if packed else []
    check_list([file.path for file in [*plain, *unpacked]])
    return plain + unpacked


def require_usable(repository: Repository, staged: Iterable[Staged], by: Caller) -> None:
    """Raise BlobUnknown unless the caller may link each of these bytes into the repository."""
    files = list(staged)
    sizes = downloads.usable_blobs(repository, {file.sha256 for file in files}, by)
    for file in files:
        if sizes.get(file.sha256) != file.size:
            reason = f"The bytes of {file.path} are not here: they were never sent, or have waited for too long."
            raise BlobUnknown(reason, fix="Choose the file again; the other uploads are kept.")


def entries(repository: Repository, ref: str, staged: Sequence[Staged], by: Caller) -> dict[str, Entry]:
    """Return the files that the ref would have after a commit of these (path → entry). Raises what `unpack` raises.

    Small ones have no `git_oid`, for which their bytes would be read.
    """
    require_usable(repository, staged, by)
    planned, current = plans.decide(repository, ref, [Asked(file.path, file.size) for file in staged], by=by)
    is_lfs = {file.path: file.is_lfs for file in planned}
    return {**current, **{file.path: entry_of(file, is_lfs=is_lfs[file.path]) for file in staged}}


def operations(staged: Iterable[Staged], entries: Mapping[str, Entry]) -> Iterator[Operation]:
    """Yield the operations of a push of these files, small ones inline, as clients send them.

    `entries` are what the function of that name returned in this request.
    """
    for file in staged:
        if entries[file.path].is_lfs:
            yield Stored(file.path, file.sha256, file.size)
        else:
            yield Inline(file.path, read(file))


def read(file: Staged | Entry) -> bytes:
    """Return the bytes of a small file."""
    return facts.BlobFile(file.sha256, file.size).read()


def entry_of(file: Staged, *, is_lfs: bool) -> Entry:
    if is_lfs:
        return manifest.lfs_entry(file.path, file.sha256, file.size)
    return Entry(file.path, file.sha256, file.size, is_lfs=False, git_oid="")


def _stored(repository: Repository | None, source: Source) -> Staged:
    """Store a file; it is read twice, since its digest names the place."""
    hasher = blobs.Hasher()
    for _ in blobs.hash_through(pieces(source), hasher):
        pass
    digest: blobs.Digest = hasher.digest()
    intake.store_and_register(repository, digest, lambda: pieces(source))
    return Staged(names.check_path(source.path), digest.sha256, digest.size)


def _is_archive(file: Staged) -> bool:
    return file.path.lower().endswith(".zip")


def _opener(file: Staged) -> Callable[[], BinaryIO]:
    return facts.file_openers({file.path: manifest.lfs_entry(file.path, file.sha256, file.size)})[file.path]


def check_list(paths: Sequence[str]) -> None:
    if not paths:
        raise ValueInvalid("No files were chosen.", fix="Choose files, a folder, or a zip.")
    if len(paths) > MAX_ASKED:
        raise PushTooLarge(
            f"{len(paths):,} files at once; the limit is {MAX_ASKED:,}.", fix="Upload them in several steps."
        )
    twice = next((path for path in paths if paths.count(path) > 1), None) if len(set(paths)) < len(paths) else None
    if twice:
        raise ValueInvalid(f"Two files are named {twice}.", fix="Upload a zip, which keeps folders.")


# --- drafts ----------------------------------------------------------------------------------------------------------
# The files of an adapter without a repository are stored, and the session of who uploads it lists them. Only the hub
# writes a session, so whatever its list names was sent by this person: it gives the right to those bytes. A draft lasts
# as long as the session, but for a day after which bytes that no commit names are swept.
_DRAFT = "draft"


def draft_of(session: SessionBase) -> list[Staged]:
    """Return the files of the draft whose bytes are still here."""
    kept = [Staged(*row) for row in session.get(_DRAFT, ())]
    sizes = dict(Blob.objects.filter(pk__in={file.sha256 for file in kept}).values_list("pk", "size"))
    return [file for file in kept if sizes.get(file.sha256) == file.size]


def keep_draft(session: SessionBase, draft: Sequence[Staged]) -> None:
    """Let the draft be these files; without any there is none."""
    session[_DRAFT] = [(file.path, file.sha256, file.size) for file in draft]
    if not draft:
        del session[_DRAFT]


def add_to_draft(session: SessionBase, sources: Sequence[Source], by: Caller, count: Callable[[int], None]) -> None:
    """Store files, and put them into the draft in place of those of the same paths. Raises what `stage` raises."""
    draft = {file.path: file for file in draft_of(session)}
    draft |= {file.path: file for file in stage(None, MAIN, sources, by, count)}
    check_list(list(draft))
    keep_draft(session, list(draft.values()))


def draft_entries(draft: Sequence[Staged]) -> dict[str, Entry]:
    """Return the files as they would lie in a repository (path → entry), small ones without their `git_oid`."""
    return {file.path: entry_of(file, is_lfs=plans.is_heavy(file.path, file.size)) for file in draft}


def publish_draft(
    full_name: str, draft: Sequence[Staged], changed: Mapping[str, bytes], by: Caller, *, private: bool
) -> Ref:
    """Create the repository with these files as its first version, and with `changed` (path → content) among them.

    Both or neither: nobody ever meets it empty. Raises what repositories.create and push.receive raise.
    """
    kept = [file for file in draft if file.path not in changed]
    changes = [*operations(kept, draft_entries(kept)), *(Inline(*one) for one in changed.items())]
    with transaction.atomic():
        made = repositories.create(full_name, by, private=private)
        intake.register_blobs(made, *(Digest(file.sha256, file.size) for file in kept))
        return push.receive(Intent(made, MAIN, by, FIRST_TITLE), changes)
