"""Comparisons of two weight files: computed once, at once for small files and by a worker for large ones, and kept."""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import HeaderError
from dovetail.adapters.shapes import weight_changes as changes
from dovetail.adapters.shapes.weight_changes import Names, Products
from features.compare.models import WeightComparison
from registry.repos.contents.facts import open_blob
from registry.repos.manifest import Entry

logger = logging.getLogger(__name__)
SMALL_BYTES = 16 << 20  # of both files: compared in the request
MAX_BYTES = 4 << 30  # of both files: more are not compared
MAX_WAITING = 100  # comparisons: further ones are not queued, so that nobody fills the queue
MAX_ATTEMPTS = 3
LEASE = timedelta(minutes=10)
KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Compared:
    """The differences of two files; without `names` they are not known, and `problem` or `is_waiting` says why."""

    names: Names | None = None
    products: tuple[Products, ...] = ()
    problem: str = ""
    is_waiting: bool = False


def compare(before: Entry, after: Entry) -> Compared:
    """Return the differences of two safetensors files; those of large ones are waited for. Raises StoreUnavailable."""
    row = WeightComparison.objects.filter(before=before.sha256, after=after.sha256).first()
    if row is not None and row.result is not None:
        return _parsed(row.result)
    size = before.size + after.size
    if size > MAX_BYTES:
        return Compared(problem=f"Together they have {size:,} bytes, more than the {MAX_BYTES:,} that are compared.")
    if size > SMALL_BYTES:
        if row is None:
            _enqueue(before.sha256, after.sha256)
        return Compared(is_waiting=True)
    result = compute(before.sha256, before.size, after.sha256, after.size)
    WeightComparison.objects.update_or_create(
        before=before.sha256, after=after.sha256, defaults={"result": result, "free_at": None}
    )
    return _parsed(result)


def _enqueue(before: str, after: str) -> None:
    if WeightComparison.objects.filter(result__isnull=True).count() < MAX_WAITING:
        WeightComparison.objects.get_or_create(before=before, after=after)
        notify: Callable[[], Any] = import_string(settings.COMPARISON_DOORBELL)
        transaction.on_commit(notify, robust=True)


def compute(before: str, size_before: int, after: str, size_after: int) -> dict[str, object]:
    """Return the differences of two files as the column `result` holds them. Raises StoreUnavailable."""
    first, second = open_blob(before, size_before), open_blob(after, size_after)
    try:
        old, new = headers.read(first), headers.read(second)
    except HeaderError as problem:
        return {"problem": f"One of them is no safetensors file: {problem}."}
    names, products = changes.compare_names(old, new), changes.compare_values(first, old, second, new)
    return {"names": asdict(names), "products": [_storable(one) for one in products]}


def _storable(one: Products) -> list[Any]:
    numbers = [
        value if math.isfinite(value) else None for value in (one.before, one.after, one.both)
    ]  # JSON has no NaN
    return [one.module, *numbers, one.rank_before, one.rank_after]


def _parsed(result: Mapping[str, Any]) -> Compared:
    if problem := result.get("problem"):
        return Compared(problem=problem)
    names = result["names"]
    reshaped = tuple((name, tuple(old), tuple(new)) for name, old, new in names["reshaped"])
    retyped = tuple((name, old, new) for name, old, new in names["retyped"])
    products = map(_products, result["products"])
    return Compared(Names(tuple(names["added"]), tuple(names["removed"]), reshaped, retyped), tuple(products))


def _products(row: list[Any]) -> Products:
    module, before, after, both, rank_before, rank_after = row
    return Products(module, _number(before), _number(after), _number(both), rank_before, rank_after)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


# --- for workers
def claim() -> WeightComparison | None:
    """Claim the comparison that waited longest; a worker that dies gives it back when the lease ends."""
    now = timezone.now()
    waiting = WeightComparison.objects.filter(result__isnull=True)
    for row in waiting.filter(free_at__lte=now).order_by("free_at")[:8]:
        if row.attempts >= MAX_ATTEMPTS:
            give_up(row, "The worker ended before it was done, several times.")
        elif waiting.filter(pk=row.pk, free_at=row.free_at).update(free_at=now + LEASE, attempts=row.attempts + 1):
            row.attempts += 1
            return row
    return None


def finish(row: WeightComparison, result: Mapping[str, object]) -> None:
    """Record the differences."""
    WeightComparison.objects.filter(pk=row.pk).update(result=result, free_at=None)


def give_up(row: WeightComparison, reason: str) -> None:
    """Note that the files cannot be compared now; after the last attempt for good."""
    logger.warning("Two weight files were not compared: %s", reason, extra={"before": row.before, "after": row.after})
    if row.attempts >= MAX_ATTEMPTS:
        finish(row, {"problem": "They could not be read from the store."})


def forget_old() -> None:
    """Delete the comparisons that nobody needs any more; who asks again has them computed again."""
    WeightComparison.objects.filter(created_at__lt=timezone.now() - KEPT).delete()
