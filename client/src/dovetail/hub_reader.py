"""Asks a hub; while it does not answer, its read plane, which has signed documents, and what it answered last."""

import base64
import binascii
import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Event
from typing import TypeVar
from urllib.parse import quote, urlsplit

from dovetail import ids, places
from dovetail.adapters.results.records import JsonObject
from dovetail.answers.record import MappedAnswer, read
from dovetail.answers.versions import Manifest
from dovetail.locks import Source
from dovetail.problems import Problem, no_hub, usage
from dovetail.store.store import Store
from dovetail.transport import MAX_ANSWER_BYTES, READ_ERRORS, Response, Transport, is_away

FORMAT = 1
_ABSENT = (403, 404)  # a bucket that nobody may list says 403 of what it has not; a 404 without JSON is `no_hub`
GONE = (403, 404, 410, 451)  # what a hub says of an adapter that is held back, deleted or no longer ours to read
_SHORTEST_OID = 5  # hex digits of an abbreviated commit id


@dataclass(frozen=True)
class PlaneAddress:
    """The address of a read plane, and the public Ed25519 keys (base64) that its signatures are checked with."""

    url: str
    keys: tuple[str, ...]


class Plane(Transport):
    """Reads one read plane, without a token. Every method raises Problem."""

    def __init__(self, address: PlaneAddress, timeout: float | None = None) -> None:
        super().__init__(address.url, None, timeout)
        self._keys = address.keys

    def manifest(self, adapter: str, revision: str) -> Manifest:
        """Return the manifest of a revision: its files, and the state of its verdict when the index was signed.

        `revision` is a name, or a commit id that may be abbreviated. `as_of` is when the index was signed.
        """
        index = self._document(f"/index/{quote(adapter)}.json", adapter)
        oid = self._resolve(index, adapter, revision)
        document = self._document(f"/revisions/{quote(adapter)}/{oid}.json", adapter)
        if document.get("revision") != oid:
            raise _not_as_signed(self.endpoint, f"it is of revision {document.get('revision')}, not of {oid}")
        states = index["revisions"]
        try:
            return read(
                Manifest,
                {
                    "adapter": adapter,
                    "revision": oid,
                    "files": document.get("files"),
                    "state": states[oid] or None,
                    "as_of": index["signed_at"],
                },
            )
        except ValueError as error:
            raise _not_as_signed(self.endpoint, str(error)) from None

    def download(self, source: Source, offset: int = 0, is_stopped: Event | None = None) -> Response:
        """Request the bytes of a file by their digest, from an offset on; the caller closes the response."""
        sha256 = source.file.sha256
        return self._get(f"/blobs/{sha256[:2]}/{sha256[2:4]}/{sha256}", str(source.file.path), offset, is_stopped)

    def _resolve(self, index: JsonObject, adapter: str, revision: str) -> str:
        names, states = index.get("names"), index.get("revisions")
        if not isinstance(names, dict) or not isinstance(states, dict):
            raise _not_as_signed(self.endpoint, "it names no revisions")
        asked = revision.lower()
        matching = [oid for oid in states if len(asked) >= _SHORTEST_OID and oid.startswith(asked)]
        oid = names.get("main" if revision == "HEAD" else revision) or (matching[0] if len(matching) == 1 else None)
        if oid is None or oid not in states or not ids.is_commit(oid):
            raise _absent(self.endpoint, f"{adapter}@{revision}")
        return str(oid)

    def _document(self, path: str, adapter: str) -> JsonObject:
        """Return a signed document about an adapter, whose signature and time are good."""
        with self._get(path, adapter) as answer:
            try:
                envelope = json.loads(answer.read(MAX_ANSWER_BYTES))
                text, signature = envelope["signed"].encode(), base64.b64decode(envelope["signature"])
            except (ValueError, TypeError, KeyError, AttributeError, *READ_ERRORS) as error:
                raise _not_as_signed(self.endpoint, f"it is not a signed document ({type(error).__name__})") from None
        if not any(is_signed(text, signature, key) for key in self._keys):
            raise _not_as_signed(self.endpoint, "it is signed by no known key of the hub")
        document: JsonObject = json.loads(text)
        if document.get("format") != FORMAT or document.get("repository") != adapter:
            raise _not_as_signed(self.endpoint, f"it is about {document.get('repository')}")
        _require_fresh(document, self.endpoint)
        return document

    def _get(self, path: str, what: str, offset: int = 0, is_stopped: Event | None = None) -> Response:
        try:
            return self._patiently("GET", f"{self.endpoint}{path}", offset=offset, is_stopped=is_stopped)
        except Problem as problem:
            if problem.status in _ABSENT or problem.code == no_hub("").code:
                raise _absent(self.endpoint, what) from None
            raise


