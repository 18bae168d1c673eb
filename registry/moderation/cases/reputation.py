"""The reputation of reporters: how many of their decided reports were upheld, and whom an administrator trusts."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, Max, Q, QuerySet

from registry.kernel import audit, policy
from registry.kernel.policy import Caller
from registry.models import AbuseReport, User


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The share of reports that were right: upheld of those that were decided."""

    upheld: int = 0
    decided: int = 0

    @property
    def share(self) -> float | None:
        """The upheld part of the decided ones, from 0 to 1; None while nothing was decided."""
        return self.upheld / self.decided if self.decided else None

    def __add__(self, other: "Accuracy") -> "Accuracy":
        return Accuracy(self.upheld + other.upheld, self.decided + other.decided)


def accuracies(people: Iterable[int]) -> dict[int, Accuracy]:
    """Return the accuracy of each of these people (row ids) who reported something before; one query."""
    rows = AbuseReport.objects.filter(reporter__in=set(people), upheld__isnull=False).order_by().values("reporter")
    counted = rows.annotate(decided=Count("pk"), right=Count("pk", filter=Q(upheld=True)))
    return {row["reporter"]: Accuracy(row["right"], row["decided"]) for row in counted}


def reporters(by: Caller) -> QuerySet[User]:
    """Return everybody who reported something, with counts: `filed`, `decided`, `right`; newest reports first."""
    policy.require_moderator(by)
    return User.objects.filter(abuse_reports__isnull=False).annotate(
        filed=Count("abuse_reports"),
        decided=Count("abuse_reports", filter=Q(abuse_reports__upheld__isnull=False)),
        right=Count("abuse_reports", filter=Q(abuse_reports__upheld=True)),
        last=Max("abuse_reports__at"),
    ).order_by("-last", "pk")  # fmt: skip


def set_trusted(user: User, by: Caller, is_trusted: bool) -> bool:
    """Trust a reporter, or stop; return whether anything changed. Raises what policy.require_admin raises."""
    actor = policy.require_admin(by)
    if not User.objects.filter(pk=user.pk, is_trusted_reporter=not is_trusted).update(is_trusted_reporter=is_trusted):
        return False
    audit.record(actor, "person:trust", user.username, before=not is_trusted, after=is_trusted)
    user.is_trusted_reporter = is_trusted
    return True
