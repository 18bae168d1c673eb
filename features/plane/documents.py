"""The documents of one repository: its index, which is signed again every few days, and one for each revision.

    plane/index/NS/NAME.json               signed: names, readable revisions with their verdicts, until when it counts
    plane/revisions/NS/NAME/COMMIT.json    signed, never changed: the files, with sha256, size and place of the bytes
    plane/blobs/<aa>/<bb>/<sha256>         the bytes

A reader takes a revision only if a fresh index names it. So a revision is withdrawn by one write, and its own document
may be cached for ever. `objects.py` has what stock clients of the Hub read.

Keys are Ed25519. The private one is derived from DOVETAIL_SECRET_KEY, so that there is no second secret to keep; the
keys of former secret keys stay valid as long as these are named.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache, partial

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.cache import cache

from registry.bytes.blobs import Keys, object_exists
from registry.kernel.errors import RegistryError, StoreUnavailable
from registry.kernel.policy import NOBODY, Permission
from registry.models import Repository, Revision, RevisionFile
from registry.proof.verdicts import requests
from registry.repos import lookup, pull, refs
from registry.repos.manifest import Entry

INFO = b"dovetail.plane.ed25519"
KNOWN_SECONDS = 60  # a web process asks the store once in that time whether public bytes are there


def sign(document: Mapping[str, object]) -> bytes:
    """Return the envelope: the document as text, and the signature of exactly these bytes.

    Readers verify the text before they parse it. The same document has the same envelope.
    """
    text = json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    signature = _private_key(settings.SECRET_KEY).sign(text.encode())
    return json.dumps({"signed": text, "signature": base64.b64encode(signature).decode()}).encode()


def stated() -> dict[str, object] | None:
    """Return the address of the read plane and its public keys, as clients learn them; None where it is off."""
    return {"url": settings.PLANE_URL, "keys": public_keys()} if settings.PLANE_URL else None


def public_address(sha256: str) -> str:
    """Return the address of public bytes, if a network of caches carries them; "" where they are not there yet."""
    key = Keys.public_blob(sha256)
    if not settings.PLANE_BYTES or not cache.get_or_set(f"plane:{sha256}", partial(_is_there, key), KNOWN_SECONDS):
        return ""
    return f"{settings.PLANE_URL}/{key.removeprefix(Keys.PLANE)}"


def _is_there(key: str) -> bool:
    try:
        return object_exists(key)
    except StoreUnavailable:
        return False


def public_keys() -> list[str]:
    """Return the keys that signatures may be of, in base64: today's first, then those of former secret keys."""
    return [_public_key(secret) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


@lru_cache
def _public_key(secret: str) -> str:
    return base64.b64encode(_private_key(secret).public_key().public_bytes_raw()).decode()


@lru_cache
def _private_key(secret: str) -> Ed25519PrivateKey:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=INFO)
    return Ed25519PrivateKey.from_private_bytes(derivation.derive(secret.encode()))


FORMAT = 1
REVISIONS = 1000  # of a repository, the newest ones, besides those that have a name
COUNTS_FOR = timedelta(days=7)  # an index; a hub that is away for longer than a week has other troubles
SHORT = "public, max-age=30"
# Clients may keep it for ever; caches that others share ask the store each minute whether it is still there.
LONG = "public, max-age=31536000, s-maxage=60, immutable"


@dataclass(frozen=True, slots=True)
class Document:
    """An object to write: its text, how long caches may keep it, and headers `x-amz-meta-NAME` for nginx."""

    data: bytes
    cache: str = LONG
    kind: str = "application/json"
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Served:
    """The part of a repository that anybody may pull now.

    `revisions` and `states` (of verdicts) are by commit id; `names` lead to commit ids.
    """

    repository: Repository
    revisions: Mapping[str, Revision]
    names: Mapping[str, str]
    states: Mapping[str, str]


def find_served(full_name: str) -> Served | None:
    """Return what anybody may pull by this name, spelled exactly so; None where that is nothing."""
    try:
        repository = lookup.find(full_name, NOBODY, Permission.DOWNLOAD)
    except RegistryError:
        return None
    if repository.full_name != full_name or repository.source:
        return None
    named = _named(repository)
    newest = repository.revisions.filter(is_part=False).order_by("-pk")[:REVISIONS]
    # A yanked one waits for the hub, which says that it is yanked.
    candidates = [revision for revision in (*newest, *named.values()) if not revision.is_yanked]
    served = pull.served_to_anybody(candidates)
    files = RevisionFile.objects.filter(revision__in=served, is_unsearched=True)
    unsearched = set(files.values_list("revision", flat=True))  # they come when a worker has searched them
    revisions = {revision.oid: revision for revision in served if revision.pk not in unsearched}
    for revision in revisions.values():
        revision.repository = repository
    states = requests.states_in_force(revision.pk for revision in revisions.values())
    return Served(
        repository,
        revisions,
        {name: revision.oid for name, revision in named.items() if revision.oid in revisions},
        {oid: states.get(revision.pk, "") for oid, revision in revisions.items()},
    )


def _named(repository: Repository) -> dict[str, Revision]:
    """Return name → revision for branches, tags, aliases and `verified`, as `pull.resolve_pulled` does; one query."""
    by_ref = {ref.name: ref.revision for ref in refs.list_refs(repository)}
    named: dict[str, Revision] = {}
    for prefix in (refs.ALIASES, refs.TAGS, refs.BRANCHES):  # of the same name the last one counts
        named |= {ref.removeprefix(prefix): by_ref[ref] for ref in by_ref if ref.startswith(prefix)}
    if verified := by_ref.get(refs.VERIFIED):
        named["verified"] = verified
    if "main" in named and named["main"].is_yanked:
        del named["main"]
        if verified:
            named["main"] = verified
    return named


def index_key(full_name: str) -> str:
    """Return the key of a repository's index."""
    return f"{Keys.PLANE}index/{full_name}.json"


def revision_key(full_name: str, oid: str) -> str:
    """Return the key of a revision's document."""
    return f"{Keys.PLANE}revisions/{full_name}/{oid}.json"


def index_of(served: Served, now: datetime) -> Document:
    """Return the signed index of a repository."""
    document = {
        "format": FORMAT,
        "hub": settings.PUBLIC_URL,
        "repository": served.repository.full_name,
        "names": dict(served.names),
        "revisions": dict(served.states),
        "signed_at": now.isoformat(timespec="seconds"),
        "expires_at": (now + COUNTS_FOR).isoformat(timespec="seconds"),
    }
    return Document(sign(document), SHORT)


def revision_of(served: Served, oid: str, entries: Iterable[Entry]) -> Document:
    """Return the signed document of one revision."""
    files = [
        {"path": entry.path, "size": entry.size, "sha256": entry.sha256, "lfs": entry.is_lfs, "git_oid": entry.git_oid}
        for entry in entries
    ]
    document = {
        "format": FORMAT,
        "hub": settings.PUBLIC_URL,
        "repository": served.repository.full_name,
        "revision": oid,
        "files": files,
    }
    return Document(sign(document))
