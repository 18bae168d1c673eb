"""Writes the append-only log of privileged acts."""

from contextvars import ContextVar

from registry.models import AuditEvent, User

request_id: ContextVar[str] = ContextVar("request_id", default="")


def record(
    actor: User | None,
    action: str,
    obj: str,
    *,
    reason: str = "",
    note: str = "",
    before: object = None,
    after: object = None,
) -> AuditEvent:
    """Add one event; call it inside the transaction that does the act, so that neither exists without the other."""
    return AuditEvent.objects.create(
        actor=actor.username if actor else "system",
        action=action,
        object=obj,
        reason=reason,
        note=note,
        before=before,
        after=after,
        request_id=request_id.get(),
    )
