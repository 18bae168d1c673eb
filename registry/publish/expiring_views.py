"""A look at what a rule of retention removes, before it does and while it can be taken back; changes nothing."""

from dataclasses import dataclass

from django.db.models import Exists, OuterRef

from registry.models import ExpiredFile, Repository, RetentionRule, Revision
from registry.publish import restoring, retention
from registry.publish.retention import Limits

LISTED = 200


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
    rule = retention.rule_of(repository)
    limits = tried or (Limits(rule.keep_last, rule.keep_days) if rule else Limits(None))
    limits.check()
    plan = retention.plan(repository, limits)
    freed = retention.freed_bytes(repository, plan.expiring) if plan.expiring else {}
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
        bin_days=restoring.days(),
    )
