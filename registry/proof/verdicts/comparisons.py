"""Comparisons: passed verdicts are repeated on the other engines when no validation waits; nothing depends on them.

The engine that decided waits in them too: it repeats nothing, it runs the programs of Use.

Questions to the engines of a feature wait in the same rows, without a route, since these hold no base. The feature
does that, and writes the answers.

The row is the job here too. Its lease is one column: the worker that holds it moves `free_at` ahead, and if the worker
dies, the row becomes free again. After the last attempt the row of the engine says that it gave no answer.
"""

import contextlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Lower, Now

from dovetail.adapters.results.report import EngineRow, Report
from dovetail.adapters.results.usage import ProgramRun
from registry.kernel import seams
from registry.kernel.errors import ClaimStale, ShelfProblem
from registry.models import Base, Comparison, Verdict
from registry.proof.verdicts import requests
from registry.proof.verdicts.queue import Capabilities, lease, one_at_a_time
from registry.repos import bases
from registry.sql import lock_first

Pair = tuple[str, str]  # an engine and its base


@dataclass(frozen=True)
class Comparing:
    """The right to add the row of one engine, until the lease ends."""

    row: Comparison
    fence: str
    adapter: None = None  # in place of a base, as a verdict that is claimed may name one

    @property
    def verdict(self) -> Verdict:
        return self.row.verdict

    @cached_property
    def base(self) -> Base | None:
        """The base of the verdict. Raises ShelfProblem if it was taken out of the base cache since then."""
        verdict = self.verdict
        base = bases.find_base(verdict.base)
        if base is None and requests.why_wait(verdict.base, base, verdict.format, verdict.revision):
            raise ShelfProblem(f"{verdict.base} was removed from the base cache while its adapters were compared.")
        return base

    @property
    def is_of_programs(self) -> bool:
        """True if the engine decided the verdict, and shall run the programs of Use."""
        return _decided(self.verdict.report, self.row.engine)


def ask(verdict: Verdict, engines: Sequence[str], *, route: str | None = None) -> None:
    """Queue comparisons on these engines; call it in the transaction that decides the verdict.

    The route is the verdict's, and "" for engines that hold no base.
    """
    route = verdict.route if route is None else route
    rows = [Comparison(verdict=verdict, engine=engine, route=route) for engine in engines]
    Comparison.objects.bulk_create(rows, ignore_conflicts=True)


def free(able: Capabilities) -> QuerySet[Comparison]:
    """Return the comparisons that a worker can do now."""
    # Filtered by an expression as in queue.candidates, so that the database walks them from the oldest.
    mine = Comparison.objects.alias(key=Lower("route")).filter(key__in=["", *able.bases], engine__in=able.engines)
    return mine.filter(free_at__lte=Now(), attempt__lt=settings.MAX_ATTEMPTS).order_by("pk")


def coldest(able: Capabilities, besides: Collection[Pair] = ()) -> Pair | None:
    """Return the engine and base of the oldest comparison that is for none of `besides`; None if none waits."""
    rows = free(able)
    for engine, route in besides:
        rows = rows.exclude(engine=engine, route__iexact=route)
    return rows.values_list("engine", "route").first()


def claim(able: Capabilities, warm: Collection[Pair]) -> Comparing | None:
    """Claim the oldest comparison for which an engine is warm; None if there is none."""
    rows = free(able).select_related("verdict__revision__repository__namespace")
    for engine, route in warm:
        with transaction.atomic():
            if (row := lock_first(rows.filter(engine=engine, route=route))) is not None:
                row.fence, row.attempt = secrets.token_hex(16), row.attempt + 1
                Comparison.objects.filter(pk=row.pk).update(fence=row.fence, free_at=lease(), attempt=row.attempt)
                return Comparing(row, row.fence)
    return None


def heartbeat(claim: Comparing) -> None:
    """Prolong the lease. Raises ClaimStale."""
    if not _held(claim).update(free_at=lease()):
        raise ClaimStale(f"Comparison {claim.row.pk} was taken over by another worker.")


def finish(claim: Comparing) -> Verdict:
    """Delete the job, and return its verdict, locked; call it in the transaction that writes the answer.

    Raises ClaimStale before anything is written.
    """
    if not _held(claim).delete()[0]:
        raise ClaimStale(f"Comparison {claim.row.pk} was taken over by another worker.")
    return _locked(claim.verdict.pk)


def record(claim: Comparing, row: EngineRow) -> None:
    """Add the engine's row to the verdict. Raises ClaimStale before anything is written."""
    with transaction.atomic():
        _add(finish(claim), row)


def record_programs(claim: Comparing, runs: Sequence[ProgramRun]) -> None:
    """Add what became of the programs of Use. Raises ClaimStale before anything is written."""
    with transaction.atomic():
        _add_programs(finish(claim), runs)


def pause(claim: Comparing, seconds: int) -> None:
    """Release it for some seconds; after the last attempt the sweep ends it."""
    _held(claim).update(free_at=Now() + timedelta(seconds=seconds))


def give_up() -> int:
    """End the comparisons whose last attempt gave no answer; return their number."""
    lost = Comparison.objects.filter(free_at__lte=Now(), attempt__gte=settings.MAX_ATTEMPTS)
    return sum(map(_end, list(lost.select_related("verdict__revision"))))


def _end(row: Comparison) -> bool:
    with one_at_a_time(row.verdict):
        # Deleted first and by its fence: a late worker may have recorded its row meanwhile, and that counts.
        if not Comparison.objects.filter(pk=row.pk, fence=row.fence, free_at__lte=Now()).delete()[0]:
            return False
        message = f"It gave no answer in {row.attempt} attempts; the workers' logs say why."
        with contextlib.suppress(ClaimStale):  # the verdict is gone, and the comparison with it
            verdict = _locked(row.verdict_id)
            if _decided(verdict.report, row.engine):
                _add_programs(verdict, [ProgramRun("peft", "", "not-run", row.engine, problem=message)])
            elif row.route:
                _add(verdict, EngineRow(name=row.engine, state="errored", message=message))
            else:
                for feature in seams.joined():
                    feature.unanswered(verdict, row.engine, message)
        return True


def write(verdict: Verdict, report: Report, **columns: object) -> None:
    """Write the report of a verdict that is locked, and columns that follow from it."""
    Verdict.objects.filter(pk=verdict.pk).update(result=report.as_result(), **columns)


def _held(claim: Comparing) -> QuerySet[Comparison]:
    return Comparison.objects.filter(pk=claim.row.pk, fence=claim.fence)


def _add(verdict: Verdict, row: EngineRow) -> None:
    others = [known for known in verdict.report.engines if known.name != row.name]
    write(verdict, replace(verdict.report, engines=(*others, row)))


def _decided(report: Report, engine: str) -> bool:
    return report.usage is not None and report.engine is not None and report.engine.name == engine


def _add_programs(verdict: Verdict, runs: Sequence[ProgramRun]) -> None:
    has_failed = any(run.outcome == "failed" for run in runs)
    write(verdict, replace(verdict.report, programs=tuple(runs)), has_failed_programs=has_failed)


def _locked(number: int) -> Verdict:
    """Return a verdict, locked. Raises ClaimStale if its adapter was deleted meanwhile."""
    verdict = Verdict.objects.select_for_update(no_key=True).filter(pk=number).first()
    if verdict is None:
        raise ClaimStale(f"Verdict {number} was deleted.")
    return verdict
