"""The append-only log of privileged acts, and the chain that seals it: a changed, deleted or moved row is found.

An act writes its event and waits for nobody. Events are sealed afterwards, by beat and before the log is read: a seal
holds a number without gaps, the hash of the seal before it, and the SHA-256 over both and the event. Two processes that
seal at once compute the same numbers; the primary key lets one of them through (docs/decisions/9-sealed-audit-log.md).
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from registry.models import AuditCheckpoint, AuditEvent, AuditSeal, Namespace, Organization, Repository, User

FIRST = "0" * 64  # what the first seal has as its previous hash
TOGETHER = 500  # events of one transaction
# Numbers are given when a row is inserted and rows appear when they are committed, so an event may appear after later
# ones were sealed; one that is older than this many rows is not sealed but reported.
LATE_ROWS = 10_000
VERSION = 1  # of the document that is hashed
FIELDS = (
    *("actor", "role", "credential", "address", "user_agent", "request_id", "action", "object", "repository"),
    *("namespace", "reason", "note", "before", "after"),
)


def canonical(document: object) -> bytes:
    """Return the one serialisation of a JSON value: sorted keys, no white space, UTF-8; as RFC 8785, without floats."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def document_of(event: AuditEvent) -> dict[str, object]:
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


@dataclass(frozen=True, slots=True)
class Client:
    """The program that sent a request, and the address that it came from."""

    address: str = ""
    user_agent: str = ""


# Set for each request by hub/identity.py; empty in workers and commands.
request_id: ContextVar[str] = ContextVar("request_id", default="")
client: ContextVar[Client | None] = ContextVar("client", default=None)
credential: ContextVar[str] = ContextVar("credential", default="")  # token:NAME, publisher:…; empty: the session


@contextmanager
def outside_request() -> Iterator[None]:
    """Record events without the request that happens to run: a reader's page also does work that others caused."""
    request_mark, client_mark, credential_mark = request_id.set(""), client.set(None), credential.set("")
    try:
        yield
    finally:
        request_id.reset(request_mark)
        client.reset(client_mark)
        credential.reset(credential_mark)


Subject = Repository | Namespace | Organization | User


def record(
    actor: User | None,
    action: str,
    obj: str,
    *,
    about: Subject | None = None,
    reason: str = "",
    note: str = "",
    before: object = None,
    after: object = None,
) -> AuditEvent:
    """Add one event; call it inside the transaction that does the act, so that neither exists without the other.

    `about` is the repository, organisation or person that the act concerns: its owners see the event on their page.
    `before` and `after` are JSON: texts, booleans, whole numbers, lists, objects.
    """
    sender = client.get()
    repository, namespace = _concerned(about)
    event = AuditEvent(
        at=timezone.now(),
        actor=actor.username if actor else "system",
        role=actor.role if actor else "",
        credential=(credential.get() or ("session" if sender and actor else ""))[:200],
        address=shorten_address(sender.address) if sender else "",
        user_agent=sender.user_agent[:300] if sender else "",
        request_id=request_id.get(),
        action=action,
        object=obj[:255],
        repository=repository,
        namespace=namespace,
        reason=reason,
        note=note,
        before=json.loads(json.dumps(before)),  # as the database gives it back
        after=json.loads(json.dumps(after)),
    )
    event.mac = mac_of(event)
    event.save(force_insert=True)
    return event


def shorten_address(address: str) -> str:
    """Return the address as DOVETAIL_AUDIT_ADDRESS says: in full, without its last part, or empty."""
    if settings.AUDIT_ADDRESS == "none":
        return ""
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    if settings.AUDIT_ADDRESS == "full":
        return str(parsed)
    return str(ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))


def _concerned(about: Subject | None) -> tuple[int | None, int | None]:
    if about is None:
        return None, None
    if isinstance(about, Repository):
        return about.pk, about.namespace_id
    if isinstance(about, User) and about.works_for_id:  # a machine
        return None, about.works_for_id
    return None, about.pk if isinstance(about, Namespace) else about.namespace_id
