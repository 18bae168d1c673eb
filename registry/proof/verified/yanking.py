"""Yank a revision and take a yank back: its owners advise against it, and nothing leads to it by itself any more.

A yanked revision is never `verified`, and lists leave an adapter out whose main is yanked. Its commit id and its tags
still serve it, so that nobody who pinned it is broken; registry/repos/pull.py resolves names so.
"""

from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from registry.kernel import audit, outbox, policy
from registry.kernel.errors import ValueInvalid
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller, Permission
from registry.kernel.texts import names
from registry.models import Ref, Revision
from registry.proof.verified import regressions
from registry.proof.verified.good_revisions import read_good_revisions
from registry.proof.verified.verified import move_verified
from registry.repos import refs

MAX_REASON = 500


def yank(revision: Revision, by: Caller, reason: str) -> bool:
    """Yank a revision for a reason that everybody sees; return False, with the first reason kept, if it is already.

    Raises ValueInvalid without a reason, and what policy.require raises for PUSH.
    """
    reason = names.check_text(reason, "reason", MAX_REASON)
    if not reason:
        raise ValueInvalid("A yank needs a reason.", fix="Say in a sentence what is wrong with it.")
    return _change(revision, by, reason, is_yank=True)


def unyank(revision: Revision, by: Caller, reason: str = "") -> bool:
    """Take a yank back; return False if there is none. Raises ValueInvalid, and what policy.require raises for PUSH."""
    return _change(revision, by, names.check_text(reason, "reason", MAX_REASON), is_yank=False)


@dataclass(frozen=True, slots=True)
class Consequences:
    """The names that lead to a revision now, and whether another one is left: all that a yank of it changes for others.

    Tags lead to it afterwards too; `aliases` fall back, or name nothing if no other one passed.
    """

    is_main: bool
    is_verified: bool
    aliases: list[str]
    tags: list[str]
    has_other: bool  # another revision in the history of main passed and is served


def consequences(revision: Revision) -> Consequences:
    """Return what a yank of this revision would change; three queries."""
    named = Ref.objects.filter(repository=revision.repository_id).values_list("name", "revision")
    at = dict(named.order_by("name"))
    repository = revision.repository_id
    good = regressions.with_passed_by(read_good_revisions(repository), regressions.comparisons_of(repository))
    others = set(good.history(at.get(refs.MAIN))) - {revision.pk}
    leading = [name for name, pk in at.items() if pk == revision.pk]
    return Consequences(
        refs.MAIN in leading,
        refs.VERIFIED in leading,
        [refs.short_name(name) for name in leading if name.startswith(refs.ALIASES)],
        [refs.short_name(name) for name in leading if name.startswith(refs.TAGS)],
        any(good.is_served(pk) and pk not in good.passed_by for pk in others),
    )


def carry(old: Revision, new: Revision) -> None:
    """Yank a commit that replaces a yanked one in the same repository, in the caller's transaction."""
    if old.yanked_at is not None and old.repository_id == new.repository_id:
        new.yanked_at, new.yank_reason = old.yanked_at, old.yank_reason
        new.save(update_fields=["yanked_at", "yank_reason"])


def _change(revision: Revision, by: Caller, reason: str, *, is_yank: bool) -> bool:
    before = revision.yank_reason
    at, kept = (timezone.now(), reason) if is_yank else (None, "")
    with transaction.atomic():
        repository = policy.require_now(by, Permission.PUSH, revision.repository)
        row = Revision.objects.filter(pk=revision.pk, yanked_at__isnull=is_yank)
        if not row.update(yanked_at=at, yank_reason=kept):
            return False
        move_verified(repository.pk)
        kind, action = (Kind.YANKED, "yank") if is_yank else (Kind.UNYANKED, "unyank")
        outbox.record(kind, repository, by.user, revision=revision.oid, reason=reason)
        audit.record(
            by.user,
            f"revision:{action}",
            f"{repository.full_name}@{revision.oid}",
            about=repository,
            reason=reason,
            before={"yanked": before or None},
            after={"yanked": kept or None},
        )
    revision.yanked_at, revision.yank_reason = at, kept
    return True
