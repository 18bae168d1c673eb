"""What happens before a push: which files travel how, what is refused at once, and LFS deliveries by ticket."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.core import signing

from registry import blobs, intake, names, people, policy, possession, pull, quotas, refs
from registry.blobs import Keys
from registry.errors import (
    BlobUnknown,
    DigestMismatch,
    FileTooLarge,
    PushTooLarge,
    RegistryError,
    UploadExpired,
    ValueInvalid,
)
from registry.ignore import MAX_TEXT, Ignore
from registry.manifest import Entry, git_blob_oid
from registry.models import Adapter, Upload
from registry.policy import Caller, Permission

# Weights and archives travel as LFS objects whatever their size, as the Hub's default .gitattributes says.
_SUFFIXES = """
    .7z .arrow .bin .bz2 .ckpt .ftz .gguf .gz .h5 .joblib .mlmodel .model .msgpack .npy .npz .onnx .ot .parquet .pb
    .pickle .pkl .pt .pth .rar .safetensors .tar .tflite .tgz .wasm .xz .zip .zst
"""
LFS_SUFFIXES = tuple(_SUFFIXES.split())
GITATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES).encode()
_OURS = git_blob_oid(GITATTRIBUTES)
MAX_ASKED = 1000
_SALT = "uploads.ticket"
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


def plan(adapter: Adapter, ref: str, asked: Sequence[Asked], *, by: Caller, gitignore: str | None) -> list[Planned]:
    """Return how each file travels. Refuses paths, sizes and callers now rather than after the bytes.

    Raises what policy.require raises, RevisionNotFound, PathInvalid, FileTooLarge and PushTooLarge.
    """
    policy.require(by, Permission.PUSH, adapter)
    if len(asked) > MAX_ASKED:
        raise PushTooLarge(f"{len(asked):,} files in one question; the limit is {MAX_ASKED:,}.", fix="Ask in several.")
    for file in asked:
        names.check_path(file.path)
        check_size(file.path, file.size)
    if sum(file.size for file in asked) > settings.MAX_PUSH_BYTES:
        raise PushTooLarge(f"These files have more than the allowed {settings.MAX_PUSH_BYTES:,} bytes together.")
    there = pull.entries(refs.head(adapter, ref))
    # A file of the same size at the same place is most likely the same: its bytes are asked for at the push itself.
    quotas.require_room(adapter, sum(file.size for file in asked if _size_at(there, file.path) != file.size))
    ignore = Ignore(gitignore if gitignore is not None else _text_of(there.get(".gitignore")))
    lfs = Ignore(_lfs_patterns(_text_of(there.get(".gitattributes"))))
    return [_planned(file, there.get(names.check_path(file.path)), ignore, lfs) for file in asked]


def _size_at(there: Mapping[str, Entry], path: str) -> int:
    entry = there.get(path)
    return entry.size if entry else -1


def check_size(path: str, size: int) -> None:
    """Raise FileTooLarge for a file over the site's limit, and ValueInvalid for a size that is none."""
    if size < 0:
        raise ValueInvalid(f"{path!r} cannot have {size} bytes.", fix="Send the file's size in bytes.")
    if size > settings.MAX_FILE_BYTES:
        limit = settings.MAX_FILE_BYTES
        raise FileTooLarge(f"{path!r} has {size:,} bytes; the limit is {limit:,}.", limit=limit)


def _planned(file: Asked, there: Entry | None, ignore: Ignore, lfs: Ignore) -> Planned:
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
    refusal: RegistryError | None = None


def offer(adapter: Adapter, objects: Sequence[tuple[str, int]], *, by: Caller) -> list[Offer]:
    """Answer which of these (sha256, size) are to be delivered, and give a ticket for each that is.

    `already here` is only said to whom possession.usable says it. Raises what policy.require raises.
    """
    policy.require(by, Permission.PUSH, adapter)
    if len(objects) > MAX_ASKED:
        raise PushTooLarge(f"{len(objects):,} objects in one batch; the limit is {MAX_ASKED:,}.", fix="Send several.")
    known = possession.usable(adapter, {sha256 for sha256, _ in objects}, by)
    quotas.require_room(adapter, sum(size for sha256, size in objects if sha256 not in known))
    return [_offer(adapter, sha256, size, sha256 in known, by) for sha256, size in objects]


def _offer(adapter: Adapter, sha256: str, size: int, is_known: bool, by: Caller) -> Offer:
    if is_known:
        return Offer(sha256, size)
    try:
        check_digest(sha256)
        check_size(sha256, size)
        upload = intake.expect(adapter, sha256, size, by=by)
    except RegistryError as refusal:
        return Offer(sha256, size, refusal=refusal)
    token = by.token.pk if by.token else None
    ticket = signing.dumps([str(upload.pk), adapter.pk, sha256, token], salt=_SALT)
    url = blobs.store().presigned_put(Keys.incoming(upload.pk), settings.UPLOAD_URL_SECONDS)
    return Offer(sha256, size, ticket, url)


def check_digest(sha256: str) -> str:
    """Return the sha256 if it is written as 64 lower-case hex digits; raise ValueInvalid."""
    if len(sha256) != 64 or not _HEX.issuperset(sha256):
        raise ValueInvalid(f"{sha256[:80]!r} is not a sha256.", fix="Write it as 64 lower-case hex digits.")
    return sha256


def accept(ticket: str, parts: Iterable[bytes], length: int) -> None:
    """Take the bytes that a ticket is for, through the web process, and believe them if they are what was promised.

    `length` in bytes is what the client announces. Raises UploadExpired, TokenInvalid, DigestMismatch and what
    policy.require raises: the rights of whoever asked for the ticket count now, not when it was given.
    """
    upload = _upload(ticket)
    if length != upload.size:
        raise DigestMismatch(f"The upload announces {length:,} bytes; promised were {upload.size:,}.")
    intake.stage(upload, _exactly(parts, upload.size))
    intake.adopt(upload)


def verify(ticket: str) -> None:
    """Say whether the bytes of a ticket are here and believed; hashes them now where they went past us.

    Raises BlobUnknown and what `accept` raises.
    """
    pk, adapter, sha256, _ = _opened(ticket)
    if Upload.objects.filter(pk=pk).exists():
        intake.adopt(_upload(ticket))
    elif not Adapter.objects.filter(pk=adapter, possessions__blob=sha256).exists():
        raise BlobUnknown(f"No bytes were delivered for {sha256}.")


def _upload(ticket: str) -> Upload:
    pk, _, _, token = _opened(ticket)
    upload = Upload.objects.select_related("adapter__namespace__person", "user__namespace").filter(pk=pk).first()
    if upload is None:
        raise UploadExpired("This upload address was used already, or its time is over.")
    if not upload.user.is_active:
        raise UploadExpired("Whoever this upload address was given to may not upload any more.")
    caller = Caller(user=upload.user) if token is None else people.caller_of_token_id(token)
    policy.require(caller, Permission.PUSH, upload.adapter)
    return upload


def _opened(ticket: str) -> tuple[str, int, str, int | None]:
    try:
        pk, adapter, sha256, token = signing.loads(ticket, salt=_SALT, max_age=settings.UPLOAD_URL_SECONDS)
    except signing.BadSignature:
        raise UploadExpired("This upload address is not valid, or its hour is over.") from None
    return pk, adapter, sha256, token


def _exactly(parts: Iterable[bytes], size: int) -> Iterator[bytes]:
    left = size
    for part in parts:
        left -= len(part)
        if left < 0:
            break
        yield part
    if left:
        raise DigestMismatch(f"The upload ended {abs(left):,} bytes {'early' if left > 0 else 'late'}.")
