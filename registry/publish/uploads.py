"""Uploads before a push: offer LFS deliveries by ticket, and accept them, whole or in parts.

With S3 the parts of a large file are those of its own multipart upload and go there directly. Otherwise each is staged
under Keys.part, and after the last one they are read once, hashed and stored in one pass. No part is ever held in
memory.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.db.models.functions import Now
from django.utils import timezone

from registry.bytes import blobs, blocked_files, intake
from registry.bytes.blobs import BlobMissing, BytesChanged, Digest, Keys
from registry.kernel import policy, quotas, refusals, site_settings
from registry.kernel.errors import (
    BlobUnknown,
    DigestMismatch,
    PushTooLarge,
    RegistryError,
    StoreUnavailable,
    TooOften,
    UploadExpired,
    ValueInvalid,
)
from registry.kernel.policy import Caller, Permission
from registry.models import Repository, Upload
from registry.people.tokens import tokens
from registry.publish.plans import MAX_ASKED
from registry.repos import downloads

SMALLEST, MOST = 5 << 20, 10_000  # bytes of a part and parts of a file; S3's limits
MAX_TICKETS = 20_000  # pending uploads of one person
_SALT, _PART_SALT = "uploads.ticket", "uploads.part"
_HEX = frozenset("0123456789abcdef")


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
            raise ValueInvalid(
                f"There is no part {number:,}: the file has {self.count:,}.", fix="Number the parts from 1."
            )
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
        raise ValueInvalid(f"{len(etags):,} parts are listed; the file has {plan.count:,}.", fix="List each part once.")
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
        raise UploadExpired("The file store of this hub was changed since this upload started.")
    try:
        native_uploads.join(Keys.incoming(upload.id), plan.native, [etags[number] for number in sorted(etags)])
    except BytesChanged:
        raise DigestMismatch("A part is missing, or its ETag differs from the store's answer.") from None
    except BlobMissing:
        raise UploadExpired(f"No parts were uploaded for {upload.sha256}.") from None


def _check(upload: Upload, plan: PartPlan, etags: Mapping[int, str]) -> None:
    for number in range(1, plan.count + 1):
        try:
            with blobs.store().open(Keys.part(upload.id, number)) as reader:
                version = reader.version
        except BlobMissing:
            raise DigestMismatch(f"Part {number:,} of {plan.count:,} has not arrived.", "Send it.") from None
        if etags[number].strip('"') != version:
            raise DigestMismatch(
                f"The ETag of part {number:,} differs from the store's answer.", "Upload the part again."
            )


def _pieces(upload: Upload, plan: PartPlan) -> Iterator[bytes]:
    try:
        for number in range(1, plan.count + 1):
            yield from blobs.pieces(blobs.store().open(Keys.part(upload.id, number)))
    except BlobMissing:  # the sweep, or the same completion sent twice at once
        raise StoreUnavailable(
            "The parts of this upload disappeared while they were read.", "Upload it again."
        ) from None


def _drop(upload: Upload, plan: PartPlan) -> None:
    for number in range(1, plan.count + 1):
        blobs.store().delete(Keys.part(upload.id, number))


@dataclass(frozen=True, slots=True)
class Transfer:
    """A client's way to send: in parts or not, of how many bytes (0: the setting's), and to the store itself or not."""

    in_parts: bool = False
    part_bytes: int = 0
    is_direct: bool = True


WHOLE = Transfer()


@dataclass(frozen=True, slots=True)
class Offer:
    """The answer for one LFS object: already here, refused, or to be delivered with this ticket (at this address)."""

    sha256: str
    size: int
    ticket: str = ""
    url: str | None = None  # a presigned URL of the store
    cut: PartPlan | None = None  # set if the upload is multipart
    part_ticket: str = ""
    part_urls: Sequence[str] = ()  # presigned URLs of the parts
    refusal: RegistryError | None = None


def offer(
    repository: Repository, objects: Sequence[tuple[str, int]], *, by: Caller, transfer: Transfer = WHOLE
) -> list[Offer]:
    """Return for each (sha256, size) a ticket if its bytes must be uploaded, by a way that the client knows.

    A blob counts as present only if blob_access.usable_blobs lists it for this caller. Raises TooOften for too many
    pending uploads, and what policy.require raises.
    """
    policy.require(by, Permission.DISCUSS, repository)
    site_settings.require_uploads()
    check_count(objects)
    waiting = Upload.objects.filter(user=by.user, expires_at__gt=Now()).count() if by.user else 0
    if waiting + len(objects) > MAX_TICKETS:
        raise TooOften(
            f"{MAX_TICKETS:,} of your uploads have not been completed.", fix="Complete them, or wait an hour."
        )
    usable = downloads.usable_blobs(repository, {sha256 for sha256, _ in objects}, by)
    quotas.require_byte_quota(repository, sum(size for sha256, size in objects if sha256 not in usable))
    blocked = blocked_files.blocked_among({sha256 for sha256, _ in objects})
    offers = [
        Offer(sha256, size, refusal=blocked_files.refusal(sha256, blocked[sha256]))
        if sha256 in blocked
        else _offer(repository, sha256, size, sha256 in usable, transfer, by)
        for sha256, size in objects
    ]
    if not Repository.objects.filter(pk=repository.pk).exists():  # it went to the bin meanwhile
        gone = refusals.repository_not_found(repository.full_name)
        return [Offer(sha256, size, refusal=gone) for sha256, size in objects]
    return offers


def check_count(objects: Sequence[object]) -> None:
    """Raise PushTooLarge for too many objects in one batch."""
    if len(objects) > MAX_ASKED:
        raise PushTooLarge(
            f"{len(objects):,} objects in one batch; the limit is {MAX_ASKED:,}.", fix="Split the batch."
        )


def _offer(repository: Repository, sha256: str, size: int, is_known: bool, transfer: Transfer, by: Caller) -> Offer:
    if is_known:
        return Offer(sha256, size)
    try:
        check_digest(sha256)
        upload = intake.create_upload(repository, sha256, size, by=by)
    except RegistryError as refusal:
        return Offer(sha256, size, refusal=refusal)
    cut = None
    if transfer.in_parts:
        cut = plan_parts(upload, transfer.part_bytes, is_direct=transfer.is_direct)
    bound = [str(upload.pk), repository.pk, sha256, by.token.pk if by.token else None]
    bound += [cut.part, cut.native] if cut else [0, ""]
    ticket = signing.dumps(bound, salt=_SALT)
    if cut:
        # A ticket of its own kind: with the URL of a part nobody can complete the upload.
        part_ticket = signing.dumps(bound, salt=_PART_SALT)
        return Offer(sha256, size, ticket, None, cut, part_ticket, part_urls(upload, cut))
    # Never the final key, even where a store checks x-amz-checksum-sha256: there nothing shows who sent the bytes.
    key, seconds = blobs.Keys.incoming(upload.pk), settings.UPLOAD_URL_SECONDS
    url = blobs.store().presigned_put(key, seconds) if transfer.is_direct else None
    return Offer(sha256, size, ticket, url)


def store_origin() -> str:
    """Return the origin (scheme and host) at which the store takes uploads from clients; "" if the hub takes them."""
    url = blobs.store().presigned_get(blobs.Keys.incoming(UUID(int=0)), "", 1)  # signed without asking the store
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc}" if url else ""


def check_digest(sha256: str) -> str:
    """Return the sha256 if it is written as 64 lower-case hex digits; raise ValueInvalid."""
    if len(sha256) != 64 or not _HEX.issuperset(sha256):
        raise ValueInvalid(f"{sha256[:80]!r} is not a sha256.", fix="Write it as 64 lowercase hex digits.")
    return sha256


def accept(ticket: str, pieces: Iterable[bytes], length: int) -> None:
    """Receive the bytes of a ticket through the web process, and store them if size and digest match.

    `length` is the announced number of bytes. Raises UploadExpired, TokenInvalid, DigestMismatch and what
    policy.require raises: the caller's rights are checked now, not when the ticket was issued.
    """
    upload = _upload(_opened(ticket))
    if length != upload.size:
        raise DigestMismatch(f"The upload has {length:,} bytes instead of the announced {upload.size:,}.")
    intake.receive_upload(upload, _exactly(pieces, upload.size))


def accept_part(ticket: str, number: int, pieces: Iterable[bytes], length: int) -> str:
    """Receive one part through the web process, and return its ETag. Raises ValueInvalid and what `accept` raises.

    An interrupted part leaves nothing and earlier parts stay, so a client resumes with that part.
    """
    opened = _opened(ticket, _PART_SALT)
    upload = _upload(opened)
    if upload.expires_at <= timezone.now():
        raise UploadExpired("The time to upload this file has expired.")
    expected = opened.cut(upload).length(number)
    if length != expected:
        raise DigestMismatch(f"Part {number:,} has {length:,} bytes instead of {expected:,}.")
    return stage_part(upload, number, _exactly(pieces, expected))


def complete(ticket: str, sha256: str, etags: Sequence[tuple[int, str]]) -> None:
    """Join the parts of a file, once; `etags` are (number, ETag) pairs. Raises what multipart.join_parts raises."""
    opened = _opened(ticket)
    upload = _upload(opened)
    if sha256 != upload.sha256:
        raise DigestMismatch(f"This upload URL is for {upload.sha256}, not for {sha256[:80]!r}.")
    if len(etags) != len(dict(etags)):
        raise ValueInvalid("A part is listed twice.", fix="List each part once.")
    join_parts(upload, opened.cut(upload), dict(etags))


def check_ticket(ticket: str) -> None:
    """Raise UploadExpired unless the ticket is valid and not expired."""
    _opened(ticket)


def verify(ticket: str) -> None:
    """Check that the bytes of a ticket are stored; hash them now if the client wrote to the store itself.

    Raises BlobUnknown and what `accept` raises.
    """
    opened = _opened(ticket)
    if Upload.objects.filter(pk=opened.pk).exists():
        intake.adopt_staged(_upload(opened))
    elif not Repository.objects.filter(pk=opened.repository, uploaded_blobs__blob=opened.sha256).exists():
        raise BlobUnknown(f"No bytes were uploaded for {opened.sha256}.")


class _Opened(NamedTuple):
    """The content of a ticket; `part` is the size of a part in bytes, 0 where the file comes whole."""

    pk: str
    repository: int
    sha256: str
    token: int | None
    part: int
    native: str

    def cut(self, upload: Upload) -> PartPlan:
        if not self.part:
            raise ValueInvalid("This file must be uploaded whole, not in parts.", fix="PUT it to its upload URL.")
        return PartPlan(upload.size, self.part, self.native)


def _upload(opened: _Opened) -> Upload:
    whole = Upload.objects.select_related("repository__namespace__person", "user__namespace")
    upload = whole.filter(pk=opened.pk).first()
    if upload is None:
        raise UploadExpired("This upload URL has already been used, or has expired.")
    if not upload.user.is_active:
        raise UploadExpired("The user of this upload URL is no longer allowed to upload.")
    token = opened.token
    caller = Caller(user=upload.user) if token is None else tokens.caller_of_id(token)
    policy.require_bound(caller, Permission.DISCUSS, upload.repository, "upload address")
    site_settings.require_uploads()
    return upload


def _opened(ticket: str, salt: str = _SALT) -> _Opened:
    try:
        return _Opened(*signing.loads(ticket, salt=salt, max_age=settings.UPLOAD_URL_SECONDS))
    except signing.BadSignature:
        raise UploadExpired("This upload URL is invalid or has expired.") from None


def _exactly(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    left = size
    for part in pieces:
        left -= len(part)
        if left < 0:
            break
        yield part
    if left:
        raise DigestMismatch(f"The upload ended {abs(left):,} bytes {'early' if left > 0 else 'late'}.")
