"""Compares large weight files for people who asked how two revisions differ."""

import time

from celery import shared_task

from features.compare import comparisons
from features.compare.models import WeightComparison
from registry.bytes.blobs import BlobMissing
from registry.kernel.errors import StoreUnavailable
from registry.kernel.seams import Jobs
from registry.models import Blob

SECONDS = 10  # after that no comparison is begun: the others wait for the next tick


@shared_task(name="workers.tasks.compare_weights")
def work() -> None:
    """Compute the comparisons that wait."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and (row := comparisons.claim()):
        try:
            _compare(row)
        except (BlobMissing, StoreUnavailable, Blob.DoesNotExist) as problem:
            comparisons.give_up(row, str(problem))


def _compare(row: WeightComparison) -> None:
    before, after = (Blob.objects.get(pk=sha256) for sha256 in (row.before, row.after))
    result = comparisons.compute(before.sha256, before.size, after.sha256, after.size)
    comparisons.finish(row, result)


JOBS = Jobs(after_push=(work,))
