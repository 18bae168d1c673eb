"""Election of the process that runs the schedule, by a row with a lease in the database's time."""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from registry.models import ClockLease

NAME = "schedule"


def take(holder: str, seconds: float) -> bool:
    """Take or prolong the lease for `seconds`; return False while another process holds it."""
    until = Now() + timedelta(seconds=seconds)
    free = Q(holder=holder) | Q(until__lt=Now())
    if ClockLease.objects.filter(free, name=NAME).update(holder=holder, until=until):
        return True
    if ClockLease.objects.filter(name=NAME).exists():
        return False
    try:
        with transaction.atomic():
            ClockLease.objects.create(name=NAME, holder=holder, until=until)
    except IntegrityError:  # another process was first
        return False
    return True


def give_back(holder: str) -> None:
    """Let another process take over at once."""
    ClockLease.objects.filter(name=NAME, holder=holder).delete()
