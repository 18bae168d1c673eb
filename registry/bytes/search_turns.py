"""Turns of the searches of pushed files, which are fair between authors.

One search of each author runs at a time, whatever it looks for, and the author whose searches took least processor time
today comes first. What no person pushed has the author 0.
"""

from datetime import datetime
from typing import TypeVar

from django.db.models import Case, Exists, F, Model, OuterRef, QuerySet, Subquery, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from registry.models import SearchAccount

Job = TypeVar("Job", bound=Model)


def accounts(author: str) -> QuerySet[SearchAccount]:
    """Return the accounts of the author in that column of a job, for a subquery."""
    return SearchAccount.objects.filter(author=Coalesce(OuterRef(author), 0))


def in_turn(jobs: QuerySet[Job], author: str, now: datetime) -> QuerySet[Job]:
    """Return those of the jobs that may begin now, in the order of their turns; `author` is a column of theirs."""
    of_author = accounts(author)
    used = of_author.filter(day=now.date()).values("milliseconds")
    free = jobs.filter(~Exists(of_author.filter(busy_until__gt=now)), free_at__lte=now)
    return free.order_by(Coalesce(Subquery(used), 0), "free_at")


def take(author: int, now: datetime, until: datetime) -> bool:
    """Return whether no other search of this author runs; then one does until it is given back, or the lease ends."""
    spent = Case(When(day=now.date(), then=F("milliseconds")), default=0)
    free = SearchAccount.objects.filter(author=author, busy_until__lte=now)
    if free.update(busy_until=until, day=now.date(), milliseconds=spent):
        return True
    first = {"day": now.date(), "busy_until": until}
    return SearchAccount.objects.get_or_create(author=author, defaults=first)[1]


def give_back(author: int, seconds: float = 0.0) -> None:
    """End the turn of an author whose search took some processor time."""
    used = F("milliseconds") + round(1000 * seconds)
    SearchAccount.objects.filter(author=author).update(milliseconds=used, busy_until=timezone.now())
