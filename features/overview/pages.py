"""The first page of those who administer the hub: verdicts and pushes, queue, workers, failures, cases and disks.

Each number is a range of an index or a table of few rows, and all are kept for a minute; sums over whole tables are
shown only where /metrics counted them.
"""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db.models import Count, Min, Q
from django.db.models.functions import TruncDate
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from hub.monitoring import gauges
from hub.site import documentation
from hub.site.panels import Link, Pages
from hub.site.pictures import Axis
from hub.site.routing import at
from hub.site.sign_in.sessions import for_administrators
from registry import models
from registry.kernel import policy
from registry.models.verdicts import stored_report
from registry.moderation import overdue
from registry.proof.reports import refusal

DAYS, WEEK = 14, 7
WAITS = 500  # of the newest verdicts, whose waiting times are looked at
FAILURES = 300  # of the newest failed verdicts, whose first check is looked at
REPORTS = 500  # of the newest reports
CHECKS, LINKS = 8, 3  # in the table of failures, and verdicts behind each
OUTCOMES = ("passed", "failed", "errored")
CAUSES = {
    "push": _("pushes"),
    "asked": _("asked for again"),
    "base": _("a base arrived or was replaced"),
    "renewal": _("proven again with new libraries or checks"),
}
LOWEST, HIGHEST = 186.0, 24.0  # the heights of 0 and of the busiest day
LEAST = 4  # verdicts that the axis spans, so that its marks are whole numbers


@dataclass(frozen=True, slots=True)
class Day:
    """A column of the picture: the verdicts of a day by outcome, and its pushes."""

    day: date
    outcomes: Sequence[int]  # in the order of OUTCOMES
    pushes: int


@dataclass(frozen=True, slots=True)
class Days:
    """The days to draw, the oldest first."""

    days: Sequence[Day]

    @property
    def axis(self) -> Axis:
        """The verdicts or pushes of a day; nobody's day reaches above it."""
        return Axis(0, max(LEAST, *(max(sum(day.outcomes), day.pushes) for day in self.days)), LOWEST, HIGHEST)

    @property
    def columns(self) -> list[tuple[Day, float, list[tuple[str, float, float]], float]]:
        """Each day with its place, its bars from below (outcome, top, height), and the height of its pushes."""
        axis, drawn = self.axis, []
        for number, day in enumerate(self.days):
            bars, below = [], 0
            for outcome, count in zip(OUTCOMES, day.outcomes, strict=True):
                top = axis.at(below + count)
                bars.append((outcome, top, round(axis.at(below) - top, 2)))
                below += count
            drawn.append((day, round(100 * number / len(self.days), 2), bars, axis.at(day.pushes)))
        return drawn

    @property
    def ticks(self) -> list[tuple[int, float]]:
        """The marks of the axis, which are whole numbers, with their heights."""
        return [(round(value), height) for value, height in self.axis.ticks]

    @property
    def outcomes(self) -> list[tuple[str, int]]:
        """The verdicts of all days by outcome."""
        return [(name, sum(day.outcomes[place] for day in self.days)) for place, name in enumerate(OUTCOMES)]

    @property
    def pushes(self) -> int:
        return sum(day.pushes for day in self.days)


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker; `job` is the version that it works on now, with since when."""

    row: models.WorkerHeartbeat
    is_alive: bool
    slots: int
    jobs: Sequence[models.Attempt]


@dataclass(frozen=True, slots=True)
class Failure:
    """A check that failed first in verdicts of the week, with the newest of these."""

    check: str
    count: int
    address: str  # in the documentation; "": no page has it
    verdicts: Sequence[models.Verdict]


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything on the page but the disks, as it was `at` a moment."""

    at: datetime
    days: Days
    queue: Sequence[tuple[object, int, datetime]]  # the cause in words, how many wait, since when the first
    workers: Sequence[Worker]
    waited: Sequence[int]  # median and ninth decile, in seconds
    failures: Sequence[Failure]
    failed: int  # verdicts that `failures` count
    cases: dict[str, object]
    appeals: int
    reporters: Sequence[tuple[str, int]]
    reports: int

    @property
    def waiting(self) -> int:
        return sum(count for _cause, count, _since in self.queue)

    @property
    def oldest(self) -> datetime | None:
        return min((since for _cause, _count, since in self.queue), default=None)

    @property
    def alive(self) -> int:
        return sum(worker.is_alive for worker in self.workers)

    @property
    def busy(self) -> int:
        return sum(len(worker.jobs) for worker in self.workers)