def is_signed(text: bytes, signature: bytes, key: str) -> bool:
    """Return whether a signature of a text is of an Ed25519 key, in base64."""
    # Only for who reads a read plane: it takes 30 ms.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  # as above
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415  # as above

    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(key)).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


def _require_fresh(document: JsonObject, url: str) -> None:
    """Raise Problem for an index after its end; revisions have none, because a fresh index must name them."""
    if "expires_at" not in document:
        return
    ends = datetime.fromisoformat(document["expires_at"])
    if ends < datetime.now(UTC):
        raise Problem(
            f"{url} was signed at {document.get('signed_at')} and expires at {ends:%Y-%m-%d %H:%M} UTC.",
            "Wait for the hub: these files may have been withdrawn since.",
            code="client-plane-stale",
        )


def _not_as_signed(url: str, why: str) -> Problem:
    return Problem(
        f"A document of the read plane {url} was refused: {why}.",
        "Tell the hub's administrator. If its keys have changed, pull once from it, or set DOVETAIL_PLANE_KEY.",
        code="client-plane-refused",
    )


def _absent(url: str, what: str) -> Problem:
    return Problem(
        f"The read plane {url} does not have {what}.",
        "It has only what anyone may pull: wait for the hub.",
        code="client-plane-missing",
    )


KEY_BYTES = 32


M = TypeVar("M", bound=MappedAnswer)


class ReadingHub(Transport):
    """A hub with its read plane: manifests and bytes come from there while the hub is away.

    DOVETAIL_PLANE has them read there without asking the hub. Else the address and the keys are those that the hub
    stated when it was last pulled from. A question that neither of them answers, this machine's cache does, as of when
    it was told; not for callers that keep answers themselves and set `keeps_answers`.
    """

    keeps_answers = True
    as_of = ""  # when the oldest answer was given that came from the cache

    def __init__(self, endpoint: str, token: str | None = None, timeout: float | None = None) -> None:
        super().__init__(endpoint, token, timeout)
        self._address, self._only_plane = _address_of(endpoint)
        self._is_away = self._only_plane
        self._is_patient = self._address is None

    def manifest(self, adapter: str, revision: str) -> Manifest:
        """Return a revision's manifest; `as_of` says when it was true, where it is the read plane's."""
        if not self._only_plane:
            path = f"/adapters/{quote(adapter)}/revisions/{quote(revision, safe='')}"
            try:
                manifest = self.get_kept(path, Manifest)
            except Problem as problem:
                if self._address is None or not is_away(problem):
                    raise
                self._is_away = True
                with _also(problem):
                    return self._plane.manifest(adapter, revision)
            if manifest.as_of:
                return manifest
            _remember(self.endpoint, manifest)
            self._address, _ = _address_of(self.endpoint)
            return manifest
        return self._plane.manifest(adapter, revision)

    def get_kept(self, path: str, answer: type[M]) -> M:
        """Return the answer of a GET, or the last one while the hub is away, with the time `as_of` when it was given.

        A hub with a read plane is asked nothing here: the plane's signatures say how long they hold. Raises Problem.
        """
        place = Store(places.cache()).answers / hashlib.sha256(f"{self.endpoint}{path}".encode()).hexdigest()
        try:
            found = self.get(path, answer)
        except Problem as problem:
            if problem.status in GONE:
                place.unlink(missing_ok=True)
            if not is_away(problem) or not self.keeps_answers or self._address is not None:
                raise
            with contextlib.suppress(OSError, ValueError):
                at = datetime.fromtimestamp(place.stat().st_mtime, UTC)
                kept = json.loads(place.read_text(encoding="utf-8"))
                as_of = at.isoformat(timespec="seconds")
                self.as_of = min(self.as_of or as_of, as_of)
                return read(answer, kept | {"as_of": as_of})
            raise
        if self.keeps_answers:
            _keep(place, found)
        return found

    def download(self, source: Source, offset: int = 0, is_stopped: Event | None = None) -> Response:
        """Request the bytes of a file, as `Transport.download` does."""
        if not self._is_away:
            try:
                return super().download(source, offset, is_stopped)
            except Problem as problem:
                if self._address is None or not is_away(problem):
                    raise
                self._is_away = True  # the other files of this download ask the read plane at once
        return self._plane.download(source, offset, is_stopped)

    @cached_property
    def _plane(self) -> Plane:
        assert self._address is not None
        return Plane(self._address, self._timeout)


