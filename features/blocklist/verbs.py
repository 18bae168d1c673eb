"""Block files by their sha256: refuse them from now on, and hold back every revision that holds one already.

The block itself marks these revisions, by its own time in `quarantined_at`, so that no road serves them from then on;
the sweep writes a decision on each.

A file that holds the tensors of a blocked one under another header counts as that one.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from registry.bytes import tensor_digests
from registry.kernel import audit, policy, seams
from registry.kernel.errors import ItemNotFound, ValueInvalid
from registry.kernel.seams import Feature
from registry.kernel.texts import names
from registry.models import BlockedFile, ModerationDecision, Revision, User
from registry.moderation.findings import BLOCKED_FILE
from registry.proof.verified import withdrawals

MAX_REASON = 300
MAX_NOTE = 10_000
MOST_AT_ONCE = 1000
SWEPT_AT_ONCE = 200  # revisions of one run of the sweep
# A push that began before a digest was blocked may be committed after the sweep; it takes minutes at most.
AGAIN_FOR = timedelta(minutes=15)
Action = ModerationDecision.Action


def block(digests: Iterable[str], by: policy.Caller | None, *, reason: str, note: str = "") -> list[str]:
    """Block digests and return those that were not blocked before; `by=None` is the operator at the command line.

    Raises ValueInvalid for what is no sha256 and without a reason, and what policy.require_moderator raises.
    """
    actor = policy.require_moderator(by) if by else None
    reason, note = names.check_text(reason, "reason", MAX_REASON), names.check_text(note, "note", MAX_NOTE)
    if not reason:
        raise ValueInvalid("A reason is needed.", fix="Say in a sentence why; a person who pushes the file reads it.")
    wanted = sorted({_check_digest(text) for text in digests})
    if not wanted:
        raise ValueInvalid("There is no sha256 to block.", fix="Write one digest a line.")
    if by and len(wanted) > MOST_AT_ONCE:
        raise ValueInvalid(f"{len(wanted):,} digests at once.", fix=f"Block at most {MOST_AT_ONCE:,}.")
    return [sha256 for sha256 in wanted if _block(sha256, actor, reason, note)]


def _block(sha256: str, actor: User | None, reason: str, note: str) -> bool:
    name = actor.username if actor else "system"
    with transaction.atomic():
        row, is_new = BlockedFile.objects.get_or_create(
            sha256=sha256,
            defaults={"reason": reason, "note": note, "by": name, "tensors": tensor_digests.known(sha256)},
        )
        if is_new:
            _mark(row, to=row.at)
            audit.record(actor, "file:block", sha256, reason=reason, note=note, after={"blocked": True})
    return is_new


def _mark(row: BlockedFile, *, to: datetime | None) -> None:
    """Mark the revisions with a file that the sweep has to decide on, or take the marks away, in a transaction."""
    marked = Revision.objects.filter(files__blob__in=_files_of(row), quarantined_at=None if to else row.at)
    revisions = list(marked.values_list("pk", "repository").distinct())
    seams.change_pulls(Q(pk__in={repository for _, repository in revisions}), less=to is not None)
    Revision.objects.filter(pk__in=[pk for pk, _ in revisions]).update(quarantined_at=to)


def unblock(sha256: str, by: policy.Caller) -> None:
    """Take a digest off the list; what a sweep has held back for it stays so until a moderator releases it.

    Raises ItemNotFound, and what policy.require_moderator raises.
    """
    actor = policy.require_moderator(by)
    with transaction.atomic():
        row = BlockedFile.objects.select_for_update().filter(sha256=sha256).first()
        if row is None:
            raise ItemNotFound(f"{sha256[:80]!r} is not blocked.")
        _mark(row, to=None)
        row.delete()
        audit.record(actor, "file:unblock", sha256, before={"reason": row.reason, "by": row.by}, after=None)


def listed(sha256: str = "") -> QuerySet[BlockedFile]:
    """Return the blocked files, newest first; those whose digest begins with a text."""
    return BlockedFile.objects.filter(sha256__startswith=sha256).order_by("-pk")


def sweep() -> int:
    """Hold back a bounded number of revisions that hold a blocked file; beat calls this until none is left."""
    held = 0
    recent = timezone.now() - AGAIN_FOR
    for row in BlockedFile.objects.filter(Q(swept_at__isnull=True) | Q(at__gt=recent)).order_by("pk"):
        left = SWEPT_AT_ONCE - held
        row.tensors = row.tensors or tensor_digests.known(row.sha256)  # learned while the block was written
        revisions = list(_revisions_with(row)[:left])
        count = sum(_hold(revision, row) for revision in revisions)
        held += count
        changed: dict[str, object] = {"held": F("held") + count, "tensors": row.tensors}
        if len(revisions) < left:
            changed["swept_at"] = timezone.now()
        BlockedFile.objects.filter(pk=row.pk).update(**changed)
        if len(revisions) == left:
            break
    return held


def _files_of(row: BlockedFile) -> list[str]:
    return [row.sha256, *tensor_digests.files_with(row.tensors)]


def _revisions_with(row: BlockedFile) -> QuerySet[Revision]:
    """Return the revisions that hold the file and have no decision; not those that a moderator released since."""
    released = ModerationDecision.objects.filter(action=Action.RELEASE, at__gte=row.at, revision__isnull=False)
    undecided = Q(quarantined_at__isnull=True) | Q(quarantined_at=row.at)
    revisions = Revision.objects.filter(undecided, files__blob__in=_files_of(row)).distinct()
    return revisions.exclude(pk__in=released.values("revision")).select_related("repository__namespace").order_by("pk")


def _hold(revision: Revision, row: BlockedFile) -> bool:
    is_same = revision.files.filter(blob=row.sha256).exists()
    what = "a file that is" if is_same else "the tensors of a file that is"
    reason = f"It holds {what} blocked on this hub ({row.sha256[:12]}…): {row.reason}"
    with transaction.atomic():
        withdrawals.lock(revision.repository)
        Revision.objects.filter(pk=revision.pk, quarantined_at=row.at).update(quarantined_at=None)
        return withdrawals.decide(
            revision, Action.QUARANTINE, None, reason[: withdrawals.MAX_REASON], row.note, finding=BLOCKED_FILE
        )


def _check_digest(text: str) -> str:
    digest = text.strip().lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ValueInvalid(f"{text.strip()[:80]!r} is not a sha256.", fix="Write 64 hex digits, one digest a line.")
    return digest


FEATURE = Feature(every_minute=(sweep,))
