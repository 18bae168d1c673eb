"""A push is one, also where its client sends it in several commits: one verdict and one event, for the last commit.

A client announces the files of a push before it commits them. So a commit after which announced files are missing is
not the last one. docs/decisions/10-a-push-is-one.md says why this is better than the messages that clients write.
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from registry.kernel import outbox, refusals
from registry.kernel.policy import Caller
from registry.models import OpenPush, Ref, Repository, Revision, User, Verdict
from registry.proof.verdicts import requests
from registry.repos.manifest import Entry
from registry.repos.refs import PULL_REQUESTS

# huggingface_hub announces 256 files at a time, begins with commits of 250, and writes "(part 2)" behind the title.
ANNOUNCED_AT_ONCE, FIRST_COMMIT = 256, 250
COMMIT_SIZES = frozenset({20, 50, 75, 100, 125, 200, 250, 400, 600, 1000})  # it tries these after a refused commit too
PART = re.compile(r" \(part [0-9]+\)$")
BRIEF_SECONDS = 15  # of silence, where the files that did not come are most likely unchanged
NOTE_SECONDS = 5
FORGET = timedelta(days=1)
ANNOUNCED = ("heard_at", "is_announced", "first_path", "announced", "expected", "doubtful")  # columns
MOMENT = timedelta(seconds=4)
T = TypeVar("T")


@dataclass(frozen=True)
class Commit:
    """A commit that has landed: `ref` points to it, `was` is what the ref pointed to before."""

    ref: Ref
    was: Revision
    verdict: Verdict | None
    by: User
    title: str
    before: Mapping[str, Entry] | None  # None: no client sent it, as with a merge
    after: Mapping[str, Entry]
    makes_ref: bool = False


def lane(ref: str, *, propose: bool = False) -> str:
    """Return under which name a person's push to this ref is followed."""
    return PULL_REQUESTS if propose or ref.startswith(PULL_REQUESTS) else ref


def expect(
    repository: Repository, lane: str, by: User, coming: Mapping[str, int], current: Mapping[str, Entry]
) -> None:
    """Note that a client announced files (path: size) on top of the current ones. Raises RepositoryNotFound."""
    sizes = {path: entry.size for path, entry in current.items()}
    doubtful = sum(sizes.get(path) == size for path, size in coming.items())
    try:
        _expect(repository, lane, by, list(coming), doubtful)
    except IntegrityError:  # another announcement of the same push made the row meanwhile, or the repository is gone
        if not Repository.objects.filter(pk=repository.pk).exists():
            raise refusals.repository_not_found(repository.full_name) from None
        _expect(repository, lane, by, list(coming), doubtful)


def _expect(repository: Repository, lane: str, by: User, coming: Sequence[str], doubtful: int) -> None:
    with transaction.atomic():
        found = OpenPush.objects.select_for_update().filter(repository=repository, by=by, lane=lane)
        row = found.first() or OpenPush(repository=repository, by=by, lane=lane)
        if row.is_announced or row.first_path in coming or _is_stale(row):  # the client was started again
            row.announced = row.expected = row.doubtful = 0
        if not row.announced:
            row.first_path = next(iter(coming), "")
        row.is_announced = len(coming) < ANNOUNCED_AT_ONCE
        row.announced += len(coming)
        row.expected += len(coming) - doubtful
        row.doubtful += doubtful
        row.heard_at = timezone.now()
        row.save(update_fields=None if row.pk is None else ANNOUNCED)


def hear(repository: Repository, by: Caller) -> None:
    """Note a sign of life of a client that sends something; one that was heard a moment ago costs no write."""
    if by.user is None:
        return
    now = timezone.now()
    mine = OpenPush.objects.filter(repository=repository, by=by.user)
    if mine.filter(heard_at__lt=now - MOMENT).exists():
        mine.update(heard_at=now)


def listen(pieces: Iterator[T], repository: Repository, by: Caller) -> Iterator[T]:
    """Yield the pieces of a request, and note a sign of life while they arrive: a slow commit takes minutes."""
    next_note = 0.0
    for piece in pieces:
        if time.monotonic() >= next_note:
            hear(repository, by)
            next_note = time.monotonic() + NOTE_SECONDS
        yield piece