def _count() -> Overview:
    now = timezone.now()
    week = now - timedelta(days=WEEK)
    waits = models.Verdict.objects.filter(duration_ms__isnull=False, started_at__isnull=False).order_by("-finished_at")
    pairs = waits.filter(finished_at__gte=week).values_list("queued_at", "started_at")[:WAITS]
    times = [round((started - queued).total_seconds()) for queued, started in pairs if started]
    by_cause = gauges.queued().order_by().values("cause").annotate(number=Count("pk"), since=Min("queued_at"))
    failures, failed = _failures(week)
    open_cases = models.Case.objects.exclude(state=models.Case.State.CLOSED)
    newest = models.AbuseReport.objects.order_by("-pk").values_list("at", "reporter__username")[:REPORTS]
    reports = [name for at_, name in newest if at_ >= week]
    return Overview(
        at=now,
        days=_days(now),
        queue=[(CAUSES.get(row["cause"], row["cause"]), row["number"], row["since"]) for row in by_cause],
        workers=_workers(now),
        waited=[round(statistics.median(times)), _decile(times)] if times else [],
        failures=failures,
        failed=failed,
        cases=open_cases.aggregate(
            number=Count("pk"),
            oldest=Min("created_at"),
            high=Count("pk", filter=Q(severity=3)),
            late=Count("pk", filter=overdue.is_overdue()),
        ),
        appeals=models.Appeal.objects.filter(state=models.Appeal.State.OPEN).count(),
        reporters=Counter(filter(None, reports)).most_common(LINKS),
        reports=len(reports),
    )


def _decile(times: Sequence[int]) -> int:
    """Return the time that nine of ten stay below."""
    return sorted(times)[min(len(times) - 1, len(times) * 9 // 10)]


def _days(now: datetime) -> Days:
    first = now.date() - timedelta(days=DAYS - 1)
    since = datetime.combine(first, datetime.min.time(), now.tzinfo)
    verdicts = models.Verdict.objects.order_by()
    finished = verdicts.filter(duration_ms__isnull=False, finished_at__gte=since)
    by_outcome = finished.values_list(TruncDate("finished_at"), "state").annotate(Count("pk"))
    pushed = verdicts.filter(cause=models.Verdict.Cause.PUSH, queued_at__gte=since, number=1)
    counts = {(day, state): number for day, state, number in by_outcome}
    pushes = dict(pushed.values_list(TruncDate("queued_at")).annotate(Count("pk")))
    days = [first + timedelta(days=number) for number in range(DAYS)]
    return Days([Day(day, [counts.get((day, name), 0) for name in OUTCOMES], pushes.get(day, 0)) for day in days])


def _workers(now: datetime) -> list[Worker]:
    fresh = now - timedelta(seconds=settings.LEASE_SECONDS)
    rows = models.WorkerHeartbeat.objects.order_by("-beat_at")[: gauges.WORKERS_MOST]
    running = models.Attempt.objects.filter(ended_at__isnull=True, verdict__state=models.Verdict.State.RUNNING)
    jobs = running.select_related("verdict__revision__repository__namespace").defer("verdict__result").order_by("pk")
    by_worker: dict[str, list[models.Attempt]] = {}
    for job in jobs[: gauges.WORKERS_MOST]:
        by_worker.setdefault(job.worker, []).append(job)
    return [
        Worker(row, row.beat_at >= fresh, int(row.offers.get("slots", 1)), by_worker.get(row.worker, []))
        for row in rows
    ]


def _failures(week: datetime) -> tuple[list[Failure], int]:
    """Return the checks that failed first most often, and the number of verdicts that were looked at."""
    rows = models.Verdict.objects.filter(duration_ms__isnull=False, finished_at__gte=week, state="failed")
    newest = rows.order_by("-finished_at").values_list("pk", "revision__repository", "result__checks")[:FAILURES]
    counts: Counter[str] = Counter()
    shown: dict[str, dict[int, int]] = {}  # by check the newest verdict of each repository
    for pk, repository, checks in newest:
        check, _message = refusal(stored_report({"checks": checks or []}, "failed"))
        counts[check] += 1
        shown.setdefault(check, {}).setdefault(repository, pk)
    most = counts.most_common(CHECKS)
    linked = {check: list(shown[check].values())[:LINKS] for check, _number in most}
    found = models.Verdict.objects.defer("result").select_related("revision__repository__namespace")
    verdicts = found.in_bulk([pk for numbers in linked.values() for pk in numbers])
    failures = [
        Failure(
            check, number, documentation.address_of(check), [verdicts[pk] for pk in linked[check] if pk in verdicts]
        )
        for check, number in most
    ]
    return failures, counts.total()


kept_overview = gauges.Kept(_count)


@for_administrators
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Show what goes on in the hub."""
    totals = gauges.kept_totals.last
    disks = [(name, free, total, 100 * (total - free) // total) for name, free, total in gauges.disks()]
    shown = {"overview": kept_overview.get(), "disks": disks, "stored": totals}
    return render(request, "overview/page.html", shown)


PAGES = Pages(
    routes=[at("moderation/overview", overview, "overview")],
    links=(Link("moderation", "overview", _("Overview"), place=10, may=policy.is_hub_admin),),
)
