"""Requests that the read plane follow what happened to a repository: a row for each name, written with the change.

The row is the job; registry/plane does it. Everything here is a no-op while DOVETAIL_PLANE_URL is not set.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from registry.kernel import policy
from registry.models import PlaneName, Repository

FIRST = datetime(2000, 1, 1, tzinfo=UTC)  # due before all that only adds or renews: withdrawals wait for nothing
BATCH = 500


def request(names: Iterable[str], *, withdraws: bool = False) -> None:
    """Have the documents of these names (NS/NAME) written again; call it in the transaction of the change.

    With `withdraws`, something may have to go, and they come first.
    """
    if not settings.PLANE_URL:
        return
    due_at = FIRST if withdraws else timezone.now()
    rows = [PlaneName(name=name, due_at=due_at) for name in sorted(set(names))]
    PlaneName.objects.bulk_create(
        rows, batch_size=BATCH, update_conflicts=True, unique_fields=["name"], update_fields=["due_at", "attempts"]
    )
    doorbell: Callable[[], Any] = import_string(settings.PLANE_DOORBELL)
    transaction.on_commit(doorbell, robust=True)  # a broker that is down costs half a minute, until the next sweep


def request_owned_by(namespace: int) -> None:
    """Request all repositories of a namespace, whose owner may have been suspended or let in again."""
    owned = Repository.objects.filter(type=Repository.Type.MODEL, namespace=namespace).select_related("namespace")
    request((repository.full_name for repository in owned.iterator()), withdraws=True)


def request_missing() -> int:
    """Request the public repositories that have no row; return their number."""
    names = public_repositories().values_list("namespace__name", "name").iterator()
    known = set(PlaneName.objects.values_list("name", flat=True).iterator())
    missing = [name for name in (f"{namespace}/{name}" for namespace, name in names) if name not in known]
    if missing:
        request(missing)
    return len(missing)


def public_repositories() -> QuerySet[Repository]:
    """Return the repositories that anybody may see and download, as far as no pull policy keeps them back."""
    return Repository.objects.filter(policy.visible_to(policy.NOBODY), type=Repository.Type.MODEL, gated="")
