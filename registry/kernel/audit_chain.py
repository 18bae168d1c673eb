"""The chain of the audit log: seals events in order, so that a changed, deleted or moved row is found.

An act writes its event and waits for nobody. Events are sealed afterwards, by beat and before the log is read: a seal
holds a number without gaps, the hash of the seal before it, and the SHA-256 over both and the event. Two processes that
seal at once compute the same numbers; the primary key lets one of them through (docs/decisions/9-sealed-audit-log.md).
"""

import hashlib
import hmac
import json
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from registry.models import AuditCheckpoint, AuditEvent, AuditSeal

FIRST = "0" * 64  # what the first seal has as its previous hash
TOGETHER = 500  # events of one transaction
# Numbers are given when a row is inserted and rows appear when they are committed, so an event may appear after later
# ones were sealed; one that is older than this many rows is not sealed but reported.
LATE_ROWS = 10_000
VERSION = 1  # of the document that is hashed
FIELDS = (
    "actor", "role", "credential", "address", "user_agent", "request_id", "action", "object", "repository",
    "namespace", "reason", "note", "before", "after",
)  # fmt: skip


def canonical(document: object) -> bytes:
    """Return the one serialisation of a JSON value: sorted keys, no white space, UTF-8; as RFC 8785, without floats."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def document_of(event: AuditEvent) -> dict[str, Any]:
    """Return an event as it is hashed, exported and verified, without its number."""
    return {"version": VERSION, "at": event.at.isoformat(), **{name: getattr(event, name) for name in FIELDS}}


def mac_of(event: AuditEvent) -> str:
    """Return the message authentication code of an event: only this hub's processes can write one."""
    return _mac(settings.SECRET_KEY, canonical(document_of(event)))


def has_our_mac(event: AuditEvent) -> bool:
    """Return whether this hub wrote the event, with its key of today or a former one."""
    text = canonical(document_of(event))
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return any(hmac.compare_digest(event.mac, _mac(key, text)) for key in keys)


def _mac(key: str, text: bytes) -> str:
    derived = hashlib.sha256(b"dovetail.audit.event" + key.encode()).digest()
    return hmac.new(derived, text, hashlib.sha256).hexdigest()


def hash_of(event: AuditEvent, sequence: int, previous: str) -> str:
    """Return the hash of the seal of an event at this place."""
    link = {"sequence": sequence, "previous": previous, "mac": event.mac, "event": document_of(event)}
    return hashlib.sha256(canonical(link)).hexdigest()


def head() -> tuple[int, str]:
    """Return (sequence, hash) of the newest seal, of the newest checkpoint where no event is left, or of no event."""
    row: AuditSeal | AuditCheckpoint | None = AuditSeal.objects.order_by("-sequence").first()
    row = row or AuditCheckpoint.objects.order_by("-sequence").first()
    return (row.sequence, row.hash) if row else (0, FIRST)


def unsealed() -> QuerySet[AuditEvent]:
    """Return the events that wait for their seal, oldest first."""
    newest = AuditSeal.objects.order_by("-sequence").values_list("event", flat=True).first() or 0
    return AuditEvent.objects.filter(pk__gt=newest - LATE_ROWS, seal__isnull=True).order_by("pk")


def seal() -> int:
    """Seal all events that wait, and return how many; 0 where another process is at it."""
    sealed = 0
    while batch := _seal_batch():
        sealed += batch
    return sealed


def _seal_batch() -> int:
    try:
        with transaction.atomic():
            sequence, previous = head()
            seals = []
            for event in unsealed()[:TOGETHER]:
                sequence += 1
                previous_hash, previous = previous, hash_of(event, sequence, previous)
                seals.append(AuditSeal(sequence=sequence, event=event, previous=previous_hash, hash=previous))
            AuditSeal.objects.bulk_create(seals)
    except IntegrityError:  # another process was faster
        return 0
    return len(seals)


def sealed_events(sequence: int = 0) -> Iterable[AuditSeal]:
    """Yield all seals after a place in the chain with their events, in order, without holding them in memory."""
    return AuditSeal.objects.filter(sequence__gt=sequence).select_related("event").order_by("sequence").iterator(500)


def now_text() -> str:
    """Return the time as heads and checkpoints write it."""
    return timezone.now().isoformat(timespec="seconds")