def _keep(place: Path, answer: MappedAnswer) -> None:
    """Write an answer beside the files of the cache; a folder that cannot be written costs only that."""
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with NamedTemporaryFile("w", dir=place.parent, encoding="utf-8", delete=False) as file:
            json.dump(dict(answer), file)
        Path(file.name).replace(place)


@contextlib.contextmanager
def _also(first: Problem) -> Iterator[None]:
    """Tell of both where neither the hub nor its read plane could answer."""
    try:
        yield
    except Problem as problem:
        detail = f"{first.detail} {problem.detail}"
        raise Problem(detail, problem.fix, code=first.code, status=first.status) from None


def _address_of(endpoint: str) -> tuple[PlaneAddress | None, bool]:
    """Return the read plane of a hub, if one is known, and whether it alone is to be asked. Raises Problem."""
    url, known = os.environ.get("DOVETAIL_PLANE", "").rstrip("/"), places.plane(endpoint)
    keys = tuple(os.environ.get("DOVETAIL_PLANE_KEY", "").replace(",", " ").split()) or (known or ("", ()))[1]
    if wrong := [key for key in keys if not _is_key(key)]:
        raise usage(
            f"{wrong[0]!r} is not a public key of a read plane.",
            f"Set DOVETAIL_PLANE_KEY to the base64 of {KEY_BYTES} bytes, as `plane.keys` of /api/v1/site has it.",
        )
    if not url:
        return (PlaneAddress(known[0], keys) if known else None), False
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise usage(f"DOVETAIL_PLANE is {url!r}, which is not an address.", "Write it as https://HOST/PATH.")
    if not keys:
        raise usage(
            f"No known key can verify the read plane {url}.",
            "Set DOVETAIL_PLANE_KEY to the hub's public key (base64; `plane.keys` of /api/v1/site), or pull once "
            "from the hub without DOVETAIL_PLANE.",
        )
    return PlaneAddress(url, keys), True


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == KEY_BYTES
    except binascii.Error:
        return False


def _remember(endpoint: str, manifest: Manifest) -> None:
    stated = manifest.get("plane")
    url, keys = (stated.get("url"), stated.get("keys")) if isinstance(stated, dict) else (None, None)
    is_good = isinstance(url, str) and url.startswith(("http://", "https://")) and isinstance(keys, list)
    found = (str(url).rstrip("/"), tuple(map(str, keys or ()))) if is_good else None
    if found != places.plane(endpoint):
        places.remember_plane(endpoint, found)
