"""Expired versions: commits whose files a rule of retention removed; and a look at what a rule removes, before it does.

A commit keeps its id, message, author and verdict; its files answer `files-expired`. They move to a table of their own
(ExpiredFile), where nothing that reads looks, and count in the quota, until the days of the bin are over; so long an
owner can take them back. Then the bytes that nothing else names are deleted at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import TypeVar

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from features.retention import verbs
from features.retention.models import RetentionRule
from features.retention.verbs import Limits
from registry.bytes import blocked_files, garbage
from registry.bytes.object_copies import batched
from registry.kernel import audit, policy, seams, stored_bytes
from registry.kernel.errors import FilesExpired, RegistryError
from registry.kernel.policy import Caller, Permission
from registry.models import (
    Comparison,
    ExpiredFile,
    Namespace,
    PickleScan,
    Repository,
    Revision,
    RevisionFile,
    UploadedBlob,
    Verdict,
)
from registry.proof import pickle_scans
from registry.proof.verified import verified
from registry.publish import retirement
from registry.publish.push import rows
from registry.repos import pull
from registry.repos.contents import stored_facts

SLICE = 500  # versions of one transaction
RESTORED = 200  # versions of one transaction that takes files back: each may queue jobs
RESTORE_SECONDS = 20.0  # of one request
SECONDS = 60.0  # of one run
EVERY = timedelta(hours=1)  # how often a rule is applied
NAMED = 100  # commits that one entry of the audit log names
BATCH = 500

AnyFile = TypeVar("AnyFile", RevisionFile, ExpiredFile)
LISTED = 200
PREVIEW_SECONDS = 5.0  # of one look at the repositories of an owner


# --- by the clock ----------------------------------------------------------------------------------------------------
def run(seconds: float = SECONDS) -> int:
    """Apply rules that are due, and delete what the bin kept for its days, until the time is over.

    Returns how many versions lost their files. A repository is locked for one slice at a time; another run goes on
    where this one ends.
    """
    ends, expired = monotonic() + seconds, 0
    for rule, repository in _due(ends):
        count = expire(repository, Limits(rule.keep_last, rule.keep_days))
        expired += count
        if count == SLICE:  # there may be more: the rule's next turn is this repository's again
            RetentionRule.objects.filter(pk=rule.pk, reached=repository.pk).update(reached=repository.pk - 1)
    while monotonic() < ends and purge_expired():
        pass
    return expired


def _due(ends: float) -> Iterator[tuple[RetentionRule, Repository]]:
    """Yield a repository of each rule that is due, then the next one of each: no owner waits for another's last."""
    while monotonic() < ends:
        rules = RetentionRule.objects.filter(keep_last__isnull=False, due_at__lte=timezone.now())
        rule = rules.order_by("due_at").first()
        if rule is None:
            return
        repository = _repositories(rule).filter(pk__gt=rule.reached).order_by("pk").first()
        if repository is None:
            RetentionRule.objects.filter(pk=rule.pk).update(due_at=timezone.now() + EVERY, reached=0)
            continue
        RetentionRule.objects.filter(pk=rule.pk).update(reached=repository.pk, due_at=timezone.now())  # behind others
        yield rule, repository


def _repositories(rule: RetentionRule) -> QuerySet[Repository]:
    if rule.repository_id is not None:
        return _served().filter(pk=rule.repository_id)
    return ruled_by_owner(rule.namespace_id)


def ruled_by_owner(namespace: int | None) -> QuerySet[Repository]:
    """Return the repositories to which the rule of their owner (row id) applies."""
    return _served().filter(namespace=namespace, retention__isnull=True)


def _served() -> QuerySet[Repository]:
    return Repository.objects.filter(source="", archived_at=None, quarantined_at=None).select_related("namespace")


def expire(repository: Repository, limits: Limits) -> int:
    """Remove the files of the oldest versions that a rule does not keep, at most SLICE of them; return how many.

    The plan is made under the lock of the repository: a branch, a tag or an alias that is set meanwhile keeps its
    version.
    """
    with transaction.atomic():
        locked = Repository.objects.select_for_update(of=("self",), no_key=True).select_related("namespace")
        current = locked.filter(pk=repository.pk, archived_at=None, quarantined_at=None).first()
        chosen = _cancel_jobs(verbs.plan(current, limits).expiring[:SLICE]) if current else []
        if current is None or not chosen:
            return 0
        _move(RevisionFile, ExpiredFile, chosen)
        Revision.objects.filter(pk__in=chosen).update(expired_at=timezone.now())
        stored_facts.forget(chosen)
        seams.change_pulls(Q(pk=current.pk))
        oids = Revision.objects.filter(pk__in=chosen[:NAMED]).order_by("pk").values_list("oid", flat=True)
        after = {"versions": len(chosen), "first": list(oids)}
        audit.record(None, "retention:expire", current.full_name, about=current, after=after)
    return len(chosen)


