"""The chain that seals the audit log: verified, its newest head kept elsewhere, its oldest events cut off.

An act writes its event and waits for nobody. Events are sealed afterwards, by beat and before the log is read: a seal
holds a number without gaps, the hash of the seal before it, and the SHA-256 over both and the event. Two processes that
seal at once compute the same numbers; the primary key lets one of them through (docs/decisions/9-sealed-audit-log.md).

Signed heads show when its newest rows were cut off: beat writes one a day into the blob store, and logs one each hour
for those who collect logs elsewhere. Where the oldest are removed, a signed checkpoint stands for them in the chain.
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from features.audit_log.models import AuditCheckpoint, AuditSeal
from features.audit_log.verbs import Filter
from registry.bytes import blobs
from registry.kernel import audit
from registry.kernel.errors import ValueInvalid
from registry.models import AuditEvent
from registry.models.extensions import lifted

log = logging.getLogger(__name__)
SALT = "dovetail.audit.head"
FIRST = "0" * 64  # what the first seal has as its previous hash
TOGETHER = 500  # events of one transaction
# Numbers are given when a row is inserted and rows appear when they are committed, so an event may appear after later
# ones were sealed; one that is older than this many rows is not sealed but reported.
LATE_ROWS = 10_000


def hash_of(event: AuditEvent, sequence: int, previous: str) -> str:
    """Return the hash of the seal of an event at this place."""
    link = {"sequence": sequence, "previous": previous, "mac": event.mac, "event": audit.document_of(event)}
    return hashlib.sha256(audit.canonical(link)).hexdigest()


def newest() -> tuple[int, str]:
    """Return (sequence, hash) of the newest seal, of the newest checkpoint where no event is left, or of no event."""
    row: AuditSeal | AuditCheckpoint | None = AuditSeal.objects.order_by("-sequence").first()
    row = row or AuditCheckpoint.objects.order_by("-sequence").first()
    return (row.sequence, row.hash) if row else (0, FIRST)


def unsealed() -> QuerySet[AuditEvent]:
    """Return the events that wait for their seal, oldest first."""
    newest = AuditSeal.objects.order_by("-sequence").values_list("event", flat=True).first() or 0
    return AuditEvent.objects.filter(pk__gt=newest - LATE_ROWS, seal__isnull=True).order_by("pk")


def seal_waiting() -> int:
    """Seal all events that wait, and return how many; 0 where another process is at it."""
    sealed = 0
    while batch := _seal_batch():
        sealed += batch
    return sealed


def _seal_batch() -> int:
    try:
        with transaction.atomic():
            sequence, previous = newest()
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


def exported(chosen: Filter) -> Generator[dict[str, object], None, None]:
    """Yield every event that the filter leaves, oldest first, with its place in the chain and its hashes."""
    seal_waiting()
    events = AuditEvent.objects.filter(chosen.condition()).select_related("seal").order_by("pk")
    for event in events.iterator(500):
        seal = getattr(event, "seal", None)
        chain = {"sequence": seal.sequence, "previous": seal.previous, "hash": seal.hash} if seal else {}
        yield {"id": event.pk, **audit.document_of(event), "mac": event.mac, **chain}


def has_our_mac(event: AuditEvent) -> bool:
    """Return whether this hub wrote the event, with its key of today or a former one."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return any(hmac.compare_digest(event.mac, audit.mac_of(event, key)) for key in keys)


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
    head = Head(sequence, hash, timezone.now().isoformat(timespec="seconds"))
    return Head(head.sequence, head.hash, head.at, Signer(salt=SALT).signature(head.text()))


def publish() -> Head:
    """Seal what waits, log the head, and store it unless today's is stored; beat calls this each hour."""
    seal_waiting()
    head = sign(*newest())
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
    seal_waiting()
    outcome = Verification()
    begin, previous = _beginning(outcome)
    heads = _heads([*stored(), *kept], outcome)
    heads_at = _by_sequence(heads)
    outcome.first = begin + 1
    outcome.last = begin
    for seal in sealed_events(begin):
        if problem := _broken_link(seal, outcome.last + 1, previous):
            outcome.problems.append(problem)
            return outcome
        outcome.events, outcome.last, previous = outcome.events + 1, seal.sequence, seal.hash
        if not has_our_mac(seal.event):
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
        return 0, FIRST
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
    if hash_of(seal.event, seal.sequence, previous) != seal.hash:
        return f"{_name(seal)} was changed after it was sealed."
    return ""


def _outside() -> Iterator[str]:
    """Yield a problem for each event without a seal that is too old to be waiting for one."""
    waiting = set(unsealed().values_list("pk", flat=True))
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
        last = first_kept.sequence - 1 if first_kept else newest()[0]
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
