"""The transparency numbers: reports, decisions, appeals and takedowns by month, computed by beat and kept.

Numbers name nobody. The journal lists takedowns only: what is merely held back is not told to strangers, and a private
repository has no name in it.
"""

from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any

from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone

from features.transparency.models import MonthOfModeration
from registry import models
from registry.kernel import policy
from registry.kernel.seams import Feature
from registry.kernel.site_settings import get_setting

MONTHS_SHOWN = 24
AGAIN = 2  # months that are computed again each time: the current one, and the last, whose cases were open at its end
MOST_TIMES = 20_000  # of one month's cases that the median is taken of
Action = models.ModerationDecision.Action


def may_see(caller: policy.Caller) -> bool:
    """Return whether the numbers exist for this caller: for everyone, or for moderators, as the site setting says."""
    return get_setting("transparency") == "public" or caller.is_staff


def months() -> list[MonthOfModeration]:
    """Return the kept months, newest first."""
    return list(MonthOfModeration.objects.all()[:MONTHS_SHOWN])


def compute() -> int:
    """Compute the current and the last month, and those that were never computed; return how many."""
    today = timezone.now().date().replace(day=1)
    kept = set(MonthOfModeration.objects.values_list("month", flat=True))
    month, count = _first_month() or today, 0
    while month <= today:
        if month not in kept or month >= _months_before(today, AGAIN - 1):
            _compute(month)
            count += 1
        month = _next(month)
    return count


def _first_month() -> date | None:
    """Return the month of the first report or decision, None where there is none."""
    first = [
        models.AbuseReport.objects.aggregate(at=Min("at"))["at"],
        models.ModerationDecision.objects.aggregate(at=Min("at"))["at"],
        MonthOfModeration.objects.aggregate(at=Min("month"))["at"],
    ]
    days = [at.date() if isinstance(at, datetime) else at for at in first if at is not None]
    return min(days).replace(day=1) if days else None


def _compute(month: date) -> None:
    begin = datetime(month.year, month.month, 1, tzinfo=UTC)
    end = datetime.combine(_next(month), datetime.min.time(), tzinfo=UTC)
    inside = Q(at__gte=begin, at__lt=end)
    decisions = models.ModerationDecision.objects.filter(inside)
    numbers = {
        "reports": _by(models.AbuseReport.objects.filter(inside, by_hub=False), "reason"),
        "findings": models.AbuseReport.objects.filter(inside, by_hub=True).count(),
        "cases": _cases(begin, end),
        "decisions": _decisions(decisions),
        "appeals": _appeals(begin, end),
        "suspended": models.AuditEvent.objects.filter(inside, action="person:suspend").count(),
        "unsuspended": models.AuditEvent.objects.filter(inside, action="person:unsuspend").count(),
        "blocked_files": models.BlockedFile.objects.filter(inside).count(),
    }
    journal = _journal(decisions)
    defaults = {"numbers": numbers, "journal": journal, "computed_at": timezone.now()}
    MonthOfModeration.objects.update_or_create(month=month, defaults=defaults)


def _by(rows: QuerySet[Any], column: str) -> dict[str, int]:
    return dict(rows.order_by(column).values_list(column).annotate(count=Count("pk")))


def _cases(begin: datetime, end: datetime) -> dict[str, object]:
    opened = models.Case.objects.filter(created_at__gte=begin, created_at__lt=end).count()
    closed = models.Case.objects.filter(closed_at__gte=begin, closed_at__lt=end)
    times = closed.order_by("pk").values_list("created_at", "closed_at")[:MOST_TIMES]
    hours = [(last - first) / timedelta(hours=1) for first, last in times if last is not None]
    return {
        "opened": opened,
        "closed": closed.count(),
        "outcomes": _by(closed, "outcome"),
        "median_hours": round(median(hours), 1) if hours else None,
    }


def _decisions(decisions: QuerySet[models.ModerationDecision]) -> dict[str, int]:
    counts = _by(decisions, "action")
    return {
        "holds": counts.get(Action.QUARANTINE, 0),
        "holds_by_hub": decisions.filter(action=Action.QUARANTINE, by__isnull=True).count(),
        "releases": counts.get(Action.RELEASE, 0),
        "takedowns": counts.get(Action.TAKEDOWN, 0),
    }


def _appeals(begin: datetime, end: datetime) -> dict[str, int]:
    decided = _by(models.Appeal.objects.filter(decided_at__gte=begin, decided_at__lt=end), "state")
    return {
        "opened": models.Appeal.objects.filter(created_at__gte=begin, created_at__lt=end).count(),
        "approved": decided.get(models.Appeal.State.APPROVED, 0),
        "rejected": decided.get(models.Appeal.State.REJECTED, 0),
    }


def _journal(decisions: QuerySet[models.ModerationDecision]) -> list[dict[str, object]]:
    """Return the takedowns of a month: day, type, whole or one version, cause, and the name of a public repository."""
    rows = decisions.filter(action=Action.TAKEDOWN).select_related("repository__namespace", "case").order_by("pk")
    return [
        {
            "day": row.at.date().isoformat(),
            "type": row.repository.type,
            "name": "" if row.repository.private else row.repository.full_name,
            "is_whole": row.revision_id is None,
            "cause": row.case.reason if row.case else "other",
        }
        for row in rows
    ]


def _next(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def _months_before(month: date, count: int) -> date:
    for _ in range(count):
        month = (month - timedelta(days=1)).replace(day=1)
    return month


def require(caller: policy.Caller) -> None:
    """Raise what policy.require_moderator raises where the numbers are for moderators."""
    if not may_see(caller):
        policy.require_moderator(caller)


FEATURE = Feature(every_hour=(compute,))
