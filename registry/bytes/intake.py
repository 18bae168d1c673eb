"""Intake of bytes: LFS uploads, inline files. Commits are the matter of registry/publish/push.

A digest is believed only after this file: the hub hashes the bytes, stores them, and records a Blob and an UploadedBlob
of the repository that they were sent to. After writing the row it checks once more that the object exists:
registry/bytes/garbage.py may have removed it before the row protected it.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from registry.bytes import blobs
from registry.bytes.blobs import BlobMissing, Bytes, BytesChanged, Digest, Hasher, Keys
from registry.kernel import policy, quotas, refusals
from registry.kernel.errors import DigestMismatch, StoreUnavailable, UploadExpired
from registry.kernel.policy import Caller, Permission
from registry.models import Blob, Repository, Upload, UploadedBlob
from registry.sql.prepared import insert_row, insert_rows

STORED_AT_ONCE = 8
NOTES_MOST = 10  # tries to record a delivery; each fails only if a sweep meets it within a millisecond


def store_and_register(repository: Repository | None, digest: Digest, read: Callable[[], Iterable[Bytes]]) -> None:
    """Store the bytes that `read` yields and believe them if they match; `read` is called again after a sweep.

    Raises DigestMismatch, and then keeps nothing.
    """

    store_verified(digest.sha256, _verified(digest, read()))
    register_blobs(repository, digest)
    if not blobs.object_exists(Keys.blob(digest.sha256)):
        store_verified(digest.sha256, _verified(digest, read()))


def _verified(digest: Digest, pieces: Iterable[Bytes], *, tells_actual: bool = False) -> Iterator[Bytes]:
    """Yield the pieces, and raise DigestMismatch at the end unless they match the digest.

    With `tells_actual` the refusal names the actual digest, for a sender of the bytes. A caller who only named stored
    chunks must not learn the digest of the file that they make.
    """
    hasher = Hasher()
    yield from blobs.hash_through(pieces, hasher)
    if hasher.digest() != digest:
        actual = f"to {hasher.digest().sha256}, " if tells_actual else ""
        raise DigestMismatch(f"The bytes that arrived hash {actual}not to {digest.sha256}.")


def store_verified(sha256: str, parts: Iterable[Bytes]) -> None:
    """Consume `parts`, which raise unless they match the digest, and store them unless the object exists."""
    key = Keys.blob(sha256)
    if blobs.object_exists(key):
        for _ in parts:
            pass
    else:
        blobs.store().put(key, parts)


def receive_inline(repository: Repository | None, *files: bytes) -> list[Digest]:
    """Store small files that came inside a request, and record that this repository, if there is one, may use them.

    Several are stored in parallel, because each waits for a disk or a network round trip.
    """
    digests = [blobs.digest_of(data) for data in files]
    contents = dict(zip(digests, files, strict=True))

    def store(digest: Digest) -> None:
        store_verified(digest.sha256, [contents[digest]])

    with ThreadPoolExecutor(min(STORED_AT_ONCE, len(contents))) as threads:
        each = map if len(contents) == 1 else threads.map
        list(each(store, contents))
        register_blobs(repository, *contents)
        list(each(store, contents))  # again, as a sweep may have removed objects before the rows protected them
    return digests


def create_upload(repository: Repository, sha256: str, size: int, *, by: Caller) -> Upload:
    """Create a ticket for a file that will be delivered under Keys.incoming(ticket.id). Raises FileTooLarge."""
    policy.require(by, Permission.DISCUSS, repository)
    assert by.user is not None  # nobody else may push
    quotas.check_file(sha256, size)
    expires_at = timezone.now() + timedelta(seconds=settings.UPLOAD_URL_SECONDS)
    try:
        columns = {"sha256": sha256, "size": size, "expires_at": expires_at}
        return insert_row(Upload(id=uuid.uuid4(), repository=repository, user=by.user, **columns))
    except IntegrityError:  # the repository was deleted meanwhile
        raise refusals.repository_not_found(repository.full_name) from None


def receive_upload(upload: Upload, pieces: Iterable[bytes]) -> Digest:
    """Store and believe the bytes of a ticket that come through the web process, in one pass; uses up the ticket.

    Raises DigestMismatch (nothing is kept, and the ticket stays good) and UploadExpired.
    """
    if upload.expires_at <= timezone.now():
        raise UploadExpired("The time to upload this file has expired.")
    digest = Digest(upload.sha256, upload.size)
    store_verified(digest.sha256, _verified(digest, pieces, tells_actual=True))
    return _believed(upload, digest)


def adopt_staged(upload: Upload) -> Digest:
    """Hash the bytes that a client put into the store itself, and believe them if they match; uses up the ticket.

    Raises DigestMismatch (the bytes are dropped) and UploadExpired when nothing was delivered.
    """
    key = Keys.incoming(upload.id)
    try:
        digest, version = blobs.hash_staged(key, upload.size)
        if digest != Digest(upload.sha256, upload.size):
            arrived = blobs.store().size(key)
            blobs.store().delete(key)
            raise DigestMismatch(_other_bytes(upload, digest, arrived))
        blobs.store().promote(key, Keys.blob(digest.sha256), version)
    except BlobMissing:
        raise UploadExpired(f"No bytes were uploaded for {upload.sha256}.") from None
    except BytesChanged:
        raise DigestMismatch(f"The bytes of {upload.sha256} were replaced while they were checked.") from None
    return _believed(upload, digest)


def _believed(upload: Upload, digest: Digest) -> Digest:
    register_blobs(upload.repository, digest, ticket=upload)
    if not blobs.object_exists(Keys.blob(digest.sha256)):
        raise StoreUnavailable(
            f"The bytes of {digest.sha256} were removed by garbage collection while they were checked.",
            "Upload them again.",
        )
    return digest


def _other_bytes(upload: Upload, digest: Digest, arrived: int) -> str:
    if arrived != upload.size:
        return f"{arrived:,} bytes arrived for {upload.sha256}; {upload.size:,} were promised."
    return f"The bytes that arrived hash to {digest.sha256}, not to {upload.sha256}."


def register_blobs(repository: Repository | None, *digests: Digest, ticket: Upload | None = None) -> None:
    """Record that these bytes are believed and were delivered for the repository; uses up the ticket that they had.

    Without a repository, of a draft of one, they are swept a day later unless one has received them by then.
    """
    for _ in range(NOTES_MOST):
        try:
            return _note(repository, digests, ticket)
        except IntegrityError:  # the sweep deleted a blob's row, ours or another sender's, between our two inserts
            # Or the repository was deleted meanwhile.
            if repository and not Repository.objects.filter(pk=repository.pk).exists():
                raise refusals.repository_not_found(repository.full_name) from None
    raise StoreUnavailable("The uploaded bytes were removed several times before the upload finished.")


def _note(repository: Repository | None, digests: Iterable[Digest], ticket: Upload | None) -> None:
    sizes = {digest.sha256: digest.size for digest in digests}
    deliveries = [UploadedBlob(repository=repository, blob_id=sha256) for sha256 in sorted(sizes)] if repository else []
    with transaction.atomic():
        insert_rows([Blob(sha256=key, size=sizes[key]) for key in sorted(sizes)], ignore_conflicts=True)
        # A repeated delivery renews the time, by which the sweep goes.
        insert_rows(deliveries, unique_fields=("repository", "blob"), update_fields=("created_at",))
        if ticket is not None:
            Upload.objects.filter(pk=ticket.pk).delete()
