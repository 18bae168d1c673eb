"""The content-addressed store: every object key, hashing, and the one store that the settings name.

    blobs/<aa>/<bb>/<sha256>    believed: hashed by us, immutable, shared by all repositories that may use it
    incoming/<uuid>[.<number>]  staged: delivered but not yet hashed; with a number, one part of it
    xorbs/<aa>/<hash>           verified chunk containers, kept while clients remember having sent them
    indexes/<aa>/<hash>         the index alone of a container whose chunks whole files hold
    audit/<day>.json            the signed head of the audit log on that day
    plane/…                     the read plane, which anybody may read (docs/decisions/14)

Every object is written once and never changed, but for documents of the read plane. Rows (UploadedBlob) say which
repository may use which blob, not this package. The interface is `contract.py`, `folder.py` its
driver for a folder; features bring others.
"""

import re
import shutil
import uuid
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from registry.bytes.blobs.contract import (
    BlobMissing,
    BlobStore,
    Bytes,
    BytesChanged,
    Digest,
    Entry,
    Hasher,
    Reader,
    digest_of,
    digest_of_file,
    hash_through,
)
from registry.bytes.blobs.folder import FileStore
from registry.kernel import seams
from registry.kernel.errors import StoreUnavailable

__all__ = [
    "BlobMissing",
    "BlobStore",
    "Bytes",
    "BytesChanged",
    "Digest",
    "Entry",
    "FileStore",
    "Hasher",
    "Keys",
    "Reader",
    "command",
    "digest_of",
    "digest_of_file",
    "hash_staged",
    "hash_through",
    "job",
    "load_driver",
    "lost_object",
    "object_exists",
    "pieces",
    "pieces_of_file",
    "store",
    "store_at",
]

PIECE = 1 << 20
# Set where nobody waits for an answer of the store: in workers, and in commands, of which none comes again by itself.
job, command = Event(), Event()


class Keys:
    """The only place that spells an object key. A digest that is not 64 lower-case hex never becomes a path."""

    BLOBS, INCOMING, XORBS, INDEXES, AUDIT = "blobs/", "incoming/", "xorbs/", "indexes/", "audit/"
    PLANE = "plane/"

    @classmethod
    def blob(cls, sha256: str) -> str:
        """Return the key of the believed object with this digest."""
        _hex64(sha256)
        return f"{cls.BLOBS}{sha256[:2]}/{sha256[2:4]}/{sha256}"

    @classmethod
    def public_blob(cls, sha256: str) -> str:
        """Return the key by which anybody may read the bytes of this digest, while a public repository has them."""
        return cls.PLANE + cls.blob(sha256)

    @classmethod
    def incoming(cls, ticket: uuid.UUID) -> str:
        """Return the key under which the bytes of one upload are staged."""
        return f"{cls.INCOMING}{ticket}"

    @classmethod
    def part(cls, ticket: uuid.UUID, number: int) -> str:
        """Return the key under which one part of an upload is staged; numbers begin at 1."""
        return f"{cls.INCOMING}{ticket}.{number:05}"

    @classmethod
    def xorb(cls, name: str) -> str:
        """Return the key of a xorb; `name` is the hash in Xet's text form."""
        _hex64(name)
        return f"{cls.XORBS}{name[:2]}/{name}"

    @classmethod
    def xorb_index(cls, name: str) -> str:
        """Return the key of the index of a cold xorb."""
        _hex64(name)
        return f"{cls.INDEXES}{name[:2]}/{name}"

    @classmethod
    def audit_head(cls, day: date) -> str:
        """Return the key of the audit log's head of a day."""
        return f"{cls.AUDIT}{day.isoformat()}.json"


def _hex64(text: str) -> None:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError(f"{text[:80]!r} is not 64 lower-case hex digits")


def pieces(reader: Reader, size: int = PIECE) -> Iterator[bytes]:
    """Yield the rest of a reader in pieces of at most `size` bytes and close it at the end."""
    with reader:
        while piece := reader.read(size):
            yield piece


def pieces_of_file(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file on this machine in pieces."""
    with path.open("rb") as file:
        yield from iter(lambda: file.read(PIECE), b"")


def copy_blob(sha256: str, target: Path) -> None:
    """Copy a blob into a new file. A hard link would let a job that gets the file write to the store's own bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with store().open(Keys.blob(sha256)) as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, PIECE)


def object_exists(key: str) -> bool:
    """Return whether there is an object under this key now."""
    try:
        store().size(key)
    except BlobMissing:
        return False
    return True


def lost_object(key: str) -> StoreUnavailable:
    """Return the refusal for an object that a row names and the store has lost, which is the hub's fault."""
    return StoreUnavailable(
        f"The store has lost {key}.",
        fix="Tell an administrator of this hub: `manage.py verify_blobs` lists what must be restored from a backup.",
    )


def hash_staged(key: str, limit: int | None = None) -> tuple[Digest, str]:
    """Hash an object in a stream; return its digest and the version that `promote` must insist on.

    With a limit, at most one byte more is read, because a client decided how long the object is.
    """
    hasher, reader = Hasher(), store().open(key, 0, None if limit is None else limit + 1)
    for _ in hash_through(pieces(reader), hasher):
        pass
    return hasher.digest(), reader.version


def store() -> BlobStore:
    """Return the store that settings.BLOBS names: file://DIR or s3://bucket?endpoint=URL[&public=URL]."""
    return store_at(settings.BLOBS)


def load_driver() -> None:
    """Load what the store needs, and ask it nothing: processes that fork afterwards share it."""
    if kind := _kind(settings.BLOBS):
        kind.load()


@cache  # one client and one connection pool per process
def store_at(url: str) -> BlobStore:
    """Return the store of an address as DOVETAIL_BLOBS has it."""
    parts, kind = urlsplit(url), _kind(url)
    if parts.scheme == "file":
        return FileStore(Path(parts.netloc + parts.path))
    if kind is None or not parts.netloc:
        raise ImproperlyConfigured(f"DOVETAIL_BLOBS must be file://DIR or s3://bucket?endpoint=URL, not {url!r}.")
    opened: BlobStore = kind.open(parts)
    return opened


def _kind(url: str) -> seams.StoreKind | None:
    """Return what opens such an address, if a feature does."""
    scheme = urlsplit(url).scheme
    return next((part.stores[scheme] for part in seams.joined() if scheme in part.stores), None)
