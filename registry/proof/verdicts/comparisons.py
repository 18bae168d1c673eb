"""Verdicts that passed, tried on the other engines too: behind all validations, and nothing depends on it.

The row is the job here too. Its lease is one column: who holds it pushes `free_at` ahead, and when he dies it is free
again by itself. After the last attempt the engine's line says that it gave no answer.
"""

import contextlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Lower, Now

from dovetail.adapters.report import EngineRow
from registry.kernel.errors import ClaimStale
from registry.models import Comparison, Verdict
from registry.proof.verdicts.queue import Capabilities
from registry.proof.verdicts.rows import lease

CANDIDATES = 8
Pair = tuple[str, str]  # of an engine and the base that it holds


@dataclass(frozen=True)
class Comparing:
    """The right to add what one engine says, until the lease ends."""

    row: Comparison
    fence: str

    @property
    def verdict(self) -> Verdict:
        return self.row.verdict


def ask(verdict: Verdict, engines: Sequence[str]) -> None:
    """Have these engines judge the verdict as well; call it in the transaction that decides it."""
    rows = [Comparison(verdict=verdict, engine=engine, route=verdict.route) for engine in engines]
    Comparison.objects.bulk_create(rows, ignore_conflicts=True)


def free(able: Capabilities) -> QuerySet[Comparison]:
    """Return the comparisons that a worker can make."""
    # As with verdicts: by way of an expression, so that the oldest are looked at first.
    mine = Comparison.objects.alias(key=Lower("route")).filter(key__in=able.bases, engine__in=able.engines)
    return mine.filter(free_at__lte=Now(), attempt__lt=settings.MAX_ATTEMPTS).order_by("pk")


def coldest(able: Capabilities) -> Pair | None:
    """Return the engine and base that the oldest comparison needs; None when nothing waits."""
    return free(able).values_list("engine", "route").first()


def claim(able: Capabilities, warm: Collection[Pair]) -> Comparing | None:
    """Take the oldest comparison for which an engine is warm already; None where there is none."""
    for engine, route in warm:
        for number in free(able).filter(engine=engine, route=route).values_list("pk", flat=True)[:CANDIDATES]:
            fence = secrets.token_hex(16)
            mine = free(able).filter(pk=number)
            if mine.update(fence=fence, free_at=lease(), attempt=F("attempt") + 1):
                row = Comparison.objects.select_related("verdict__revision__repository__namespace").get(pk=number)
                return Comparing(row, fence)
    return None


def heartbeat(claim: Comparing) -> None:
    """Prolong the lease. Raises ClaimStale."""
    if not _held(claim).update(free_at=lease()):
        raise ClaimStale(f"Comparison {claim.row.pk} is somebody else's by now.")


def record(claim: Comparing, row: EngineRow) -> None:
    """Add the engine's row to the verdict. Raises ClaimStale, and then nothing was written."""
    with transaction.atomic():
        if not _held(claim).delete()[0]:
            raise ClaimStale(f"Comparison {claim.row.pk} is somebody else's by now.")
        _add(claim.verdict.pk, row)


def pause(claim: Comparing, seconds: int) -> None:
    """Let it go for now; after the last attempt the sweep says that the engine gave no answer."""
    _held(claim).update(free_at=Now() + timedelta(seconds=seconds))


def give_up() -> int:
    """End those whose last attempt gave no answer; return how many."""
    lost = Comparison.objects.filter(free_at__lte=Now(), attempt__gte=settings.MAX_ATTEMPTS)
    return sum(map(_end, list(lost)))


def _end(row: Comparison) -> bool:
    with transaction.atomic():
        # First, and by its fence: who was only late may have said his word meanwhile, and that stands.
        if not Comparison.objects.filter(pk=row.pk, fence=row.fence, free_at__lte=Now()).delete()[0]:
            return False
        message = f"It gave no answer in {row.attempt} attempts; the workers' logs say why."
        with contextlib.suppress(ClaimStale):  # the verdict is gone, and the comparison with it
            _add(row.verdict_id, EngineRow(name=row.engine, state="errored", message=message))
        return True


def _held(claim: Comparing) -> QuerySet[Comparison]:
    return Comparison.objects.filter(pk=claim.row.pk, fence=claim.fence)


def _add(number: int, row: EngineRow) -> None:
    verdict = Verdict.objects.select_for_update().filter(pk=number).first()
    if verdict is None:  # its adapter was deleted meanwhile
        raise ClaimStale(f"Verdict {number} is gone.")
    report = verdict.report
    others = [known for known in report.engines if known.name != row.name]
    verdict.result = replace(report, engines=(*others, row)).as_result()
    verdict.save(update_fields=["result"])
