"""Turns of the searches of pushed files, which are fair between authors.

One search of each author runs at a time, whatever it looks for, and the author whose searches took least processor time
today comes first. A file that no person pushed has the author 0.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Case, Exists, F, OuterRef, QuerySet, Subquery, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from registry.models import SearchAccount
from registry.sql import Job, lock_first


def accounts(author: str) -> QuerySet[SearchAccount]:
    """Return the accounts of the author in that column of a job, for a subquery."""
    return SearchAccount.objects.filter(author=Coalesce(OuterRef(author), 0))


def claim(jobs: QuerySet[Job], author: str, lease: Callable[[Job], timedelta]) -> Job | None:
    """Claim the job whose turn it is and the turn of its `author` (a column) for a lease, to `free_at`; return it."""
    now, of_author = timezone.now(), accounts(author)
    used = of_author.filter(day=now.date()).values("milliseconds")
    free = jobs.filter(~Exists(of_author.filter(busy_until__gt=now)), free_at__lte=now)
    in_turn: Any = free.annotate(turn_of=Coalesce(F(author), 0)).order_by(Coalesce(Subquery(used), 0), "free_at")
    while True:
        with transaction.atomic():
            job: Job | None = lock_first(in_turn)
            if job is None:
                return None
            until = now + lease(job)
            if _take(vars(job)["turn_of"], now, until):  # else another worker has begun: the next is another author's
                jobs.model._default_manager.filter(pk=job.pk).update(free_at=until, attempts=F("attempts") + 1)
                vars(job)["free_at"] = until
                return job


def _take(author: int, now: datetime, until: datetime) -> bool:
    """Return whether no other search of this author runs; then one does until it is given back, or the lease ends."""
    spent = Case(When(day=now.date(), then=F("milliseconds")), default=0)
    free = SearchAccount.objects.filter(author=author, busy_until__lte=now)
    if free.update(busy_until=until, day=now.date(), milliseconds=spent):
        return True
    return SearchAccount.objects.get_or_create(author=author, defaults={"day": now.date(), "busy_until": until})[1]


def give_back(author: int, seconds: float = 0.0) -> None:
    """End the turn of an author whose search took some processor time."""
    used = F("milliseconds") + round(1000 * seconds)
    SearchAccount.objects.filter(author=author).update(milliseconds=used, busy_until=timezone.now())
