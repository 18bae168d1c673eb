"""Uploads before a push: offer LFS deliveries by ticket, and accept them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.db.models.functions import Now
from django.utils import timezone

from registry.bytes import blobs, blocked_files, intake, multipart
from registry.bytes.multipart import PartPlan
from registry.kernel import policy, quotas, refusals, site_settings
from registry.kernel.errors import (
    BlobUnknown,
    DigestMismatch,
    PushTooLarge,
    RegistryError,
    TooOften,
    UploadExpired,
    ValueInvalid,
)
from registry.kernel.policy import Caller, Permission
from registry.models import Repository, Upload
from registry.people.tokens import tokens
from registry.publish.plans import MAX_ASKED
from registry.repos import downloads

MAX_TICKETS = 20_000  # pending uploads of one person
_SALT, _PART_SALT = "uploads.ticket", "uploads.part"
_HEX = frozenset("0123456789abcdef")


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
        raise TooOften(f"{MAX_TICKETS:,} of your uploads wait for their bytes.", fix="Send them, or wait an hour.")
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
        raise PushTooLarge(f"{len(objects):,} objects in one batch; the limit is {MAX_ASKED:,}.", fix="Send several.")


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
        cut = multipart.plan_parts(upload, transfer.part_bytes, is_direct=transfer.is_direct)
    bound = [str(upload.pk), repository.pk, sha256, by.token.pk if by.token else None]
    bound += [cut.part, cut.native] if cut else [0, ""]
    ticket = signing.dumps(bound, salt=_SALT)
    if cut:
        # A ticket of its own kind: with the URL of a part nobody can complete the upload.
        part_ticket = signing.dumps(bound, salt=_PART_SALT)
        return Offer(sha256, size, ticket, None, cut, part_ticket, multipart.part_urls(upload, cut))
    key, seconds = blobs.Keys.incoming(upload.pk), settings.UPLOAD_URL_SECONDS
    url = blobs.store().presigned_put(key, seconds) if transfer.is_direct else None
    return Offer(sha256, size, ticket, url)


def store_origin() -> str:
    """Return the origin (scheme and host) at which the store takes uploads from clients; "" if the hub takes them."""
    url = blobs.store().presigned_put(blobs.Keys.incoming(UUID(int=0)), settings.UPLOAD_URL_SECONDS)
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc}" if url else ""


def check_digest(sha256: str) -> str:
    """Return the sha256 if it is written as 64 lower-case hex digits; raise ValueInvalid."""
    if len(sha256) != 64 or not _HEX.issuperset(sha256):
        raise ValueInvalid(f"{sha256[:80]!r} is not a sha256.", fix="Write it as 64 lower-case hex digits.")
    return sha256


def accept(ticket: str, pieces: Iterable[bytes], length: int) -> None:
    """Receive the bytes of a ticket through the web process, and store them if size and digest match.

    `length` is the announced number of bytes. Raises UploadExpired, TokenInvalid, DigestMismatch and what
    policy.require raises: the caller's rights are checked now, not when the ticket was issued.
    """
    upload = _upload(_opened(ticket))
    if length != upload.size:
        raise DigestMismatch(f"The upload announces {length:,} bytes; promised were {upload.size:,}.")
    intake.receive_upload(upload, _exactly(pieces, upload.size))


def accept_part(ticket: str, number: int, pieces: Iterable[bytes], length: int) -> str:
    """Receive one part through the web process, and return its ETag. Raises ValueInvalid and what `accept` raises.

    An interrupted part leaves nothing and earlier parts stay, so a client resumes with that part.
    """
    opened = _opened(ticket, _PART_SALT)
    upload = _upload(opened)
    if upload.expires_at <= timezone.now():
        raise UploadExpired("The time to upload this file is over.")
    expected = opened.cut(upload).length(number)
    if length != expected:
        raise DigestMismatch(f"Part {number:,} announces {length:,} bytes; it has {expected:,}.")
    return multipart.stage_part(upload, number, _exactly(pieces, expected))


def complete(ticket: str, sha256: str, etags: Sequence[tuple[int, str]]) -> None:
    """Join the parts of a file, once; `etags` are (number, ETag) pairs. Raises what multipart.join_parts raises."""
    opened = _opened(ticket)
    upload = _upload(opened)
    if sha256 != upload.sha256:
        raise DigestMismatch(f"This address is for {upload.sha256}, not for {sha256[:80]!r}.")
    if len(etags) != len(dict(etags)):
        raise ValueInvalid("A part is named twice.", fix="Name each part once.")
    multipart.join_parts(upload, opened.cut(upload), dict(etags))


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
        raise BlobUnknown(f"No bytes were delivered for {opened.sha256}.")


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
            raise ValueInvalid("This file was to come whole, not in parts.", fix="PUT it to the address of its upload.")
        return PartPlan(upload.size, self.part, self.native)


def _upload(opened: _Opened) -> Upload:
    whole = Upload.objects.select_related("repository__namespace__person", "user__namespace")
    upload = whole.filter(pk=opened.pk).first()
    if upload is None:
        raise UploadExpired("This upload address was used already, or its time is over.")
    if not upload.user.is_active:
        raise UploadExpired("The person who got this upload address may not upload any more.")
    token = opened.token
    caller = Caller(user=upload.user) if token is None else tokens.caller_of_id(token)
    policy.require_bound(caller, Permission.DISCUSS, upload.repository, "upload address")
    site_settings.require_uploads()
    return upload


def _opened(ticket: str, salt: str = _SALT) -> _Opened:
    try:
        return _Opened(*signing.loads(ticket, salt=salt, max_age=settings.UPLOAD_URL_SECONDS))
    except signing.BadSignature:
        raise UploadExpired("This upload address is not valid, or its hour is over.") from None


def _exactly(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    left = size
    for part in pieces:
        left -= len(part)
        if left < 0:
            break
        yield part
    if left:
        raise DigestMismatch(f"The upload ended {abs(left):,} bytes {'early' if left > 0 else 'late'}.")
