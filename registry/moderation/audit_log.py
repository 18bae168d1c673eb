"""The audit log: read and exported, its chain verified, its newest head kept elsewhere, its oldest events cut off.

Signed heads show when its newest rows were cut off: beat writes one a day into the blob store, and logs one each hour
for those who collect logs elsewhere. Where the oldest are removed, a signed checkpoint stands for them in the chain.
"""

import json
import logging
from collections.abc import Collection, Generator, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from registry.bytes import blobs
from registry.kernel import audit
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.texts import cursors
from registry.kernel.texts.cursors import Page
from registry.models import AuditCheckpoint, AuditEvent, AuditSeal, Membership, Namespace, Repository, User
from registry.models.extensions import lifted

HIDDEN_ACTOR = "a moderator"
STAFF = frozenset({User.Role.MODERATOR, User.Role.ADMIN})


@dataclass(frozen=True, slots=True)
class Filter:
    """The events to show; an empty member excludes nothing."""

    actor: str = ""
    object: str = ""
    action: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def condition(self) -> Q:
        """Return the condition; an object matches its parts too: `acme/x` finds `acme/x@REVISION`."""
        condition = Q()
        if self.actor:
            condition &= Q(actor=self.actor)
        if self.action:
            condition &= Q(action=self.action)
        if self.object:
            condition &= Q(object=self.object) | Q(object__startswith=f"{self.object}@")
        if self.since:
            condition &= Q(at__gte=self.since)
        if self.until:
            condition &= Q(at__lt=self.until)
        return condition


def listed(chosen: Filter, below: int, size: int) -> Page[AuditEvent]:
    """Return a page of the log, newest first, from below an id."""
    return cursors.newest_first(AuditEvent.objects.filter(chosen.condition()), below, size)


def exported(chosen: Filter) -> Generator[dict[str, object], None, None]:
    """Yield every event that the filter leaves, oldest first, with its place in the chain and its hashes."""
    audit.seal()
    events = AuditEvent.objects.filter(chosen.condition()).select_related("seal").order_by("pk")
    for event in events.iterator(500):
        seal = getattr(event, "seal", None)
        chain = {"sequence": seal.sequence, "previous": seal.previous, "hash": seal.hash} if seal else {}
        yield {"id": event.pk, **audit.document_of(event), "mac": event.mac, **chain}


@dataclass(frozen=True, slots=True)
class Activity:
    """An event as owners see it: no notes, no addresses of others, and moderators without their names."""

    id: int
    at: datetime
    actor: str
    action: str
    object: str
    reason: str
    before: Any
    after: Any
    address: str


def activity(of: Repository | Namespace, caller: Caller, below: int, size: int) -> Page[Activity]:
    """Return a page of what happened to a repository, or to an organisation and all it owns.

    The caller's right to its settings is for the view to require.
    """
    concerned = Q(repository=of.pk) if isinstance(of, Repository) else Q(namespace=of.pk)
    page = cursors.newest_first(AuditEvent.objects.filter(concerned), below, size)
    namespace = of.namespace if isinstance(of, Repository) else of
    members = _members(namespace)
    return Page([as_owners_see(event, caller, members) for event in page.items], page.next)


def _members(namespace: Namespace) -> set[str]:
    members = Membership.objects.filter(organization__namespace=namespace).values_list("user__username", flat=True)
    return {namespace.name, *members}


def as_owners_see(event: AuditEvent, caller: Caller, members: Collection[str]) -> Activity:
    """Return an event without what owners do not see; moderators keep their names where they are `members`."""
    is_own = caller.user is not None and event.actor == caller.user.username
    is_hidden = event.role in STAFF and event.actor not in members and not is_own
    return Activity(
        id=event.pk,
        at=event.at,
        actor=HIDDEN_ACTOR if is_hidden else event.actor,
        action=event.action,
        object=event.object,
        reason=event.reason,
        before=event.before,
        after=event.after,
        address=event.address if is_own else "",
    )


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
        blobs.store().put(blobs.Keys.audit_head(timezone.now().date()), [json.dumps(asdict(head)).encode()])
    return head


def stored() -> Iterator[tuple[str, Head | None]]:
    """Yield the key of every stored head with the head, None for one that cannot be read."""
    for entry in sorted(blobs.store().list(blobs.Keys.AUDIT), key=lambda entry: entry.key):
        text = b"".join(blobs.pieces(blobs.store().open(entry.key)))
        yield entry.key, parse(text)


def parse(text: bytes) -> Head | None:
    """Return the head that a stored or kept text holds, None where it holds none."""
    try:
        members = json.loads(text)
        return Head(int(members["sequence"]), str(members["hash"]), str(members["at"]), str(members["signed"]))
    except (ValueError, KeyError, TypeError):
        return None


@dataclass
class Verification:
    """The outcome: the numbers of events that were verified, and every problem, the first one first."""

    events: int = 0
    first: int = 0
    last: int = 0
    heads: int = 0
    problems: list[str] = field(default_factory=list)


