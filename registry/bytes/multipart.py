"""Multipart uploads of large LFS files: plan the parts, receive each, and join them.

With S3 they are parts of its own multipart upload and go there directly. Otherwise each is staged under Keys.part, and
after the last one they are read once, hashed and stored in one pass. No part is ever held in memory.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from django.conf import settings

from registry.bytes import blobs, intake
from registry.bytes.blobs import BlobMissing, BytesChanged, Digest, Keys
from registry.kernel.errors import DigestMismatch, StoreUnavailable, UploadExpired, ValueInvalid
from registry.models import Upload

SMALLEST, MOST = 5 << 20, 10_000  # bytes of a part and parts of a file; S3's limits


@dataclass(frozen=True, slots=True)
class PartPlan:
    """A file of `size` bytes in parts of `part` bytes; `native` is the store's own multipart upload, "" without one."""

    size: int
    part: int
    native: str = ""

    @property
    def count(self) -> int:
        """The number of parts."""
        return -(-self.size // self.part)

    def length(self, number: int) -> int:
        """Return the bytes of one part; numbers begin at 1. Raises ValueInvalid for one that is not there."""
        if not 1 <= number <= self.count:
            raise ValueInvalid(f"There is no part {number:,}: the file has {self.count:,}.", fix="Count from 1.")
        return min(self.part, self.size - (number - 1) * self.part)


def plan_parts(upload: Upload, part_bytes: int = 0, *, is_direct: bool = True) -> PartPlan | None:
    """Return the plan for this file, or None if it is small enough to come whole.

    `part_bytes` is the size of a part that the client would like (0: the setting's). Unless `is_direct`, the parts go
    through the web process on any store.
    """
    part = max(part_bytes or settings.LFS_PART_BYTES, SMALLEST, -(-upload.size // MOST))
    if upload.size <= part:
        return None
    native_uploads = blobs.store().in_parts() if is_direct else None
    return PartPlan(upload.size, part, native_uploads.begin(Keys.incoming(upload.id)) if native_uploads else "")


def part_urls(upload: Upload, plan: PartPlan) -> list[str]:
    """Return the store's own URL for each part; empty if parts go through the web process."""
    native_uploads = blobs.store().in_parts() if plan.native else None
    if native_uploads is None:
        return []
    key, seconds = Keys.incoming(upload.id), settings.UPLOAD_URL_SECONDS
    return [native_uploads.presigned(key, plan.native, number, seconds) for number in range(1, plan.count + 1)]


def stage_part(upload: Upload, number: int, parts: Iterable[bytes]) -> str:
    """Write one part and return its ETag. Sending a part twice is a no-op."""
    key = Keys.part(upload.id, number)
    blobs.store().put(key, parts)
    with blobs.store().open(key) as reader:
        return f'"{reader.version}"'


def join_parts(upload: Upload, plan: PartPlan, etags: Mapping[int, str]) -> Digest:
    """Join the parts and believe the file if it matches; uses up the ticket.

    Raises ValueInvalid unless there is one ETag for each part, DigestMismatch (then the parts are dropped, unless one
    is only missing), UploadExpired when the parts are gone.
    """
    if sorted(etags) != list(range(1, plan.count + 1)):
        raise ValueInvalid(f"{len(etags):,} parts are named; the file has {plan.count:,}.", fix="Name each part once.")
    if plan.native:
        _join_in_store(upload, plan, etags)
        return intake.adopt_staged(upload)
    _check(upload, plan, etags)
    digest = Digest(upload.sha256, upload.size)
    try:
        intake.store_and_register(upload.repository, digest, lambda: _pieces(upload, plan))
    except DigestMismatch:
        _drop(upload, plan)
        raise
    Upload.objects.filter(pk=upload.pk).delete()  # not upload.delete(), which forgets the id
    _drop(upload, plan)
    return digest


def _join_in_store(upload: Upload, plan: PartPlan, etags: Mapping[int, str]) -> None:
    native_uploads = blobs.store().in_parts()
    if native_uploads is None:
        raise UploadExpired("The store of this hub is another one since this upload began.")
    try:
        native_uploads.join(Keys.incoming(upload.id), plan.native, [etags[number] for number in sorted(etags)])
    except BytesChanged:
        raise DigestMismatch("A part is missing, or its ETag is not the one that the store answered.") from None
    except BlobMissing:
        raise UploadExpired(f"No parts were delivered for {upload.sha256}.") from None


def _check(upload: Upload, plan: PartPlan, etags: Mapping[int, str]) -> None:
    for number in range(1, plan.count + 1):
        try:
            with blobs.store().open(Keys.part(upload.id, number)) as reader:
                version = reader.version
        except BlobMissing:
            raise DigestMismatch(f"Part {number:,} of {plan.count:,} has not arrived.", "Send it.") from None
        if etags[number].strip('"') != version:
            raise DigestMismatch(f"The ETag of part {number:,} is not the one that was answered.", "Send it again.")


def _pieces(upload: Upload, plan: PartPlan) -> Iterator[bytes]:
    try:
        for number in range(1, plan.count + 1):
            yield from blobs.pieces(blobs.store().open(Keys.part(upload.id, number)))
    except BlobMissing:  # the sweep, or the same completion sent twice at once
        raise StoreUnavailable("The parts of this upload went away while they were read.", "Upload it again.") from None


def _drop(upload: Upload, plan: PartPlan) -> None:
    for number in range(1, plan.count + 1):
        blobs.store().delete(Keys.part(upload.id, number))
