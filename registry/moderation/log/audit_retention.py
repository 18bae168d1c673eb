"""Retention of the audit log: remove the oldest events; a signed checkpoint stands for them in the chain."""

from datetime import datetime

from django.db import transaction

from registry.kernel import audit
from registry.kernel.errors import ValueInvalid
from registry.models import AuditCheckpoint, AuditEvent, AuditSeal
from registry.models.extensions import lifted
from registry.moderation.log import audit_heads, audit_verification


def trim(before: datetime) -> int:
    """Remove the events before a time, and return how many. Raises ValueInvalid where the chain is broken.

    The cut is before the first event that is not older, so that what remains is one piece. It is itself an event.
    """
    verification = audit_verification.verify()
    if verification.problems:
        raise ValueInvalid(
            f"The log is broken: {verification.problems[0]}", fix="Nothing was removed: see verify_audit."
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
        head = audit_heads.sign(end.sequence, end.hash)
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
