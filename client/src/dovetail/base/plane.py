"""A hub's read plane: signed documents and bytes in a store, by which pulls go on while the hub does not answer."""

import base64
import json
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException, HTTPResponse
from threading import Event
from typing import Any
from urllib.parse import quote

from dovetail.answers.record import read
from dovetail.answers.versions import Manifest
from dovetail.base import ids
from dovetail.base.problems import Problem, no_hub
from dovetail.base.sources import Source
from dovetail.base.transport import MAX_ANSWER_BYTES, Transport

FORMAT = 1
_ABSENT = (403, 404)  # a bucket that nobody may list says 403 of what it has not; a 404 without JSON is `no_hub`
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

    def download(self, source: Source, offset: int = 0, is_stopped: Event | None = None) -> HTTPResponse:
        """Request the bytes of a file by their digest, from an offset on; the caller closes the response."""
        sha256 = source.file.sha256
        return self._get(f"/blobs/{sha256[:2]}/{sha256[2:4]}/{sha256}", str(source.file.path), offset, is_stopped)

    def _resolve(self, index: dict[str, Any], adapter: str, revision: str) -> str:
        names, states = index.get("names"), index.get("revisions")
        if not isinstance(names, dict) or not isinstance(states, dict):
            raise _not_as_signed(self.endpoint, "it names no revisions")
        asked = revision.lower()
        matching = [oid for oid in states if len(asked) >= _SHORTEST_OID and oid.startswith(asked)]
        oid = names.get("main" if revision == "HEAD" else revision) or (matching[0] if len(matching) == 1 else None)
        if oid is None or oid not in states or not ids.is_commit(oid):
            raise _absent(self.endpoint, f"{adapter}@{revision}")
        return str(oid)

    def _document(self, path: str, adapter: str) -> dict[str, Any]:
        """Return a signed document about an adapter, whose signature and time are good."""
        with self._get(path, adapter) as answer:
            try:
                envelope = json.loads(answer.read(MAX_ANSWER_BYTES))
                text, signature = envelope["signed"].encode(), base64.b64decode(envelope["signature"])
            except (ValueError, TypeError, KeyError, AttributeError, OSError, HTTPException) as error:
                raise _not_as_signed(self.endpoint, f"it is no signed document ({type(error).__name__})") from None
        if not any(is_signed(text, signature, key) for key in self._keys):
            raise _not_as_signed(self.endpoint, "the signature is of none of the keys that are known of the hub")
        document: dict[str, Any] = json.loads(text)
        if document.get("format") != FORMAT or document.get("repository") != adapter:
            raise _not_as_signed(self.endpoint, f"it is about {document.get('repository')}")
        _require_fresh(document, self.endpoint)
        return document

    def _get(self, path: str, what: str, offset: int = 0, is_stopped: Event | None = None) -> HTTPResponse:
        request = urllib.request.Request(f"{self.endpoint}{path}")  # noqa: S310  # places.py checks the scheme
        if offset:
            request.add_header("Range", f"bytes={offset}-")
        try:
            return self._patiently(request, is_stopped)
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


def _require_fresh(document: dict[str, Any], url: str) -> None:
    """Raise Problem for an index after its end; revisions have none, because a fresh index must name them."""
    if "expires_at" not in document:
        return
    ends = datetime.fromisoformat(document["expires_at"])
    if ends < datetime.now(UTC):
        raise Problem(
            f"{url} was signed at {document.get('signed_at')} and counts until {ends:%Y-%m-%d %H:%M} UTC.",
            "Wait for the hub: what is there may have been withdrawn since.",
            code="client-plane-stale",
        )


def _not_as_signed(url: str, why: str) -> Problem:
    return Problem(
        f"A document of the read plane {url} was refused: {why}.",
        "Tell the hub's administrator. Where its keys have changed, pull once from it, or set DOVETAIL_PLANE_KEY.",
        code="client-plane-refused",
    )


def _absent(url: str, what: str) -> Problem:
    return Problem(
        f"The read plane {url} does not have {what}.",
        "It has what anybody may pull and nothing else: wait for the hub.",
        code="client-plane-missing",
    )
