"""Verify the audit log: recompute the chain from its first row, and compare it with the heads kept elsewhere."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from registry.kernel import audit
from registry.models import AuditCheckpoint, AuditEvent, AuditSeal
from registry.moderation.log import audit_heads
from registry.moderation.log.audit_heads import Head


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
    heads = _heads([*audit_heads.stored(), *kept], outcome)
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
