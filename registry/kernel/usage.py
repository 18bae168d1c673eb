"""The bytes that a person or an organisation holds, as the quota counts them (quotas.py), for its owners to see."""

from dataclasses import dataclass

from registry.kernel import quota_limits, stored_bytes
from registry.models import Namespace, Repository

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
    held, limits = stored_bytes.totals(namespace), quota_limits.limits_of(namespace)
    return Usage(held.bytes, limits.bytes, held.repositories, limits.repositories, held.binned_bytes)


def by_repository(namespace: Namespace) -> list[Repository]:
    """Return the repositories that hold most, the largest first; only what lists of the use show is loaded."""
    rows = Repository.with_binned.filter(namespace=namespace).order_by("-stored_bytes", "name", "pk")
    rows = rows.select_related("namespace").only(
        "type", "name", "private", "stored_bytes", "binned_at", "namespace__name"
    )
    return list(rows[:LARGEST])
