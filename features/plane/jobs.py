"""The jobs of the read plane: claims a name, writes it, and says when it is written next."""

import logging
import time
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from features.plane import names, objects
from features.plane.documents import COUNTS_FOR
from features.plane.models import PlaneName, PlaneRequest
from registry.bytes.blobs import BlobMissing
from registry.kernel.errors import StoreUnavailable
from registry.kernel.seams import Jobs

logger = logging.getLogger(__name__)
SECONDS = 20  # of one run, after which no name is begun: the next tick goes on
LEASE = timedelta(minutes=15)
RENEWED_AFTER = COUNTS_FOR / 2
LONGEST_PAUSE = timedelta(hours=1)  # after failures; the first pause is 5 s, doubled each time
CANDIDATES = 8  # rows examined for one claim: other workers may take the first ones meanwhile


JOBS = Jobs()  # a task alone


@shared_task(name="workers.tasks.write_plane")
def write_plane() -> None:
    """Write the documents of the read plane that wait."""
    work()


def work(seconds: float = SECONDS) -> int:
    """Write the names that are due, until the time is over; return how many."""
    if not settings.PLANE_URL:
        return 0
    until, written = time.monotonic() + seconds, 0
    while time.monotonic() < until and (row := _claim()):
        _attempt(row)
        written += 1
    return written


def rewrite_all() -> int:
    """Write every document again; return the number of repositories that have some then."""
    names.request_missing()
    while names.collect():
        pass
    for row in PlaneName.objects.order_by("name"):
        row.due_at = timezone.now() + LEASE
        if PlaneName.objects.filter(pk=row.pk).update(due_at=row.due_at):
            _attempt(row, afresh=True)
    return PlaneName.objects.filter(signed_at__isnull=False).count()


def _attempt(row: PlaneName, *, afresh: bool = False) -> None:
    """Write a name; where the store refuses, it is tried again later."""
    try:
        _write(row, afresh=afresh)
    except (BlobMissing, StoreUnavailable) as problem:
        logger.warning("The read plane was not written: %s", problem, extra={"repository": row.name})
        pause = min(timedelta(seconds=5 << min(row.attempts, 10)), LONGEST_PAUSE)
        PlaneName.objects.filter(pk=row.pk, due_at=row.due_at).update(due_at=timezone.now() + pause)


def _claim() -> PlaneName | None:
    names.collect()
    now = timezone.now()
    for row in PlaneName.objects.filter(due_at__lte=now).order_by("due_at")[:CANDIDATES]:
        mine = PlaneName.objects.filter(pk=row.pk, due_at=row.due_at)
        row.due_at, row.attempts = now + LEASE, row.attempts + 1
        if mine.update(due_at=row.due_at, attempts=row.attempts):
            return row
    return None


def _write(row: PlaneName, *, afresh: bool) -> None:
    """Write a name and say when it is written next. One that was requested meanwhile is left to the next claim.

    Then this run may have begun with what was withdrawn: it takes back the bytes that it made public, and has the name
    written again, in case that its documents came after those of another worker.
    """
    mine = _unchanged(row)
    written, now = objects.write(row.name, mine.exists, afresh=afresh), timezone.now()
    if not written.is_whole:
        signed = {"signed_at": now} if written.is_served else {}
        is_settled = mine.update(due_at=now, attempts=0, **signed)
    elif written.is_served:
        is_settled = mine.update(due_at=now + RENEWED_AFTER, signed_at=now, attempts=0)
    else:
        is_settled = mine.delete()[0]
    if not is_settled:
        objects.drop_bytes(written.digests)
        names.request([row.name], withdraws=True)


def _unchanged(row: PlaneName) -> QuerySet[PlaneName]:
    """Return the row if nobody requested its name, or claimed it, since it was claimed."""
    requested = PlaneRequest.objects.filter(name=OuterRef("name"))
    return PlaneName.objects.filter(~Exists(requested), pk=row.pk, due_at=row.due_at)
