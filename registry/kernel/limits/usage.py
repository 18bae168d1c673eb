"""The bytes that a person or an organisation holds, as the quota counts them (quotas.py), for its owners to see."""

from collections.abc import Iterable
from dataclasses import dataclass

from registry.kernel.limits import quota_limits, stored_bytes
from registry.kernel.limits.quota_limits import Limits
from registry.kernel.limits.stored_bytes import Totals
from registry.models import Namespace, NamespaceQuota, Repository

LARGEST = 50  # repositories that are listed


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes and repositories that a namespace holds, those in the bin too, and its limits; 0 for none."""

    bytes: int
    limit: int
    repositories: int
    repository_limit: int
    binned_bytes: int

    @property
    def percent(self) -> int:
        """The part of the limit that is used, rounded down; 0 without a limit."""
        return 100 * self.bytes // self.limit if self.limit else 0


def usage_of(namespace: Namespace) -> Usage:
    """Return the use of a namespace and its limits."""
    return _usage(stored_bytes.totals(namespace), quota_limits.limits_of(namespace))


def usage_of_each(rows: Iterable[NamespaceQuota]) -> list[tuple[NamespaceQuota, Usage]]:
    """Return the use of each namespace with limits of its own; one query for all of them."""
    quotas = list(rows)
    totals = stored_bytes.totals_of_each([row.namespace_id for row in quotas])
    nothing = Totals(0, 0, 0)
    return [
        (row, _usage(totals.get(row.namespace_id, nothing), quota_limits.merged(row.namespace.kind, row)))
        for row in quotas
    ]


def _usage(held: Totals, limits: Limits) -> Usage:
    return Usage(held.bytes, limits.bytes, held.repositories, limits.repositories, held.binned_bytes)


def by_repository(namespace: Namespace) -> list[Repository]:
    """Return the repositories that hold most, the largest first; only what lists of the use show is loaded."""
    rows = Repository.with_binned.filter(namespace=namespace).order_by("-stored_bytes", "name", "pk")
    rows = rows.select_related("namespace").only(
        "type", "name", "private", "stored_bytes", "binned_at", "namespace__name"
    )
    return list(rows[:LARGEST])
