"""Alerts by sweeps: that a token is about to end, and that a grave case waits longer than this hub wants."""

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from registry.models import Alert, Case, Membership, Token, User
from registry.moderation.cases import overdue
from registry.talk.alerts import recipients

GRAVE = 3  # malware, backdoors, secrets, illegal content: reported by people or found by the hub
TOKENS, CASES = 500, 100  # rows of one run


def remind() -> int:
    """Alert of tokens that end within Token.NOTICE, of each once; return how many there were.

    Tokens that live no longer than that end without an alert: their owner has just made them.
    """
    now = timezone.now()
    due = Token.objects.filter(reminded_at=None, expires_at__gt=now, expires_at__lte=now + Token.NOTICE)
    due = due.filter(created_at__lt=F("expires_at") - Token.NOTICE).select_related("user").order_by("expires_at")
    return sum(_remind(token) for token in due[:TOKENS])


def _remind(token: Token) -> bool:
    with transaction.atomic():
        if not Token.objects.filter(pk=token.pk, reminded_at=None).update(reminded_at=timezone.now()):
            return False  # another worker did
        people = responsible(token.user).values_list("pk", flat=True)
        recipients.create(dict.fromkeys(people, Alert.Kind.TOKEN_ENDS), token=token)
    return True


def responsible(owner: User) -> QuerySet[User]:
    """Return the person whose token it is, or who administers the organisation of a robot."""
    people = User.objects.filter(is_active=True)
    if not owner.is_machine:
        return people.filter(pk=owner.pk)
    admins = Membership.objects.filter(organization__namespace=owner.works_for_id, role=Membership.Role.ADMIN)
    return people.filter(pk__in=admins.values("user"))


def alarm() -> int:
    """Alert moderators of grave cases past the target time, again each time that it passes; return how many."""
    age = overdue.target()
    if age is None:
        return 0
    is_silent = Q(alarmed_at__isnull=True) | Q(alarmed_at__lt=timezone.now() - age)
    due = Case.objects.filter(overdue.is_overdue(), is_silent, severity=GRAVE).order_by("pk")
    return sum(_alarm(case) for case in due[:CASES])


def _alarm(case: Case) -> bool:
    with transaction.atomic():
        same = Case.objects.filter(pk=case.pk, alarmed_at=case.alarmed_at).exclude(state=Case.State.CLOSED)
        if not same.update(alarmed_at=timezone.now()):
            return False  # another worker did, or a moderator closed it
        staff = User.objects.filter(role__in=[User.Role.MODERATOR, User.Role.ADMIN], is_active=True)
        Alert.objects.filter(case=case, kind=Alert.Kind.OVERDUE, read_at__isnull=True).delete()
        people = staff.values_list("pk", flat=True)
        recipients.create(dict.fromkeys(people, Alert.Kind.OVERDUE), case=case)
    return True