def verify(kept: Iterable[tuple[str, Head | None]] = ()) -> Verification:
    """Verify the whole chain, the stored heads, and those that the caller `kept` elsewhere, each with its name.

    Events that wait for their seal are sealed first. The chain is followed to its first broken link; behind it nothing
    can be said.
    """
    audit.seal()
    outcome = Verification()
    begin, previous = _beginning(outcome)
    heads = _heads([*stored(), *kept], outcome)
    heads_at = _by_sequence(heads)
    outcome.first = begin + 1
    outcome.last = begin
    for seal in audit.sealed_events(begin):
        if problem := _broken_link(seal, outcome.last + 1, previous):
            outcome.problems.append(problem)
            return outcome
        outcome.events, outcome.last, previous = outcome.events + 1, seal.sequence, seal.hash
        if not audit.has_our_mac(seal.event):
            outcome.problems.append(f"{_name(seal)} was not written by this hub: its code is not by the hub's key.")
        outcome.problems += [
            f"{_name(seal)} is not the event that {key} recorded at this place."
            for key, head in heads_at.get(seal.sequence, ())
            if head.hash != seal.hash
        ]
    outcome.problems += [
        f"Events {outcome.last + 1} to {head.sequence} are missing at the end of the log: {key} recorded them."
        for key, head in heads
        if head.sequence > outcome.last
    ]
    outcome.problems += _outside()
    return outcome


def _beginning(outcome: Verification) -> tuple[int, str]:
    """Return (sequence, hash) that the oldest event must follow: that of the newest checkpoint, or of none."""
    checkpoint = AuditCheckpoint.objects.order_by("-sequence").first()
    if checkpoint is None:
        return 0, audit.FIRST
    head = Head(checkpoint.sequence, checkpoint.hash, checkpoint.at.isoformat(timespec="seconds"), checkpoint.signature)
    if not head.is_ours():
        outcome.problems.append(f"Checkpoint {checkpoint.sequence} is not signed by this hub.")
    return checkpoint.sequence, checkpoint.hash


def _by_sequence(heads: Iterable[tuple[str, Head]]) -> dict[int, list[tuple[str, Head]]]:
    """Return the heads by the number of the event that they seal."""
    heads_at: dict[int, list[tuple[str, Head]]] = {}
    for key, head in heads:
        heads_at.setdefault(head.sequence, []).append((key, head))
    return heads_at


def _heads(found: list[tuple[str, Head | None]], outcome: Verification) -> list[tuple[str, Head]]:
    heads = []
    for key, head in found:
        if head is None or not head.is_ours():
            outcome.problems.append(f"{key} is no head that this hub signed.")
        else:
            heads.append((key, head))
    outcome.heads = len(heads)
    return heads


def _broken_link(seal: AuditSeal, expected: int, previous: str) -> str:
    if seal.sequence != expected:
        return f"Event {expected} is missing: the next one in the log is {_name(seal)}."
    if seal.previous != previous:
        return f"{_name(seal)} does not follow the event before it: rows were inserted, removed or put in other order."
    if audit.hash_of(seal.event, seal.sequence, previous) != seal.hash:
        return f"{_name(seal)} was changed after it was sealed."
    return ""


def _outside() -> Iterator[str]:
    """Yield a problem for each event without a seal that is too old to be waiting for one."""
    waiting = set(audit.unsealed().values_list("pk", flat=True))
    for event in AuditEvent.objects.filter(seal__isnull=True).exclude(pk__in=waiting).order_by("pk")[:100]:
        yield f"Row {event.pk} ({event}) is in no chain: it was inserted among older rows."


def _name(seal: AuditSeal) -> str:
    return f"Event {seal.sequence} (row {seal.event_id}: {seal.event})"


def trim(before: datetime) -> int:
    """Remove the events before a time, and return how many. Raises ValueInvalid where the chain is broken.

    The cut is before the first event that is not older, so that what remains is one piece. It is itself an event.
    """
    verification = verify()
    if verification.problems:
        raise ValueInvalid(
            f"The log is broken: {verification.problems[0]}", fix="Nothing was removed; see verify_audit."
        )
    with transaction.atomic():
        first_kept = AuditSeal.objects.filter(event__at__gte=before).order_by("sequence").first()
        last = first_kept.sequence - 1 if first_kept else audit.head()[0]
        removed = AuditSeal.objects.filter(sequence__lte=last)
        end = removed.order_by("-sequence").first()
        if end is None:
            return 0
        count = removed.count()
        events = list(removed.values_list("event", flat=True))
        head = sign(end.sequence, end.hash)
        AuditCheckpoint.objects.create(
            sequence=head.sequence,
            hash=head.hash,
            at=datetime.fromisoformat(head.at),
            events=count,
            signature=head.signed,
        )
        with lifted(AuditSeal, AuditEvent):
            removed._raw_delete(removed.db)
            for at in range(0, count, 500):
                AuditEvent.objects.filter(pk__in=events[at : at + 500])._raw_delete(removed.db)
        audit.record(None, "audit:trim", f"events to {end.sequence}", before=count, after=before.isoformat())
    return count
