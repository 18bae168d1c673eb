"""Alerts for moderators that a grave case waits longer than this hub wants."""

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from registry.models import Alert, Case, User
from registry.moderation.cases import overdue
from registry.talk.alerts import alert_rows

GRAVE = 3  # malware, backdoors, secrets, illegal content: reported by people or found by the hub
BATCH = 100  # cases of one run


def alarm() -> int:
    """Alert moderators of grave cases past the target time, again each time that it passes; return how many."""
    age = overdue.target()
    if age is None:
        return 0
    is_silent = Q(alarmed_at__isnull=True) | Q(alarmed_at__lt=timezone.now() - age)
    due = Case.objects.filter(overdue.is_overdue(), is_silent, severity=GRAVE).order_by("pk")
    return sum(_alarm(case) for case in due[:BATCH])


def _alarm(case: Case) -> bool:
    with transaction.atomic():
        same = Case.objects.filter(pk=case.pk, alarmed_at=case.alarmed_at).exclude(state=Case.State.CLOSED)
        if not same.update(alarmed_at=timezone.now()):
            return False  # another worker did, or a moderator closed it
        staff = User.objects.filter(role__in=[User.Role.MODERATOR, User.Role.ADMIN], is_active=True)
        Alert.objects.filter(case=case, kind=Alert.Kind.OVERDUE, read_at__isnull=True).delete()
        alert_rows.create(staff.values_list("pk", flat=True), Alert.Kind.OVERDUE, case=case)
    return True
