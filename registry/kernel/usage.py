"""The bytes that a person or an organisation holds, as the quota counts them (quotas.py), for its owners to see."""

from dataclasses import dataclass

from django.conf import settings
from django.db.models import Sum

from registry.kernel import quotas
from registry.models import Namespace

LARGEST = 50  # repositories that are listed


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes held, and the limit; 0 for none."""

    bytes: int
    limit: int


def usage_of(namespace: Namespace) -> Usage:
    """Return the use of a namespace and its limit."""
    return Usage(quotas.bytes_used(namespace), settings.QUOTA_BYTES)


def by_repository(namespace: Namespace) -> list[tuple[str, str, int, bool]]:
    """Return type, name, bytes, and whether it is in the bin, of the repositories that hold most."""
    rows = quotas.pushed_blobs(namespace).values_list("repository__type", "repository__name", "repository__binned_at")
    sums = rows.annotate(bytes=Sum("blob__size")).order_by("-bytes", "repository__name")
    return [(type, name, size, binned_at is not None) for type, name, binned_at, size in sums[:LARGEST]]
