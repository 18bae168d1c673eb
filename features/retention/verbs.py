"""Rules of retention: the numbers, the people who may set them, and the versions of a repository that a rule removes.

Only files go: a commit stays in the history with its message, its author and its verdict (expiry.py).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from features.retention.models import RetentionRule
from registry import models
from registry.kernel import audit, policy, seams
from registry.kernel.errors import NotAllowed, SignInRequired, ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.people import accounts
from registry.repos import refs

MOST_VERSIONS, MOST_DAYS = 1_000_000, 3_650
OPEN = (models.Discussion.Status.OPEN, models.Discussion.Status.DRAFT)


# --- rules -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of a rule: versions of each branch to keep (None: all), and days for which every one is kept."""

    keep_last: int | None
    keep_days: int = 1

    def check(self) -> None:
        """Raise ValueInvalid for a number that no rule can have."""
        for name, number, most in (
            ("keep_last", self.keep_last, MOST_VERSIONS),
            ("keep_days", self.keep_days, MOST_DAYS),
        ):
            if number is not None and not 1 <= number <= most:
                raise ValueInvalid(f"{name} is {number}.", fix=f"Use a number from 1 to {most:,}.", field=name)


def rule_of(repository: models.Repository) -> RetentionRule | None:
    """Return the rule in force for a repository: its own, else that of its owner."""
    rows = RetentionRule.objects.filter(Q(repository=repository) | Q(namespace=repository.namespace_id))
    return rows.order_by(F("repository").asc(nulls_last=True)).select_related("set_by").first()


def own_rule(owner: models.Repository | models.Namespace) -> RetentionRule | None:
    """Return the rule that was set for this repository, or for this owner."""
    return RetentionRule.objects.filter(**_about(owner)).select_related("set_by").first()


def set_rule(repository: models.Repository, by: Caller, limits: Limits) -> bool:
    """Set the rule of one repository, in place of its owner's; return whether anything changed.

    Raises ValueInvalid, and what policy.require raises for CONFIGURE.
    """
    limits.check()
    with transaction.atomic():
        return _set(policy.require_now(by, Permission.CONFIGURE, repository), by, limits)


def clear_rule(repository: models.Repository, by: Caller) -> bool:
    """Remove the rule of one repository: that of its owner counts again. Raises as policy.require does."""
    with transaction.atomic():
        return _clear(policy.require_now(by, Permission.CONFIGURE, repository), by)


def set_owner_rule(name: str, by: Caller, limits: Limits) -> bool:
    """Set the rule of all repositories of an owner that have none of their own; return whether anything changed.

    Raises ValueInvalid and what require_owner raises.
    """
    namespace = require_owner(name, by)
    limits.check()
    if limits.keep_last is None:
        raise ValueInvalid(
            "A retention rule must say how many versions to keep.", fix="Delete the rule to keep all versions."
        )
    with transaction.atomic():
        return _set(namespace, by, limits)


def clear_owner_rule(name: str, by: Caller) -> bool:
    """Remove the rule of an owner. Raises what require_owner raises."""
    namespace = require_owner(name, by)
    with transaction.atomic():
        return _clear(namespace, by)


def require_owner(name: str, by: Caller, *, writing: bool = True) -> models.Namespace:
    """Return the person's own namespace, or that of an organisation which the caller administers.

    Raises SignInRequired, NamespaceNotFound, SecondFactorRequired and NotAllowed.
    """
    if by.user is None:
        raise SignInRequired("Sign in to see retention rules; only owners can see them.")
    namespace = accounts.get_namespace(name)
    if namespace.kind == models.Namespace.Kind.ORGANIZATION:
        policy.require_administered(by, namespace.organization, writing=writing)
        return namespace
    if by.user.namespace_id != namespace.pk or by.is_fine_grained:
        raise NotAllowed(f"Only {namespace.name} can see its retention rules.")
    if writing:
        policy.require_person(by, "set a rule of retention", publishes=False)
    return namespace


def _about(owner: models.Repository | models.Namespace) -> dict[str, Any]:
    return {"repository_id" if isinstance(owner, models.Repository) else "namespace_id": owner.pk}


def _set(owner: models.Repository | models.Namespace, by: Caller, limits: Limits) -> bool:
    assert by.user is not None, "policy lets nobody set a rule without a name"
    row, now = own_rule(owner), timezone.now()
    if row is not None and Limits(row.keep_last, row.keep_days) == limits:
        return False
    columns = {"keep_last": limits.keep_last, "keep_days": limits.keep_days}
    new = columns | {"set_by": by.user, "set_at": now, "due_at": now, "reached": 0}
    RetentionRule.objects.update_or_create(new, **_about(owner))
    audit.record(by.user, "retention:set", _name(owner), about=owner, before=_readable(row), after=columns)
    return True


def _clear(owner: models.Repository | models.Namespace, by: Caller) -> bool:
    row = own_rule(owner)
    if row is None:
        return False
    audit.record(by.user, "retention:clear", _name(owner), about=owner, before=_readable(row))
    row.delete()
    return True


