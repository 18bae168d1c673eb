"""The limits of a person or an organisation: the hub's own, or those that an administrator set for this namespace."""

from dataclasses import dataclass

from django.conf import settings

from registry.kernel import site_settings
from registry.kernel.errors import NamespaceNotFound
from registry.models import Namespace, NamespaceQuota
from registry.sql.prepared import Prepared

# In force on a hub that strangers may join, unless the operator set others: a hundred adapters of 250 MB for a person.
OPEN_BYTES = {Namespace.Kind.PERSON: 25_000_000_000, Namespace.Kind.ORGANIZATION: 100_000_000_000}
OPEN_REPOSITORIES = {Namespace.Kind.PERSON: 1_000, Namespace.Kind.ORGANIZATION: 5_000}


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a namespace may hold; 0 for no limit."""

    bytes: int
    repositories: int


def hub_limits(kind: str) -> Limits:
    """Return the limits of a person or an organisation for whom no administrator set others."""
    is_open = site_settings.get_setting("registration") == "open"
    of_bytes, of_repositories = settings.QUOTA_BYTES, settings.QUOTA_REPOSITORIES
    if of_bytes is None:
        of_bytes = OPEN_BYTES[Namespace.Kind(kind)] if is_open else 0
    if of_repositories is None:
        of_repositories = OPEN_REPOSITORIES[Namespace.Kind(kind)] if is_open else 0
    return Limits(of_bytes, of_repositories)


def limits_of(namespace: Namespace) -> Limits:
    """Return the limits in force for a namespace."""
    return merged(namespace.kind, _QUOTA.first(namespace.pk))


_QUOTA = Prepared(lambda namespace: NamespaceQuota.objects.filter(namespace=namespace), int)


def lock(number: int) -> Namespace:
    """Return a namespace, locked: two pushes to two repositories of one owner must not both use the rest of the quota.

    NO KEY, because a plain FOR UPDATE waits for transactions that have written a row pointing here, and they may be
    waiting for us. Raises NamespaceNotFound if it was deleted meanwhile.
    """
    namespace = _LOCKED.first(number)
    if namespace is None:
        raise NamespaceNotFound("The person or organisation was deleted meanwhile.")
    return namespace


_LOCKED = Prepared(lambda number: Namespace.objects.select_for_update(no_key=True).filter(pk=number), int)


def merged(kind: str, quota: NamespaceQuota | None) -> Limits:
    """Return the limits of a namespace of this kind with this row, or without one."""
    limits = hub_limits(kind)
    if quota is None:
        return limits
    return Limits(
        limits.bytes if quota.bytes is None else quota.bytes,
        limits.repositories if quota.repositories is None else quota.repositories,
    )
