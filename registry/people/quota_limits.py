"""Limits that administrators of the hub set for one person or organisation, in place of the hub's own."""

from dataclasses import asdict

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from registry.kernel import audit, outbox, policy, quotas, stored_bytes
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.quotas import Limits
from registry.kernel.texts import names
from registry.models import Namespace, NamespaceQuota, User
from registry.people import accounts

MAX_REASON = 300
MOST_BYTES, MOST_REPOSITORIES = 2**63 - 1, 2**31 - 1  # what the columns hold


def listed() -> QuerySet[NamespaceQuota]:
    """Return the limits that were set, the newest first."""
    rows = NamespaceQuota.objects.exclude(bytes=None, repositories=None).select_related("namespace")
    return rows.order_by("-at", "pk")


def own_limits(namespace: Namespace) -> NamespaceQuota:
    """Return what administrators set for a namespace; an unsaved row where they set nothing."""
    row = NamespaceQuota.objects.filter(namespace=namespace).first()
    return row or NamespaceQuota(namespace=namespace)


def change(name: str, by: Caller, *, bytes: int | None, repositories: int | None, reason: str) -> bool:
    """Set the limits of a person or an organisation: None is the hub's own limit, 0 is no limit.

    Its owners get an alert with the reason. Returns whether anything changed. Raises NamespaceNotFound, ValueInvalid
    and what policy.require_admin raises.
    """
    actor = policy.require_admin(by)
    names.require_text(reason, "reason", MAX_REASON)
    return change_as(actor, accounts.resolve_namespace(name), bytes=bytes, repositories=repositories, reason=reason)


def change_as(
    by: User | None, namespace: Namespace, *, bytes: int | None, repositories: int | None, reason: str
) -> bool:
    """Set limits for an administrator, or for an operator at the command line (None), who needs no reason.

    Raises ValueInvalid.
    """
    reason = names.check_text(reason, "reason", MAX_REASON)
    _check(bytes, "bytes", MOST_BYTES)
    _check(repositories, "repositories", MOST_REPOSITORIES)
    with transaction.atomic():
        namespace = quotas.lock(namespace.pk)
        row, before = own_limits(namespace), quotas.limits_of(namespace)
        if (row.bytes, row.repositories) == (bytes, repositories):
            return False
        old = {"bytes": row.bytes, "repositories": row.repositories}
        new = {"bytes": bytes, "repositories": repositories}
        row.reason, row.by, row.at = reason, by.username if by else "", timezone.now()
        row.bytes, row.repositories = bytes, repositories
        row.save()
        audit.record(by, "quota:change", namespace.name, about=namespace, reason=reason, before=old, after=new)
        _record_events(namespace, before, quotas.limits_of(namespace), reason)
    return True


def _record_events(namespace: Namespace, before: Limits, after: Limits, reason: str) -> None:
    limits = asdict(after)
    outbox.record(
        outbox.Kind.QUOTA_CHANGED, None, None, namespace=namespace.pk, owner=namespace.name, reason=reason, **limits
    )
    if after.bytes:
        used = stored_bytes.bytes_used(namespace)
        was_marked = quotas.mark_of(used, before.bytes)
        quotas.note(namespace, used if was_marked else 0, used, after.bytes)


def _check(number: int | None, what: str, most: int) -> None:
    if number is not None and not 0 <= number <= most:
        raise ValueInvalid(f"A limit of {number} {what} is not valid.", fix="Use 0 for no limit, or a positive number.")
