"""Cases that wait longer than this hub wants (site setting `case_hours`)."""

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from registry.kernel import site_settings
from registry.models import Case


def target() -> timedelta | None:
    """Return the time within which moderators want to decide a case, None if they set none."""
    hours = int(site_settings.get_setting("case_hours"))
    return timedelta(hours=hours) if hours else None


def is_older(case: Case) -> bool:
    """Return whether a case was opened longer ago than the target time."""
    age = target()
    return age is not None and timezone.now() - case.created_at > age


def is_overdue() -> Q:
    """Return the condition of cases that are still open after the target time; without a target no case meets it."""
    age = target()
    if age is None:
        return Q(pk__in=[])
    return ~Q(state=Case.State.CLOSED) & Q(created_at__lt=timezone.now() - age)
