"""The bytes of a push: inline files are stored, and files uploaded before must have arrived."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from django.conf import settings

from dovetail.adapters.files.archives import START_BYTES
from dovetail.adapters.files.pickles import looks_pickled
from registry.bytes import blobs, intake
from registry.kernel import policy, quotas
from registry.kernel.errors import BlobUnknown, DigestMismatch, PushTooLarge, StoreUnavailable
from registry.kernel.texts import names
from registry.models import Blob, Repository
from registry.publish.push.request import Copy, Deletion, Edit, Inline, Intent, Operation, Stored
from registry.repos import downloads, manifest, pull
from registry.repos.manifest import Entry

MAX_OPERATIONS = 20_000
BATCH_FILES, BATCH_BYTES = 200, 16 << 20  # inline files held in memory before they are stored
MAX_COPIES = 1_000  # each needs database queries


def keep(intent: Intent, operations: Iterable[Operation]) -> list[Edit | Stored]:
    """Store inline files in batches, resolve copies, and check every path.

    Raises PathInvalid, FileTooLarge, PushTooLarge, and for the source of a copy what policy and pull raise.
    """
    edits: list[Edit | Stored] = []
    waiting: list[bytes] = []
    total = copies = 0
    for operation in operations:
        path = names.check_path(operation.path)
        if len(edits) >= MAX_OPERATIONS:
            raise PushTooLarge(f"This push has more than {MAX_OPERATIONS:,} operations.", fix="Split the push.")
        match operation:
            case Inline(content=content):
                total += quotas.check_file(path, len(content), settings.MAX_INLINE_BYTES)
                quotas.check_push(total)
                waiting.append(content)
                edits.append(entry(path, content))
                if len(waiting) >= BATCH_FILES or sum(map(len, waiting)) >= BATCH_BYTES:
                    intake.receive_inline(None, *waiting)  # delivered by the transaction that names them
                    waiting.clear()
            case Stored():
                edits.append(replace(operation, path=path))
            case Copy():
                copies += 1
                if copies > MAX_COPIES:
                    raise PushTooLarge(f"This push copies more than {MAX_COPIES:,} files.", fix="Split the push.")
                edits.append(_copied(intent, operation, path))
            case Deletion():
                edits.append(Deletion(path))
    if waiting:
        intake.receive_inline(None, *waiting)
    return edits


def entry(path: str, content: bytes) -> Entry:
    """Return the entry of a small file with these bytes."""
    is_unsearched = looks_pickled(path, content[:START_BYTES])
    sha256, git_oid = blobs.digest_of(content).sha256, manifest.git_blob_oid(content)
    return Entry(path, sha256, len(content), False, git_oid, is_unsearched=is_unsearched)


def _copied(intent: Intent, copy: Copy, path: str) -> Entry:
    policy.require(
        intent.by, policy.Permission.DOWNLOAD, intent.repository
    )  # a copy may become visible to more people than its source
    revision = pull.resolve(intent.repository, copy.rev or intent.ref)
    original = downloads.find_served(revision, copy.source, intent.by)
    is_unsearched = original.is_unsearched or looks_pickled(path)  # by this name libraries may open it as one
    same = original.sha256, original.size, original.is_lfs, original.git_oid
    return Entry(path, *same, is_unsearched=is_unsearched)


def believe(repository: Repository, edits: list[Edit | Stored], by: policy.Caller) -> list[Edit]:
    """Turn claims into entries: the repository must have received the bytes, or the caller must be able to read them.

    Raises BlobUnknown, DigestMismatch, FileTooLarge and PushTooLarge.
    """
    claimed = {edit.sha256 for edit in edits if isinstance(edit, Stored)}
    sizes = downloads.usable_blobs(repository, claimed, by)
    believed: list[Edit] = []
    total = 0
    for edit in edits:
        if not isinstance(edit, Stored):
            believed.append(edit)
            continue
        size, start = _proven(repository, edit, sizes)
        total += quotas.check_file(edit.path, size)
        quotas.check_push(total)
        is_unsearched = looks_pickled(edit.path, start)
        believed.append(replace(manifest.lfs_entry(edit.path, edit.sha256, size), is_unsearched=is_unsearched))
    return believed


def require_kept(edits: Iterable[Edit]) -> None:
    """Raise StoreUnavailable if garbage collection removed bytes of a push between their check and its rows."""
    pushed = {edit.sha256 for edit in edits if isinstance(edit, Entry)}
    if Blob.objects.filter(pk__in=pushed).count() < len(pushed):
        raise StoreUnavailable(
            "The files of this push were uploaded too long ago and have been removed.", "Push again."
        )


def _proven(repository: Repository, claim: Stored, sizes: Mapping[str, int]) -> tuple[int, bytes]:
    """Return the size of a file that was delivered, and its first bytes."""
    # The store is asked too: an upload may have been interrupted between its row and its bytes.
    start = _start(claim.sha256) if claim.sha256 in sizes else None
    if start is None:
        raise BlobUnknown(
            f"The bytes of {claim.path!r} (sha256 {claim.sha256}) were not uploaded to {repository.full_name}."
        )
    size = sizes[claim.sha256]
    if claim.size not in (None, size):
        raise DigestMismatch(f"{claim.path!r} is announced with {claim.size:,} bytes, but {claim.sha256} has {size:,}.")
    return size, start


def _start(sha256: str) -> bytes | None:
    """Return the first bytes of a blob, None where the store has none. Raises StoreUnavailable."""
    try:
        with blobs.store().open(blobs.Keys.blob(sha256), 0, START_BYTES) as reader:
            return reader.read()
    except blobs.BlobMissing:
        return None
