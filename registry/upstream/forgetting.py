"""Forgets what nobody read of other hubs for DOVETAIL_UPSTREAM_DAYS, a part with each sweep.

Rows that a record here names stay: verdicts, locks and addresses with a commit lead to them. One row of each namespace
stays too: else somebody could register the name of a namespace there because nobody here read of it for a while.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet, Value
from django.db.models.functions import Concat
from django.utils import timezone

from registry.models import Repository, RevisionFile, UpstreamDocument, UpstreamFile, UpstreamRepository

SLICE = 2000  # rows of each table in one sweep


def sweep() -> None:
    """Forget a part of what nobody read for long; garbage collection removes the bytes that nothing else names."""
    before = timezone.now() - timedelta(days=settings.UPSTREAM.days)
    _forget_files(before)
    _forget_documents(before)
    old = UpstreamRepository.objects.filter(read_at__lt=before, wanted="").order_by("read_at")
    ids = list(old.values_list("pk", flat=True)[:SLICE])
    kept = _recorded(ids)
    for pk in ids:
        _forget(pk, before, is_kept=pk in kept)


def _forget_files(before: datetime) -> None:
    recorded = RevisionFile.objects.filter(blob=OuterRef("blob")).exclude(revision__repository__source="")
    old = UpstreamFile.objects.filter(~Exists(recorded), read_at__lt=before).order_by("read_at")
    ids = list(old.values_list("pk", flat=True)[:SLICE])
    UpstreamFile.objects.filter(pk__in=ids, read_at__lt=before).delete()


def _forget_documents(before: datetime) -> None:
    old = UpstreamDocument.objects.filter(read_at__lt=before).order_by("read_at")
    pairs = list(old.values_list("pk", "repository")[:SLICE])
    kept = _recorded({repository for _, repository in pairs})
    _wait(UpstreamDocument.objects.filter(pk__in=[pk for pk, repository in pairs if repository in kept]))
    gone = [pk for pk, repository in pairs if repository not in kept]
    UpstreamDocument.objects.filter(pk__in=gone, read_at__lt=before).delete()


def _forget(pk: int, before: datetime, *, is_kept: bool) -> None:
    """Delete a row that nobody reads, unless it is the newest of its namespace, which no sweep deletes."""
    with transaction.atomic():
        row = UpstreamRepository.objects.select_for_update().filter(pk=pk, read_at__lt=before, wanted="").first()
        if row is None:
            return
        if is_kept or not UpstreamRepository.objects.filter(namespace=row.namespace, pk__gt=pk).exists():
            _wait(UpstreamRepository.objects.filter(pk=pk))
        elif not row.files.exists():  # they go first, some with each sweep
            row.delete()


def _wait(rows: QuerySet[UpstreamDocument] | QuerySet[UpstreamRepository]) -> None:
    """Look at these again after DOVETAIL_UPSTREAM_DAYS, not in each sweep."""
    rows.update(read_at=timezone.now())


def _recorded(ids: Collection[int]) -> set[int]:
    """Return those of these repositories of other hubs that have a record here."""
    full_name = Concat(F("namespace__name__lower"), Value("/"), F("name__lower"))
    records = Repository.objects.exclude(source="").annotate(folded=full_name)
    rows = UpstreamRepository.objects.filter(
        Exists(records.filter(type=OuterRef("type"), folded=OuterRef("folded"))), pk__in=ids
    )
    return set(rows.values_list("pk", flat=True))
