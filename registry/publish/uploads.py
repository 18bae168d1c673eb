"""Uploads before a push: plan how each file travels, refuse early, and accept LFS deliveries by ticket."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.conf import settings
from django.core import signing
from django.utils import timezone

from registry.bytes import blobs, intake, multipart
from registry.bytes.blobs import Keys
from registry.bytes.multipart import PartPlan
from registry.kernel import names, policy, quotas
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
from registry.people import tokens
from registry.repos import blob_access, pull, refs
from registry.repos.gitignore import MAX_TEXT, GitIgnore
from registry.repos.manifest import Entry, git_blob_oid

# Weights and archives travel as LFS objects whatever their size, as the Hub's default .gitattributes says.
_SUFFIXES = """
    .7z .arrow .bin .bz2 .ckpt .ftz .gguf .gz .h5 .joblib .mlmodel .model .msgpack .npy .npz .onnx .ot .parquet .pb
    .pickle .pkl .pt .pth .rar .safetensors .tar .tflite .tgz .wasm .xz .zip .zst
"""
LFS_SUFFIXES = tuple(_SUFFIXES.split())
GITATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES).encode()
_OURS = git_blob_oid(GITATTRIBUTES)
MAX_ASKED = 1000
MAX_TICKETS = 20_000  # of one person that wait for bytes
_SALT, _PART_SALT = "uploads.ticket", "uploads.part"
_HEX = frozenset("0123456789abcdef")


# --- planning --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Asked:
    """A file that a client would like to push; size in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Planned:
    """How it shall travel. `oid` is what is at that path now, in the digest that a file of this mode is known by."""

    path: str
    is_lfs: bool
    is_ignored: bool
    oid: str | None


def plan(
    repository: Repository, ref: str, asked: Sequence[Asked], *, by: Caller, gitignore: str | None
) -> list[Planned]:
    """Return how each file travels. Refuses paths, sizes and callers now rather than after the bytes.

    Raises what policy.require raises, RevisionNotFound, PathInvalid, FileTooLarge and PushTooLarge.
    """
    policy.require(by, Permission.DISCUSS, repository)
    if len(asked) > MAX_ASKED:
        raise PushTooLarge(f"{len(asked):,} files in one question; the limit is {MAX_ASKED:,}.", fix="Ask in several.")
    for file in asked:
        names.check_path(file.path)
        quotas.check_file(file.path, file.size)
    quotas.check_push(sum(file.size for file in asked))
    there = pull.entries(refs.resolve_ref(repository, ref))
    # A file of the same size at the same place is most likely the same: its bytes are asked for at the push itself.
    quotas.require_byte_quota(repository, sum(file.size for file in asked if _size_at(there, file.path) != file.size))
    ignore = GitIgnore(gitignore if gitignore is not None else _text_of(there.get(".gitignore")))
    lfs = GitIgnore(_lfs_patterns(_text_of(there.get(".gitattributes"))))
    return [_planned(file, there.get(names.check_path(file.path)), ignore, lfs) for file in asked]


def _size_at(there: Mapping[str, Entry], path: str) -> int:
    entry = there.get(path)
    return entry.size if entry else -1


def _planned(file: Asked, there: Entry | None, ignore: GitIgnore, lfs: GitIgnore) -> Planned:
    is_heavy = file.size > settings.MAX_INLINE_BYTES or file.path.lower().endswith(LFS_SUFFIXES)
    is_lfs = is_heavy or lfs.leaves_out(file.path)
    oid = None
    if there is not None and is_lfs:
        oid = there.sha256
    elif there is not None and not there.is_lfs:
        oid = there.git_oid
    return Planned(file.path, is_lfs, ignore.leaves_out(file.path), oid)


def _text_of(entry: Entry | None) -> str:
    if entry is None or entry.git_oid == _OURS:  # the patterns that every repository begins with are known
        return ""
    with blobs.store().open(Keys.blob(entry.sha256), 0, MAX_TEXT) as reader:
        return reader.read().decode("utf-8", "replace")


def _lfs_patterns(gitattributes: str) -> str:
    """Return the patterns that a .gitattributes sends by LFS, one a line."""
    lines = [line.split() for line in gitattributes.splitlines()]
    return "\n".join(words[0] for words in lines if "filter=lfs" in words[1:])


# --- LFS deliveries --------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Offer:
    """The answer for one LFS object: already here, refused, or to be delivered with this ticket (at this address)."""

    sha256: str
    size: int
    ticket: str = ""
    url: str | None = None  # where the store takes the bytes itself
    cut: PartPlan | None = None  # where they are to come in parts
    part_ticket: str = ""
    part_urls: Sequence[str] = ()  # where the store takes each part itself
    refusal: RegistryError | None = None


