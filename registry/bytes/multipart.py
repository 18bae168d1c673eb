"""Large LFS files that arrive in parts: how many there are, where each goes, and how they become one file again.

With S3 they are the parts of its own multipart upload and go there directly. Otherwise each is staged under Keys.part,
and when the last is here they are read once, hashed and stored in that one pass. No part is ever held in memory.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from django.conf import settings

from registry.bytes import blobs, intake
from registry.bytes.blobs import BlobMissing, BytesChanged, Digest, Keys
from registry.kernel.errors import DigestMismatch, StoreUnavailable, UploadExpired, ValueInvalid
from registry.models import Upload

SMALLEST, MOST = 5 << 20, 10_000  # bytes of a part and parts of a file, as S3 wants them


@dataclass(frozen=True, slots=True)
class PartPlan:
    """How a file of `size` bytes is cut; `native` is the store's name for its own multipart upload, "" without one."""

    size: int
    part: int
    native: str = ""

    @property
    def count(self) -> int:
        """How many parts there are."""
        return -(-self.size // self.part)

    def length(self, number: int) -> int:
        """Return the bytes of one part; numbers begin at 1. Raises ValueInvalid for one that is not there."""
        if not 1 <= number <= self.count:
            raise ValueInvalid(f"There is no part {number:,}: the file has {self.count:,}.", fix="Count from 1.")
        return min(self.part, self.size - (number - 1) * self.part)


def plan_parts(upload: Upload) -> PartPlan | None:
    """Return how this file is cut, or None where it is small enough to come whole."""
    part = max(settings.LFS_PART_BYTES, SMALLEST, -(-upload.size // MOST))
    if upload.size <= part:
        return None
    own = blobs.store().in_parts()
    return PartPlan(upload.size, part, own.begin(Keys.incoming(upload.id)) if own else "")


def part_urls(upload: Upload, cut: PartPlan) -> list[str]:
    """Return where the store itself takes each part, or nothing where parts go through the web process."""
    own = blobs.store().in_parts()
    if own is None:
        return []
    key, seconds = Keys.incoming(upload.id), settings.UPLOAD_URL_SECONDS
    return [own.presigned(key, cut.native, number, seconds) for number in range(1, cut.count + 1)]


def stage_part(upload: Upload, number: int, parts: Iterable[bytes]) -> str:
    """Write one part and return its ETag. A part that is here already stays as it is: sending it twice is fine."""
    key = Keys.part(upload.id, number)
    blobs.store().put(key, parts)
    with blobs.store().open(key) as reader:
        return f'"{reader.version}"'


def join_parts(upload: Upload, cut: PartPlan, etags: Mapping[int, str]) -> Digest:
    """Make the file of its parts and believe it, if it is what was promised; the ticket is used up.

    Raises ValueInvalid unless there is one ETag for each part, DigestMismatch (everything is dropped, but for a part
    that is missing), UploadExpired when the parts are gone.
    """
    if sorted(etags) != list(range(1, cut.count + 1)):
        raise ValueInvalid(f"{len(etags):,} parts are named; the file has {cut.count:,}.", fix="Name each part once.")
    if cut.native:
        _join_in_store(upload, cut, etags)
        return intake.adopt_staged(upload)
    _check(upload, cut, etags)
    digest = Digest(upload.sha256, upload.size)
    try:
        intake.store_and_register(upload.repository, digest, lambda: _pieces(upload, cut))
    except DigestMismatch:
        _drop(upload, cut)
        raise
    Upload.objects.filter(pk=upload.pk).delete()  # not upload.delete(), which forgets the id
    _drop(upload, cut)
    return digest


def _join_in_store(upload: Upload, cut: PartPlan, etags: Mapping[int, str]) -> None:
    own = blobs.store().in_parts()
    if own is None:
        raise UploadExpired("The store of this hub is another one since this upload began.")
    try:
        own.join(Keys.incoming(upload.id), cut.native, [etags[number] for number in sorted(etags)])
    except BytesChanged:
        raise DigestMismatch("A part is missing, or its ETag is not the one that the store answered.") from None
    except BlobMissing:
        raise UploadExpired(f"No parts were delivered for {upload.sha256}.") from None


def _check(upload: Upload, cut: PartPlan, etags: Mapping[int, str]) -> None:
    for number in range(1, cut.count + 1):
        try:
            with blobs.store().open(Keys.part(upload.id, number)) as reader:
                version = reader.version
        except BlobMissing:
            raise DigestMismatch(f"Part {number:,} of {cut.count:,} has not arrived.", "Send it.") from None
        if etags[number].strip('"') != version:
            raise DigestMismatch(f"The ETag of part {number:,} is not the one that was answered.", "Send it again.")


def _pieces(upload: Upload, cut: PartPlan) -> Iterator[bytes]:
    try:
        for number in range(1, cut.count + 1):
            yield from blobs.pieces(blobs.store().open(Keys.part(upload.id, number)))
    except BlobMissing:  # the sweep, or the same completion sent twice at once
        raise StoreUnavailable("The parts of this upload went away while they were read.", "Upload it again.") from None


def _drop(upload: Upload, cut: PartPlan) -> None:
    for number in range(1, cut.count + 1):
        blobs.store().delete(Keys.part(upload.id, number))
