"""The hub's Ed25519 keys, and the envelope of a signed document.

The private key is derived from DOVETAIL_SECRET_KEY, so that there is no second secret to keep; the keys of former
secret keys stay valid as long as these are named.
"""

import base64
import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

INFO = b"dovetail.plane.ed25519"


def sign(document: dict[str, Any]) -> bytes:
    """Return the envelope: the document as text, and the signature of exactly these bytes.

    Readers verify the text before they parse it. The same document has the same envelope.
    """
    text = json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    signature = _private_key(settings.SECRET_KEY).sign(text.encode())
    return json.dumps({"signed": text, "signature": base64.b64encode(signature).decode()}).encode()


def stated() -> dict[str, object] | None:
    """Return the address of the read plane and its public keys, as clients learn them; None where it is off."""
    return {"url": settings.PLANE_URL, "keys": public_keys()} if settings.PLANE_URL else None


def public_keys() -> list[str]:
    """Return the keys that signatures may be of, in base64: today's first, then those of former secret keys."""
    return [_public_key(secret) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


@cache
def _public_key(secret: str) -> str:
    return base64.b64encode(_private_key(secret).public_key().public_bytes_raw()).decode()


@cache
def _private_key(secret: str) -> Ed25519PrivateKey:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=INFO)
    return Ed25519PrivateKey.from_private_bytes(derivation.derive(secret.encode()))