def follow(commit: Commit) -> None:
    """Let a commit end its push, or wait for the next one; call it under the repository's lock, once it has landed."""
    ref = commit.ref
    pushes = list(OpenPush.objects.filter(repository=ref.repository_id))
    open_here = [push for push in pushes if (push.ref, push.revision_id) == (ref.name, commit.was.pk)]
    own = _own(commit, pushes)
    seconds = _settle_accounts(own, commit) if own else 0
    others = [push for push in open_here if push != own]
    if open_here:
        Revision.objects.filter(pk=commit.was.pk).update(is_part=True)
        requests.drop_postponed(commit.was)
    for push in others:  # somebody else commits on top of a half: that is a half too
        push.revision = ref.revision
        push.save(update_fields=["revision"])
    before = None if commit.makes_ref else commit.was
    if own and own in open_here:
        before = own.before
    if own and seconds:
        own.ref, own.revision, own.before = ref.name, ref.revision, before
        own.patience, own.heard_at = seconds, timezone.now()
        own.save()
    else:
        if own:
            own.delete()
        announce(ref, before, commit.by)
    if commit.verdict and (seconds or others):
        requests.postpone(commit.verdict)


def announce(ref: Ref, before: Revision | None, by: User | None) -> None:
    """Record that a push moved a ref; `before` is None if it made the ref."""
    moved = {"ref": ref.name, "old": before.oid if before else None, "new": ref.revision.oid}
    outbox.record(outbox.Kind.REF_MOVED, ref.repository, by, **moved, is_push=True)


def sweep() -> int:
    """End the pushes whose client has been silent for too long; return their number."""
    now = timezone.now()
    OpenPush.objects.filter(patience=0, heard_at__lt=now - FORGET).delete()
    return sum(_end(push) for push in OpenPush.objects.filter(patience__gt=0) if _is_over(push))


def _own(commit: Commit, pushes: Iterable[OpenPush]) -> OpenPush | None:
    """Return the push that this commit belongs to; None if its client announced nothing."""
    if commit.before is None:
        return None
    place = commit.by.pk, lane(commit.ref.name)
    push = next((push for push in pushes if (push.by_id, push.lane) == place), None)
    if push is None:
        return None
    if push.revision_id not in (None, commit.was.pk):  # of another pull request, or the ref was moved meanwhile
        _end(push, keep=True)
        push.refresh_from_db()
    if push.revision is None and _is_stale(push):
        push.delete()
        return None
    return push


def _settle_accounts(push: OpenPush, commit: Commit) -> int:
    """Subtract the files that came; return for how many seconds of silence the others are waited for, or 0."""
    old = commit.before or {}
    came = {path: entry for path, entry in commit.after.items() if old.get(path) != entry}
    doubtful = sum(path in old and old[path].size == entry.size for path, entry in came.items())
    push.expected = max(0, push.expected - (len(came) - doubtful))
    push.doubtful = max(0, push.doubtful - doubtful)
    if push.expected:
        return int(settings.PUSH_QUIET_SECONDS)
    is_piece = len(came) in COMMIT_SIZES or push.announced >= FIRST_COMMIT or PART.search(commit.title)
    return min(BRIEF_SECONDS, int(settings.PUSH_QUIET_SECONDS)) if push.doubtful and is_piece else 0


def _is_stale(push: OpenPush) -> bool:
    return push.heard_at < timezone.now() - timedelta(seconds=settings.PUSH_QUIET_SECONDS)


def _is_over(push: OpenPush) -> bool:
    return push.heard_at + timedelta(seconds=push.patience) <= timezone.now()


def _end(push: OpenPush, *, keep: bool = False) -> bool:
    """End a push that broke off with its last commit; return False if it went on meanwhile.

    With `keep` it ends in any case, and its row stays for what its client announced since.
    """
    with transaction.atomic():
        Repository.with_binned.select_for_update(no_key=True).filter(pk=push.repository_id).values_list("pk").first()
        row = OpenPush.objects.select_related("repository__namespace", "before", "revision", "by").filter(pk=push.pk)
        ended = row.first()
        if ended is None or ended.revision is None or not (keep or _is_over(ended)):
            return False
        last = ended.revision
        if ended.expected and not keep:
            Revision.objects.filter(pk=last.pk).update(is_part=True, files_missing=ended.expected)
        if not OpenPush.objects.filter(ref=ended.ref, revision=last).exclude(pk=ended.pk).exists():
            requests.resume(last)
        announce(Ref(repository=ended.repository, name=ended.ref, revision=last), ended.before, ended.by)
        if keep:
            row.update(ref="", before=None, revision=None, patience=0)
        else:
            ended.delete()
    return True