def _cancel_jobs(revisions: list[int]) -> list[int]:
    """Delete the jobs that would read the files; return the versions without those that a worker has claimed meanwhile.

    Of the jobs that wait for a base or an engine, some wait for ever.
    """
    Verdict.objects.filter(
        revision__in=revisions, state=Verdict.State.QUEUED
    ).delete()  # nobody claims them from now on
    claimed = Verdict.objects.filter(revision__in=revisions, state=Verdict.State.RUNNING)
    busy = set(claimed.values_list("revision", flat=True))
    unsearched = RevisionFile.objects.filter(revision__in=revisions, is_unsearched=True)
    busy |= set(unsearched.values_list("revision", flat=True))  # what comes back from the bin counts as searched
    idle = [pk for pk in revisions if pk not in busy]
    Comparison.objects.filter(verdict__revision__in=idle).delete()
    PickleScan.objects.filter(revision__in=idle).delete()
    return idle


def purge_expired() -> int:
    """Delete for good files that expired before the days of the bin began, of one repository; return of how many.

    Bytes that nothing else names are gone when it returns. Evidence stays, as in the bin of repositories.
    """
    before = timezone.now() - timedelta(days=retirement.days())
    stored = Exists(ExpiredFile.objects.filter(revision=OuterRef("pk")))
    overdue = Revision.objects.filter(~verbs.is_evidence(), stored, expired_at__lte=before).order_by("expired_at")
    repository = overdue.values_list("repository", flat=True).first()
    if repository is None:
        return 0
    with transaction.atomic():
        row = Repository.with_binned.select_for_update(of=("self",), no_key=True).filter(pk=repository).first()
        chosen = list(overdue.filter(repository=repository).values_list("pk", flat=True)[:SLICE]) if row else []
        files = ExpiredFile.objects.filter(revision__in=chosen)
        blobs = set(files.values_list("blob_id", flat=True))
        files.delete()
        if row is not None:
            _forget_deliveries(row, blobs)
            stored_bytes.recount(row)
    garbage.drop_unnamed(blobs)
    return len(chosen)


def _forget_deliveries(repository: Repository, blobs: set[str]) -> None:
    """Delete the records that these bytes were delivered for a repository none of whose versions names them now."""
    named = Q(Exists(RevisionFile.objects.filter(blob=OuterRef("blob"), revision__repository=repository)))
    binned = Q(Exists(ExpiredFile.objects.filter(blob=OuterRef("blob"), revision__repository=repository)))
    lately = timezone.now() - timedelta(seconds=garbage.GRACE_SECONDS)  # somebody may be pushing them again
    unnamed = UploadedBlob.objects.filter(~named, ~binned, repository=repository, created_at__lt=lately)
    asked = sorted(blobs)
    for at in range(0, len(asked), BATCH):
        unnamed.filter(blob__in=asked[at : at + BATCH]).delete()


# --- taking back -----------------------------------------------------------------------------------------------------
def restorable_until(revision: Revision) -> datetime | None:
    """Return until when the files of an expired version can be taken back; None for one that is whole or gone."""
    if revision.expired_at is None or not revision.expired_files.exists():
        return None
    return revision.expired_at + timedelta(days=retirement.days())


@dataclass(frozen=True, slots=True)
class Restored:
    """The numbers of versions that got their files back, and of those for which there was no time."""

    versions: int
    left: int


