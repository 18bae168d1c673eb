"""Files that wait for their commit: stored and believed, named by path, and committed by the same way as a push.

A browser stages files first and commits them after a look at what they are. Nothing but the bytes is kept between:
what is staged is a list that the browser holds. It gives no right to bytes, which are looked up for the caller again.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from registry.bytes import blobs, intake
from registry.bytes.blobs import Digest, Hasher
from registry.kernel.errors import BlobUnknown, PushTooLarge, ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.texts import names
from registry.models import Repository
from registry.publish.push import Inline, Operation, Stored
from registry.publish.uploads import archives, planning, uploads
from registry.publish.uploads.archives import Source
from registry.publish.uploads.planning import MAX_ASKED, Asked
from registry.repos import manifest
from registry.repos.contents import facts
from registry.repos.contents.facts import BlobFile
from registry.repos.delivery import blob_access
from registry.repos.manifest import Entry

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
    _check_list([file.path for file in staged])
    return staged


def listed(staged: Iterable[Staged]) -> str:
    """Return the files as JSON: [[path, sha256, size], …]."""
    return json.dumps([[file.path, file.sha256, file.size] for file in staged], separators=(",", ":"))


def stage(
    repository: Repository, ref: str, sources: Sequence[Source], by: Caller, count: Callable[[int], None]
) -> list[Staged]:
    """Store files, and those in zip archives in place of the archives; nothing is held in memory.

    `count` is called first with the number of their bytes, and may refuse: a small archive may hold many, and what is
    never committed stays for days.

    Raises what planning.decide and archives.unpack raise, before any byte is stored, and ValueInvalid for two files of
    one path. Call push.require_for before.
    """
    files = [file for source in sources for file in (archives.unpack(source) if source.is_archive else [source])]
    _check_list([names.check_path(file.path) for file in files])
    planning.decide(repository, ref, [Asked(file.path, file.size) for file in files], by=by)
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
    _check_list([file.path for file in [*plain, *unpacked]])
    return plain + unpacked


def require_usable(repository: Repository, staged: Iterable[Staged], by: Caller) -> None:
    """Raise BlobUnknown unless the caller may link each of these bytes into the repository."""
    files = list(staged)
    sizes = blob_access.usable_blobs(repository, {file.sha256 for file in files}, by)
    for file in files:
        if sizes.get(file.sha256) != file.size:
            reason = f"The bytes of {file.path} are not here: they were never sent, or have waited for too long."
            raise BlobUnknown(reason, fix="Choose the file again; the others are still here.")


def entries(repository: Repository, ref: str, staged: Sequence[Staged], by: Caller) -> dict[str, Entry]:
    """Return the files that the ref would have after a commit of these (path → entry). Raises what `unpack` raises.

    Small ones have no `git_oid`, for which their bytes would be read.
    """
    require_usable(repository, staged, by)
    planned, current = planning.decide(repository, ref, [Asked(file.path, file.size) for file in staged], by=by)
    is_lfs = {file.path: file.is_lfs for file in planned}
    return {**current, **{file.path: _entry(file, is_lfs=is_lfs[file.path]) for file in staged}}


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
    return BlobFile(file.sha256, file.size).read()


def _entry(file: Staged, *, is_lfs: bool) -> Entry:
    if is_lfs:
        return manifest.lfs_entry(file.path, file.sha256, file.size)
    return Entry(file.path, file.sha256, file.size, is_lfs=False, git_oid="")


def _stored(repository: Repository, source: Source) -> Staged:
    """Store a file; it is read twice, since its digest names the place."""
    hasher = Hasher()
    for _ in blobs.hash_through(archives.pieces(source), hasher):
        pass
    digest: Digest = hasher.digest()
    intake.store_and_register(repository, digest, lambda: archives.pieces(source))
    return Staged(names.check_path(source.path), digest.sha256, digest.size)


def _is_archive(file: Staged) -> bool:
    return file.path.lower().endswith(".zip")


def _opener(file: Staged) -> Callable[[], BinaryIO]:
    return facts.file_openers({file.path: manifest.lfs_entry(file.path, file.sha256, file.size)})[file.path]


def _check_list(paths: Sequence[str]) -> None:
    if not paths:
        raise ValueInvalid("No files were chosen.", fix="Choose files, a folder, or a zip.")
    if len(paths) > MAX_ASKED:
        raise PushTooLarge(f"{len(paths):,} files at once; the limit is {MAX_ASKED:,}.", fix="Upload several times.")
    twice = next((path for path in paths if paths.count(path) > 1), None) if len(set(paths)) < len(paths) else None
    if twice:
        raise ValueInvalid(f"Two of the files are called {twice}.", fix="Upload them as a zip, which keeps folders.")
