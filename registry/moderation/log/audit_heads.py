"""Signed heads of the audit log, kept outside of the database: they show when its newest rows were cut off.

Beat writes one a day into the blob store, and logs one each hour for those who collect logs elsewhere.
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from django.core.signing import BadSignature, Signer
from django.utils import timezone

from registry.bytes import blobs
from registry.bytes.blobs import Keys
from registry.kernel import audit

log = logging.getLogger(__name__)
SALT = "dovetail.audit.head"


@dataclass(frozen=True, slots=True)
class Head:
    """The place and hash of the newest event at a time, signed by the hub."""

    sequence: int
    hash: str
    at: str
    signed: str = ""

    def text(self) -> str:
        """Return the text that is signed."""
        return audit.canonical({"sequence": self.sequence, "hash": self.hash, "at": self.at}).decode()

    def is_ours(self) -> bool:
        """Return whether this hub signed the head, with its key of today or a former one."""
        try:
            Signer(salt=SALT).unsign(f"{self.text()}:{self.signed}")
        except BadSignature:
            return False
        return True


def sign(sequence: int, hash: str) -> Head:
    """Return a signed head or checkpoint."""
    head = Head(sequence, hash, audit.now_text())
    return Head(head.sequence, head.hash, head.at, Signer(salt=SALT).signature(head.text()))


def publish() -> Head:
    """Seal what waits, log the head, and store it unless today's is stored; beat calls this each hour."""
    audit.seal()
    head = sign(*audit.head())
    log.info("The head of the audit log", extra={"audit_head": json.dumps(asdict(head))})
    if head.sequence:
        blobs.store().put(Keys.audit_head(timezone.now().date()), [json.dumps(asdict(head)).encode()])
    return head


def stored() -> Iterator[tuple[str, Head | None]]:
    """Yield the key of every stored head with the head, None for one that cannot be read."""
    for entry in sorted(blobs.store().list(Keys.AUDIT), key=lambda entry: entry.key):
        text = b"".join(blobs.pieces(blobs.store().open(entry.key)))
        yield entry.key, parse(text)


def parse(text: bytes) -> Head | None:
    """Return the head that a stored or kept text holds, None where it holds none."""
    try:
        members = json.loads(text)
        return Head(int(members["sequence"]), str(members["hash"]), str(members["at"]), str(members["signed"]))
    except (ValueError, KeyError, TypeError):
        return None