def restore(repository: Repository, by: Caller, oid: str = "", *, seconds: float = RESTORE_SECONDS) -> Restored:
    """Give one expired version its files back, or without an id all whose files are in the bin and not blocked.

    It goes from the oldest to the newest in transactions of RESTORED versions, until the time is over: called again it
    goes on. No rule removes the files again. Raises FilesExpired if all are gone, FileBlocked if only blocked ones are
    left, and what policy.require raises for CONFIGURE.
    """
    ends, after, count = monotonic() + seconds, 0, 0
    refusal: RegistryError = FilesExpired(
        f"No files of {f'version {oid[:40]}' if oid else 'versions'} of {repository.full_name} are in the bin.",
        fix="Files can be restored only while they are in the bin.",
    )
    more = True
    while more:
        with transaction.atomic():
            current = policy.require_now(by, Permission.CONFIGURE, repository)
            batch = list(_in_bin(current, oid).filter(pk__gt=after).values_list("pk", flat=True)[:RESTORED])
            blocked = _blocked(batch)
            chosen = [pk for pk in batch if pk not in blocked]
            if chosen:
                _take_back(current, chosen, by, oid)
        count, after = count + len(chosen), max([after, *batch])
        refusal = next(iter(blocked.values()), refusal)
        more = len(batch) == RESTORED and monotonic() < ends
    if not count:
        raise refusal
    return Restored(count, _in_bin(repository, oid).filter(pk__gt=after).count())


def _in_bin(repository: Repository, oid: str) -> QuerySet[Revision]:
    """Return the expired versions whose files can be taken back, the oldest first; of one id, if it is given."""
    stored = Exists(ExpiredFile.objects.filter(revision=OuterRef("pk")))
    versions = repository.revisions.filter(stored, expired_at__isnull=False).order_by("pk")
    return versions.filter(oid=oid) if oid else versions


def _blocked(revisions: list[int]) -> dict[int, RegistryError]:
    """Return the versions among these (row ids) that hold a blocked file, each with its refusal."""
    files = list(ExpiredFile.objects.filter(revision__in=revisions).values_list("revision", "path", "blob_id"))
    reasons = blocked_files.blocked_among({sha256 for *_, sha256 in files})
    return {
        revision: blocked_files.refusal(sha256, reasons[sha256], path)
        for revision, path, sha256 in files
        if sha256 in reasons
    }


def _take_back(repository: Repository, revisions: list[int], by: Caller, oid: str) -> None:
    _move(ExpiredFile, RevisionFile, revisions)
    Revision.objects.filter(pk__in=revisions).update(expired_at=None, is_kept=True)
    _resume_jobs(repository, revisions)
    seams.change_pulls(Q(pk=repository.pk), less=False)
    after = {"versions": len(revisions), "revision": oid}
    audit.record(by.user, "retention:restore", repository.full_name, about=repository, after=after)


def _resume_jobs(repository: Repository, revisions: list[int]) -> None:
    """Queue again what was cancelled before it was done, and let a version that passed be `verified` again.

    The number of queries grows with the adapters that were never proven alone, whose configs are read once more.
    """
    pickle_scans.enqueue(*revisions)
    unproven = Revision.objects.filter(pk__in=revisions, is_part=False, verdicts=None)
    rows_of = list(unproven.select_related("repository__namespace", "author").order_by("pk"))
    trees = pull.entries_of(rows_of)
    described = stored_facts.facts_of({revision: trees[revision.pk] for revision in rows_of})
    for revision in rows_of:
        rows.judged(revision, described[revision])
    verified.move_verified(repository.pk)


def _move(source: type[RevisionFile] | type[ExpiredFile], target: type[AnyFile], revisions: list[int]) -> None:
    """Move the rows of files from one table to the other."""
    columns = ("revision_id", "path", "blob_id", "size", "is_lfs", "git_oid")
    files = source._default_manager.filter(revision__in=revisions)
    for batch in batched(files.values_list(*columns).iterator(), BATCH):
        target._default_manager.bulk_create(target(**dict(zip(columns, row, strict=True))) for row in batch)
    files._raw_delete(files.db)  # no row refers to these


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
    namespace: Namespace, tried: Limits, *, after: int = 0, seconds: float = PREVIEW_SECONDS, most: int = LISTED
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
    for repository in ruled_by_owner(namespace.pk).filter(Exists(old), pk__gt=after).order_by("pk").iterator():
        if looked_at and (monotonic() > ends or len(losses) == most):
            return OwnerPreview(losses, looked_at, after)
        if expired := verbs.plan(repository, tried).expiring:
            freed = sum(verbs.freed_bytes(repository, expired).values())
            losses.append(Loss(repository, len(expired), freed))
        looked_at, after = looked_at + 1, repository.pk
    return OwnerPreview(losses, looked_at, 0)
