"""Compares large weight files for people who asked how two revisions differ, and measures one on the other's rows."""

import logging
import time
from functools import partial

from celery import shared_task
from django.conf import settings

from dovetail.adapters.results.report import EarlierRows
from features.compare import comparisons, measurements
from features.compare.models import RowsMeasurement, WeightComparison
from registry.bytes.blobs import BlobMissing
from registry.kernel.errors import ClaimStale, ShelfProblem, StoreUnavailable
from registry.kernel.seams import Jobs
from registry.models import Blob
from registry.proof.verdicts.queue import Capabilities
from registry.repos import bases, pull
from registry.repos.contents.card import read_card
from workers.engine import work_folders
from workers.engine.job import Job, wall_for
from workers.engines import capabilities, warm_engines
from workers.engines.sandbox import EngineFault, EngineSlow
from workers.validation import claims

logger = logging.getLogger(__name__)
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


def measure() -> bool:
    """Measure a version on the rows of another one; return whether there was one to measure."""
    able: Capabilities = capabilities.current()
    row = measurements.claim(able.bases, tuple(capabilities.built()))
    if row is None:
        return False
    details = {"measurement": row.pk, "base": row.route, "engine": row.engine}
    try:
        with claims.kept_alive(partial(measurements.prolong, row)):
            _measure(row)
    except ClaimStale:
        logger.warning("A measurement was lost while it was made", extra=details)
    except EngineSlow:  # it goes on starting meanwhile
        measurements.put_off(row, counted=False)
    except (EngineFault, StoreUnavailable, ShelfProblem, BlobMissing, OSError) as problem:
        logger.warning("A version was not measured on other rows: %s", problem, extra=details)
        measurements.put_off(row)
    return True


def _measure(row: RowsMeasurement) -> None:
    base = bases.find_base(row.route)
    if base is None or not base.has_weights:
        raise ShelfProblem(f"{row.route} is no longer in the base cache.")
    rows = measurements.read_rows(row.rows_of)
    if rows is None:
        measurements.finish(row, problem="The rows are gone.")
        return
    with work_folders.folder("rows") as folder:
        pull.copy_files(row.revision, folder)
        job = Job(
            id=f"rows-{row.pk}-{row.attempts}",
            folder=folder,
            seconds=settings.ENGINE_SECONDS,
            idle_seconds=settings.ENGINE_HANG_SECONDS,
            wall_seconds=wall_for(settings.ENGINE_SECONDS),
            memory_bytes=settings.ENGINE_MEMORY,
            base_revision=base.revision,
            base_names=bases.names_of(base),
            card=read_card(folder).data,
            place=row.place,
            earlier=[rows],
        )
        report = warm_engines.engine_for(base, row.engine).run(job, on_check=claims.ignore_check)
    found = next(iter(report.earlier or ()), EarlierRows(row.rows_of.oid, left_out="it was not run on them"))
    measurements.finish(row, found.evaluation, found.left_out)


JOBS = Jobs(after_push=(work,), later=(measure,))