def _name(owner: models.Repository | models.Namespace) -> str:
    return owner.full_name if isinstance(owner, models.Repository) else owner.name


def _readable(row: RetentionRule | None) -> dict[str, int | None] | None:
    return {"keep_last": row.keep_last, "keep_days": row.keep_days} if row else None


# --- what a rule removes ---------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Plan:
    """The versions that lose their files, the oldest first, by row id; how many stay for each reason."""

    expiring: list[int]
    kept: Mapping[str, int] = field(default_factory=dict)


def plan(repository: models.Repository, limits: Limits) -> Plan:
    """Return the versions that a rule removes now; a few queries, and one for each alias.

    A version stays if any name or pull request leads to it, an alias can be rolled back to it, it is held back or in a
    case that is open, it is being validated or made into another one, an owner took it back, or it is young enough.
    """
    if limits.keep_last is None:
        return Plan([])
    born = timezone.now() - timedelta(days=limits.keep_days)
    rows = list(repository.revisions.order_by("pk").values_list("pk", "parent", "created_at", "expired_at", "is_part"))
    parents = {pk: parent for pk, parent, *_ in rows}
    parts = {pk for pk, *_, is_part in rows if is_part}
    reasons = dict(_reasons(repository, parents, parts, limits.keep_last))
    reasons |= {pk: "young" for pk, _, created_at, *_ in rows if created_at >= born and pk not in reasons}
    stored = [pk for pk, _, _, expired_at, _ in rows if expired_at is None]
    return Plan(
        [pk for pk in stored if pk not in reasons], dict(Counter(reasons[pk] for pk in stored if pk in reasons))
    )


def freed_bytes(repository: models.Repository, expiring: list[int]) -> dict[int, int]:
    """Return for each of these versions the bytes that no version names that stays; a file counts at its newest."""
    doomed = set(expiring)
    files = models.RevisionFile.objects.filter(revision__repository=repository).order_by("revision")
    newest: dict[str, tuple[int, int]] = {}
    kept: set[str] = set()
    for revision, blob, size in files.values_list("revision", "blob", "size").iterator(chunk_size=5_000):
        if revision in doomed:
            newest[blob] = revision, size
        else:
            kept.add(blob)
    freed = dict.fromkeys(expiring, 0)
    for blob, (revision, size) in newest.items():
        if blob not in kept:
            freed[revision] += size
    return freed


def _reasons(
    repository: models.Repository, parents: Mapping[int, int | None], parts: set[int], keep_last: int
) -> Iterator[tuple[int, str]]:
    """Yield row ids of versions that stay and why; the last reason of a version counts."""
    heads = dict(models.Ref.objects.filter(repository=repository).values_list("name", "revision"))
    yield from ((pk, "in use") for pk in _in_use(repository))
    for name, head in heads.items():
        if name.startswith(refs.BRANCHES):
            yield from ((pk, "newest") for pk in _newest(head, parents, parts, keep_last))
    proposals = repository.discussions.filter(is_pull_request=True)
    for number, status, base, merged in proposals.values_list("number", "status", "merge_base", "merged_as"):
        yield from ((pk, "pull request") for pk in (base, merged) if pk is not None)
        at = heads.get(f"{refs.PULL_REQUESTS}{number}") if status in OPEN else None
        while at is not None and at != base:
            yield at, "pull request"
            at = parents.get(at)
    for alias in models.Alias.objects.filter(repository=repository):
        yield from ((pk, "named") for pk in (alias.revision_id, *refs.earlier(alias)[:1]))
    yield from ((pk, "named") for pk in heads.values())


def _newest(head: int, parents: Mapping[int, int | None], parts: set[int], count: int) -> Iterator[int]:
    """Yield the newest versions of a branch; the commits of one push are one version."""
    at: int | None = head
    while at is not None and (count or at in parts):
        yield at
        count -= at not in parts
        at = parents.get(at)


def is_evidence() -> Q:
    """Return the condition of versions that are held back, or that a case is about which is open."""
    cases = models.Case.objects.exclude(state=models.Case.State.CLOSED)
    of_repository = cases.filter(repository=OuterRef("repository"), target=models.Case.Target.REPOSITORY)
    return (
        Q(quarantined_at__isnull=False)
        | Q(repository__quarantined_at__isnull=False)
        | Exists(cases.filter(revision=OuterRef("pk")))
        | Exists(of_repository)
    )


def _in_use(repository: models.Repository) -> Iterator[int]:
    """Yield the versions that must not lose files now, whatever a rule says."""
    running = models.Verdict.objects.filter(revision=OuterRef("pk"), state=models.Verdict.State.RUNNING)
    in_use = Q(is_kept=True) | is_evidence() | Q(Exists(running))
    for condition in (one for feature in seams.joined() for one in feature.in_use):
        in_use |= condition()
    yield from models.Revision.objects.filter(in_use, repository=repository).values_list("pk", flat=True)
