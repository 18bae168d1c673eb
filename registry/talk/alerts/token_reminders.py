"""Alerts that a token is about to end: for its owner, of a robot's token for the administrators of its organisation."""

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from registry.models import Alert, Membership, Token, User
from registry.talk.alerts import alert_rows

BATCH = 500  # tokens of one run


def remind() -> int:
    """Alert of tokens that end within Token.NOTICE, of each once; return how many there were.

    Tokens that live no longer than that end without an alert: their owner has just made them.
    """
    now = timezone.now()
    due = Token.objects.filter(reminded_at=None, expires_at__gt=now, expires_at__lte=now + Token.NOTICE)
    due = due.filter(created_at__lt=F("expires_at") - Token.NOTICE).select_related("user").order_by("expires_at")
    return sum(_remind(token) for token in due[:BATCH])


def _remind(token: Token) -> bool:
    with transaction.atomic():
        if not Token.objects.filter(pk=token.pk, reminded_at=None).update(reminded_at=timezone.now()):
            return False  # another worker did
        people = responsible(token.user).values_list("pk", flat=True)
        alert_rows.create(people, Alert.Kind.TOKEN_ENDS, token=token)
    return True


def responsible(owner: User) -> QuerySet[User]:
    """Return the person whose token it is, or who administers the organisation of a robot."""
    people = User.objects.filter(is_active=True)
    if not owner.is_machine:
        return people.filter(pk=owner.pk)
    admins = Membership.objects.filter(organization__namespace=owner.works_for_id, role=Membership.Role.ADMIN)
    return people.filter(pk__in=admins.values("user"))
