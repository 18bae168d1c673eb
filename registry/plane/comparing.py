"""Compares the read plane with the database: names that it lacks, documents and bytes that it should not have."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings

from registry.bytes import blobs
from registry.bytes.blobs import Keys
from registry.bytes.object_copies import batched
from registry.kernel import plane_requests
from registry.models import PlaneName, PlaneRequest
from registry.plane import documents, writing

logger = logging.getLogger(__name__)
BATCH = 500
HOURS = 24
_ROWS = (PlaneName.objects, PlaneRequest.objects)


@dataclass
class Differences:
    """The result of a comparison: names that lacked documents, names that should have none, bytes that had to go."""

    missing: int = 0
    extra: int = 0
    dropped_bytes: int = 0


def sweep(*, hour: int | None = None) -> Differences:
    """Request what is missing and what should not be there, and remove bytes that nobody may download any more.

    With an `hour`, a part of the bytes is looked at, another part each hour of the day.
    """
    if not settings.PLANE_URL:
        return Differences()
    missing = plane_requests.request_missing()  # first: they are no extra then
    extra = _request_extra() + plane_requests.request_hidden()
    found = Differences(missing, extra, _drop_bytes(hour))
    if found != Differences():
        logger.warning("The read plane differed from the database", extra={"differences": str(found)})
    return found


def remove_all() -> int:
    """Remove every object of the read plane, and all rows; return the number of objects."""
    PlaneRequest.objects.all().delete()
    PlaneName.objects.all().delete()
    removed = 0
    # The indexes first, which readers ask first
    for prefix in (documents.index_key("").removesuffix(".json"), Keys.PLANE):
        for entry in list(blobs.store().list(prefix)):
            blobs.store().delete(entry.key)
            removed += 1
    return removed


def _request_extra() -> int:
    prefix = documents.index_key("").removesuffix(".json")
    names = (entry.key.removeprefix(prefix).removesuffix(".json") for entry in blobs.store().list(prefix))
    extra = 0
    for part in batched(names, BATCH):
        known = (rows.filter(name__in=part).values_list("name", flat=True) for rows in _ROWS)
        unknown = set(part).difference(*known)
        plane_requests.request(unknown, withdraws=True)
        extra += len(unknown)
    return extra


def _drop_bytes(hour: int | None) -> int:
    return sum(writing.drop_bytes(set(part)) for part in batched(_digests(hour), BATCH))


def _digests(hour: int | None) -> Iterator[str]:
    numbers = range(256) if hour is None else range(256 * hour // HOURS, 256 * (hour + 1) // HOURS)
    for number in numbers:
        for entry in blobs.store().list(f"{Keys.PLANE}{Keys.BLOBS}{number:02x}/"):
            yield entry.key.rpartition("/")[2]
