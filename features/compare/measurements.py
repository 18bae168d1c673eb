"""Measurements of a version on the rows of another one, which make two that were measured on different rows comparable.

A request is a job: a worker with the base runs the version's validation once more, with the other rows as those of an
earlier version, and only what it measured on these is kept. Nothing of it changes a verdict.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from dovetail.adapters.results.report import Evaluation, Report
from features.compare.models import RowsMeasurement
from registry.bytes.blobs import Keys, store
from registry.kernel.errors import ClaimStale, HubBusy
from registry.models import Revision, Verdict
from registry.proof.verdicts import queue, requests
from registry.proof.verified import regressions
from registry.repos import bases, pull
from registry.repos.contents import stored_facts
from registry.repos.eligibility import is_neutral
from registry.repos.manifest import Entry

MAX_WAITING = 20  # of all people; further ones are refused
ATTEMPTS = 2
PAUSE = timedelta(seconds=10)  # after a fault of the hub
KEPT = timedelta(days=90)
MAX_REASON = 500
BROKEN = "The hub failed at it several times. Its operators find the cause in the logs of the workers."


def find_rows(revision: Revision, report: Report | None) -> Entry | None:
    """Return the file with the rows that a version was measured on: its own, or that of a data set; None without."""
    own = next((one for one in report.evals if one.rows_sha256 and not is_neutral(one)), None) if report else None
    if report is None or own is None:
        return None
    entry = pull.entries(revision).get(regressions.path_of(report.path))
    if entry is None and (lent := regressions.find_named(own.name, revision.repository)):
        entry = lent.entry
    return entry if entry and entry.size <= regressions.MAX_BYTES else None


def read_rows(revision: Revision) -> Mapping[str, Any] | None:
    """Return the rows of a version as a job of an engine holds them; None if they are gone. Raises BlobMissing."""
    verdict = requests.in_force(revision)
    entry = find_rows(revision, verdict.report if verdict else None)
    if entry is None:
        return None
    card = stored_facts.revision_facts(revision, pull.entries(revision)).card
    with store().open(Keys.blob(entry.sha256)) as reader:
        text = reader.read(regressions.MAX_BYTES).decode("utf-8", "replace")
    return {"revision": revision.oid, "rows": text, "label_names": card.data.get("label_names")}


@dataclass(frozen=True)
class Runner:
    """The base and the engine that passed a version, and the folder of the adapter."""

    route: str
    engine: str
    place: str


def runner_of(verdict: Verdict | None) -> Runner | None:
    """Return what a worker needs to run a version once more; None for one that no engine ran and passed."""
    report = verdict.report if verdict else None
    if verdict is None or report is None or not report.is_passed or report.depth not in ("run", "evaluated"):
        return None
    engine = next((row.name for row in report.engines if row.state == "passed"), "")
    base = bases.find_base(verdict.base)
    if not engine or base is None or not base.has_weights:
        return None
    place = report.path or next((content.path for content in report.contents if content.proven), "")
    return Runner(base.id.lower(), engine, place)


def ask(revisions: Sequence[Revision], rows_of: Revision) -> None:
    """Queue measurements of these versions on the rows of another one, and notify a worker after the commit.

    Those that failed are tried again. The caller has asked whether all may be downloaded. Raises HubBusy.
    """
    for revision in revisions:
        verdict = requests.in_force(revision)
        runner = runner_of(verdict)
        if verdict is None or runner is None:
            continue
        if waiting().count() >= MAX_WAITING:
            raise HubBusy(f"The queue of measurements is full ({MAX_WAITING}).")
        columns = {"route": runner.route, "engine": runner.engine, "place": runner.place, "free_at": timezone.now()}
        again = {**columns, "attempts": 0, "problem": ""}
        with transaction.atomic():
            row, is_new = RowsMeasurement.objects.get_or_create(revision=revision, rows_of=rows_of, defaults=columns)
            if not is_new and not RowsMeasurement.objects.filter(pk=row.pk).exclude(problem="").update(**again):
                continue
            transaction.on_commit(partial(requests.notify_workers, verdict.pk), robust=True)


def known(revisions: Sequence[Revision]) -> dict[tuple[int, int], RowsMeasurement]:
    """Return the measurements of these versions on each other's rows, by both row ids; one query."""
    rows = RowsMeasurement.objects.filter(revision__in=revisions, rows_of__in=revisions)
    return {(row.revision_id, row.rows_of_id): row for row in rows}


def waiting() -> QuerySet[RowsMeasurement]:
    """Return the measurements that are not finished."""
    return RowsMeasurement.objects.filter(free_at__isnull=False)


# --- for workers
def claim(base_ids: Collection[str], engines: Collection[str]) -> RowsMeasurement | None:
    """Claim the measurement that waited longest of those that a worker can do, until its lease ends."""
    free = waiting().filter(free_at__lte=Now(), route__in=base_ids, engine__in=engines)
    for row in free.select_related("revision__repository__namespace", "rows_of__repository__namespace").order_by("pk"):
        if row.attempts >= ATTEMPTS:
            finish(row, problem=BROKEN)
        elif free.filter(pk=row.pk, attempts=row.attempts).update(free_at=queue.lease(), attempts=F("attempts") + 1):
            row.attempts += 1
            return row
    return None


def prolong(row: RowsMeasurement) -> None:
    """Prolong the lease. Raises ClaimStale."""
    if not _held(row).update(free_at=queue.lease()):
        raise ClaimStale(f"Measurement {row.pk} was taken over by another worker.")


def finish(row: RowsMeasurement, evaluation: Evaluation | None = None, problem: str = "") -> None:
    """Record what was measured, or why nothing was."""
    document = evaluation.as_json() if evaluation else None
    _held(row).update(evaluation=document, problem=problem[:MAX_REASON], free_at=None)


def put_off(row: RowsMeasurement, *, counted: bool = True) -> None:
    """Have it done again in a moment; without `counted` the attempt is none, since an engine only starts."""
    _held(row).update(free_at=timezone.now() + PAUSE, attempts=row.attempts if counted else row.attempts - 1)


def _held(row: RowsMeasurement) -> QuerySet[RowsMeasurement]:
    return waiting().filter(pk=row.pk, attempts=row.attempts)


def forget_old() -> None:
    """Delete the measurements that nobody needs any more, and those that no worker came to."""
    RowsMeasurement.objects.filter(asked_at__lt=timezone.now() - KEPT).delete()
