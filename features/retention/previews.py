"""A look at what a rule of retention removes, before it does and while it can be taken back; changes nothing."""

from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from django.db.models import Exists, OuterRef
from django.utils import timezone

from features.retention import expiry, verbs
from features.retention.models import RetentionRule
from features.retention.verbs import Limits
from registry.models import ExpiredFile, Namespace, Repository, Revision
from registry.publish import retirement

LISTED = 200
SECONDS = 5.0  # of one look at the repositories of an owner


@dataclass(frozen=True, slots=True)
class Preview:
    """The rule in force, and what it, or one that is tried, removes now: the oldest versions with the bytes of each."""

    rule: RetentionRule | None
    limits: Limits
    versions: list[tuple[Revision, int]]
    count: int
    freed: int
    kept: list[tuple[str, int]]
    binned: int
    bin_days: int


def preview(repository: Repository, tried: Limits | None = None) -> Preview:
    """Return what the rule in force removes, or one that is tried. Raises ValueInvalid for numbers no rule can have."""
    rule = verbs.rule_of(repository)
    limits = tried or (Limits(rule.keep_last, rule.keep_days) if rule else Limits(None))
    limits.check()
    plan = verbs.plan(repository, limits)
    freed = verbs.freed_bytes(repository, plan.expiring) if plan.expiring else {}
    rows = Revision.objects.filter(pk__in=plan.expiring[:LISTED]).order_by("pk")
    stored = Exists(ExpiredFile.objects.filter(revision=OuterRef("pk")))
    return Preview(
        rule=rule,
        limits=limits,
        versions=[(row, freed[row.pk]) for row in rows],
        count=len(plan.expiring),
        freed=sum(freed.values()),
        kept=sorted(plan.kept.items()),
        binned=repository.revisions.filter(stored, expired_at__isnull=False).count(),
        bin_days=retirement.days(),
    )


@dataclass(frozen=True, slots=True)
class Loss:
    """The loss of one repository by a rule: a number of versions, and the bytes that they free."""

    repository: Repository
    versions: int
    freed: int


@dataclass(frozen=True, slots=True)
class OwnerPreview:
    """Losses by an owner's rule in one part of the repositories; the next part begins at `after`, unless it is 0."""

    losses: list[Loss]
    looked_at: int
    after: int

    @property
    def versions(self) -> int:
        return sum(loss.versions for loss in self.losses)

    @property
    def freed(self) -> int:
        return sum(loss.freed for loss in self.losses)


def preview_owner(
    namespace: Namespace, tried: Limits, *, after: int = 0, seconds: float = SECONDS, most: int = LISTED
) -> OwnerPreview:
    """Return what a rule would remove from the repositories of an owner that have none of their own.

    It looks at repositories by row id, beyond `after`, until the time is over or `most` of them lose something. Raises
    ValueInvalid for numbers no rule can have.
    """
    tried.check()
    ends, looked_at = monotonic() + seconds, 0
    losses: list[Loss] = []
    old = Revision.objects.filter(
        repository=OuterRef("pk"), expired_at=None, created_at__lt=timezone.now() - timedelta(days=tried.keep_days)
    )
    # A repository without an old version loses nothing
    for repository in expiry.ruled_by_owner(namespace.pk).filter(Exists(old), pk__gt=after).order_by("pk").iterator():
        if looked_at and (monotonic() > ends or len(losses) == most):
            return OwnerPreview(losses, looked_at, after)
        if expired := verbs.plan(repository, tried).expiring:
            freed = sum(verbs.freed_bytes(repository, expired).values())
            losses.append(Loss(repository, len(expired), freed))
        looked_at, after = looked_at + 1, repository.pk
    return OwnerPreview(losses, looked_at, 0)