def offer(
    repository: Repository, objects: Sequence[tuple[str, int]], *, by: Caller, in_parts: bool = False
) -> list[Offer]:
    """Answer which of these (sha256, size) are to be delivered, and give a ticket for each that is.

    `in_parts` says whether the client can cut large ones.

    `already here` is only said to whom blob_access.usable_blobs says it. Raises TooOften where very many wait for
    their bytes, and what policy.require raises.
    """
    policy.require(by, Permission.DISCUSS, repository)
    check_count(objects)
    waiting = Upload.objects.filter(user=by.user, expires_at__gt=timezone.now())
    if waiting.count() + len(objects) > MAX_TICKETS:
        raise TooOften(f"{MAX_TICKETS:,} of your uploads wait for their bytes.", fix="Send them, or wait an hour.")
    usable = blob_access.usable_blobs(repository, {sha256 for sha256, _ in objects}, by)
    quotas.require_byte_quota(repository, sum(size for sha256, size in objects if sha256 not in usable))
    return [_offer(repository, sha256, size, sha256 in usable, in_parts, by) for sha256, size in objects]


def check_count(objects: Sequence[object]) -> None:
    """Raise PushTooLarge for more objects than one batch may name."""
    if len(objects) > MAX_ASKED:
        raise PushTooLarge(f"{len(objects):,} objects in one batch; the limit is {MAX_ASKED:,}.", fix="Send several.")


def _offer(repository: Repository, sha256: str, size: int, is_known: bool, in_parts: bool, by: Caller) -> Offer:
    if is_known:
        return Offer(sha256, size)
    try:
        check_digest(sha256)
        upload = intake.create_upload(repository, sha256, size, by=by)
    except RegistryError as refusal:
        return Offer(sha256, size, refusal=refusal)
    cut = multipart.plan_parts(upload) if in_parts else None
    bound = [str(upload.pk), repository.pk, sha256, by.token.pk if by.token else None]
    bound += [cut.part, cut.native] if cut else [0, ""]
    ticket = signing.dumps(bound, salt=_SALT)
    if cut:
        # Of its own kind: who comes by the address of a part must not be able to say that all are there.
        part_ticket = signing.dumps(bound, salt=_PART_SALT)
        return Offer(sha256, size, ticket, None, cut, part_ticket, multipart.part_urls(upload, cut))
    return Offer(
        sha256, size, ticket, blobs.store().presigned_put(Keys.incoming(upload.pk), settings.UPLOAD_URL_SECONDS)
    )


def check_digest(sha256: str) -> str:
    """Return the sha256 if it is written as 64 lower-case hex digits; raise ValueInvalid."""
    if len(sha256) != 64 or not _HEX.issuperset(sha256):
        raise ValueInvalid(f"{sha256[:80]!r} is not a sha256.", fix="Write it as 64 lower-case hex digits.")
    return sha256


def accept(ticket: str, pieces: Iterable[bytes], length: int) -> None:
    """Take the bytes that a ticket is for, through the web process, and believe them if they are what was promised.

    `length` in bytes is what the client announces. Raises UploadExpired, TokenInvalid, DigestMismatch and what
    policy.require raises: the rights of the ticket's caller count now, not when it was given.
    """
    upload = _upload(_opened(ticket))
    if length != upload.size:
        raise DigestMismatch(f"The upload announces {length:,} bytes; promised were {upload.size:,}.")
    intake.receive_upload(upload, _exactly(pieces, upload.size))


def accept_part(ticket: str, number: int, pieces: Iterable[bytes], length: int) -> str:
    """Take one part through the web process, and return its ETag. Raises ValueInvalid and what `accept` raises.

    A part that broke off leaves nothing, those before it stay: a client goes on with the part it was at.
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
    """Make a file of its parts, once; `etags` are (number, ETag) as they were answered. Raises as parts.join does."""
    opened = _opened(ticket)
    upload = _upload(opened)
    if sha256 != upload.sha256:
        raise DigestMismatch(f"This address is for {upload.sha256}, not for {sha256[:80]!r}.")
    if len(etags) != len(dict(etags)):
        raise ValueInvalid("A part is named twice.", fix="Name each part once.")
    multipart.join_parts(upload, opened.cut(upload), dict(etags))


def check_ticket(ticket: str) -> None:
    """Raise UploadExpired unless the ticket is one of ours and its hour is not over."""
    _opened(ticket)


def verify(ticket: str) -> None:
    """Say whether the bytes of a ticket are here and believed; hashes them now where they went past us.

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
    rows = Upload.objects.select_related("repository__namespace__person", "user__namespace")
    upload = rows.filter(pk=opened.pk).first()
    if upload is None:
        raise UploadExpired("This upload address was used already, or its time is over.")
    if not upload.user.is_active:
        raise UploadExpired("Whoever this upload address was given to may not upload any more.")
    token = opened.token
    caller = Caller(user=upload.user) if token is None else tokens.caller_of_id(token)
    policy.require(caller, Permission.DISCUSS, upload.repository)
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
