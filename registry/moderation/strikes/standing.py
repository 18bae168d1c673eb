"""A person's standing: strikes that count and those that do not, what follows from them, and what is held back."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from registry.kernel import policy
from registry.kernel.policy import Caller
from registry.models import Appeal, ModerationDecision, Repository, Strike, User
from registry.moderation.strikes import appeals, strikes

MAX_ROWS = 50


@dataclass(frozen=True)
class Standing:
    """The points, strikes, holds and appeals of a person, and the pause in force."""

    points: int
    paused_until: datetime | None
    strikes: list[Strike]
    holds: list[ModerationDecision]  # on repositories and versions of theirs, in force
    appeals: list[Appeal]


def of_person(user: User, by: Caller) -> Standing:
    """Return the standing of a person: their own, or for a moderator anybody's.

    Of what an organisation owns, they see what they may write to. Raises what policy.require_moderator raises.
    """
    is_own = by.user is not None and by.user.pk == user.pk
    if not is_own:
        policy.require_moderator(by)
    paused = user.paused_until if user.paused_until and user.paused_until > timezone.now() else None
    return Standing(
        points=strikes.points(user),
        paused_until=paused,
        strikes=list(user.strikes.select_related("case", "voided_by")[:MAX_ROWS]),
        holds=_holds(policy.writable_by(by) if is_own else Q(namespace_id=user.namespace_id)),
        appeals=list(appeals.by_person(user)[:MAX_ROWS]),
    )


def _holds(owned: Q) -> list[ModerationDecision]:
    """Return the newest decision about each of these repositories, and each revision of them, that is held back."""
    held = Q(revision__isnull=True, repository__quarantined_at__isnull=False) | Q(
        revision__quarantined_at__isnull=False
    )
    rows = ModerationDecision.objects.filter(held, repository__in=Repository.objects.filter(owned))
    rows = rows.exclude(action=ModerationDecision.Action.RELEASE).select_related("repository__namespace", "revision")
    newest = {(row.repository_id, row.revision_id): row for row in rows.order_by("pk")}
    return sorted(newest.values(), key=lambda row: -row.pk)[:MAX_ROWS]
