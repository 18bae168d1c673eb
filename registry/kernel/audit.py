"""The append-only log of privileged acts: an act writes its event in its own transaction, and waits for nobody.

A feature reads and seals it (docs/decisions/9-sealed-audit-log.md).
"""

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.utils import timezone

from registry.models import AuditEvent, Namespace, Organization, Repository, User

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


def mac_of(event: AuditEvent, key: str = "") -> str:
    """Return the message authentication code of an event: only this hub's processes, with their key, can write one."""
    derived = hashlib.sha256(b"dovetail.audit.event" + (key or settings.SECRET_KEY).encode()).digest()
    return hmac.new(derived, canonical(document_of(event)), hashlib.sha256).hexdigest()


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
