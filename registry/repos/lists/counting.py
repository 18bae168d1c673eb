"""Keeps the counts of public repositories: folds the rows that triggers added, and corrects what is wrong."""

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from registry.models import AuditEvent, CatalogueCount
from registry.sql.counts import CORRECT, VALUES

Group = tuple[Any, ...]  # the values of the columns in VALUES
logger = logging.getLogger(__name__)
AT_ONCE = 2_000  # new rows that are read together
SECONDS = 10.0  # of one run, every half minute
TOGETHER = 100  # groups in one statement
MOST_ROWS = 20_000  # that one statement folds: a bulk import writes more, which the next run takes
INDEXED = tuple(VALUES)[:5]  # as the index catalogue_count_group has them
CORRECTED_AT = 3  # hour of the day, UTC
OWNER_ACTS = ("person:suspend", "person:unsuspend", "person:leave", "person:return")  # by which an owner's lists change
OWNERS_LOOKED_BACK = timedelta(hours=2)  # a run each hour looks at each act twice: a push may end after the first


def fold_waiting(seconds: float = SECONDS) -> None:
    """Fold new rows until there are none, or the time is over: many verdicts at once leave thousands."""
    ends = monotonic() + seconds
    while fold() == AT_ONCE and monotonic() < ends:
        pass


def fold(most: int = AT_ONCE) -> int:
    """Fold new rows into one row for each group of repositories; return how many rows were new."""
    new = list(CatalogueCount.objects.filter(is_folded=False).order_by("pk")[:most])
    groups = sorted({_group_of(row) for row in new}, key=repr)  # in one order, so that two workers wait and never lock
    for at in range(0, len(groups), TOGETHER):
        _fold_groups(groups[at : at + TOGETHER])
    return len(new)


def _group_of(row: CatalogueCount) -> Group:
    return tuple(getattr(row, name) for name in VALUES)


def _fold_groups(groups: Sequence[Group]) -> None:
    """Replace the rows of each group by one; locked, so that two workers never add the same rows."""
    condition = Q()
    for values in {group[: len(INDEXED)] for group in groups}:
        named = dict(zip(INDEXED, values, strict=True))
        missing = {f"{name}__isnull": True for name, value in named.items() if value is None}
        condition |= Q(**missing, **{name: value for name, value in named.items() if value is not None})
    with transaction.atomic():
        rows = CatalogueCount.objects.select_for_update().filter(condition).order_by("pk")[:MOST_ROWS]
        folded = [row for row in rows if _group_of(row) in groups]
        sums: Counter[Group] = Counter()
        for row in folded:
            sums[_group_of(row)] += row.number
        CatalogueCount.objects.filter(pk__in=[row.pk for row in folded]).delete()
        CatalogueCount.objects.bulk_create(
            CatalogueCount(**dict(zip(VALUES, group, strict=True)), number=number, is_folded=True)
            for group, number in sums.items()
            if number
        )


def correct_due(hour: int) -> None:
    """Correct the counts in one hour of the day, and after each change of an owner: it reads every repository.

    A suspension that meets a push to the same namespace can leave a count wrong, because neither sees the other; no
    lock of theirs would be worth it, so the next hour mends it.
    """
    if (hour == CORRECTED_AT or _an_owner_changed()) and (wrong := correct()):
        logger.warning("%d counts of the catalogue were wrong, and are corrected", wrong)


def _an_owner_changed() -> bool:
    newest = [AuditEvent.objects.filter(action=act).order_by("-id").values_list("at", flat=True) for act in OWNER_ACTS]
    since = timezone.now() - OWNERS_LOOKED_BACK
    return any(at > since for times in newest for at in times[:1])


def correct() -> int:
    """Compare each count with the repositories, and correct it by one more row; return how many were wrong."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL statement_timeout = 0")  # that of the server is for requests
        cursor.execute(CORRECT)
        return int(cursor.rowcount)
