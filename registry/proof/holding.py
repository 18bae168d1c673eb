"""Hold repositories and revisions back, and release them: the state that every read path checks, and its ruling.

The hub holds a revision by itself here; moderators act by registry/moderation/quarantine.py.
"""

from django.db import transaction
from django.utils import timezone

from registry.kernel import audit, outbox
from registry.kernel.outbox import Kind
from registry.models import ModerationDecision, Repository, Revision, User
from registry.repos import refs

MAX_REASON = 500
Action = ModerationDecision.Action


def hold(revision: Revision, reason: str) -> bool:
    """Hold a revision back in the hub's own name; return False if it is held already or a moderator released it."""
    if revision.decisions.filter(action=Action.RELEASE).exists():
        return False
    return decide(revision, Action.QUARANTINE, None, reason[:MAX_REASON], "")


def hold_like(revision: Revision, like: Revision) -> bool:
    """Hold a revision back for the reason that another one with the same files is held back for, if that one is."""
    ruling = like.decisions.filter(action=Action.QUARANTINE).order_by("-id").first()
    is_held = ruling is not None and Revision.objects.filter(pk=like.pk, quarantined_at__isnull=False).exists()
    return is_held and ruling is not None and hold(revision, ruling.reason)


def decide(target: Repository | Revision, action: Action, by: User | None, reason: str, note: str) -> bool:
    revision = target if isinstance(target, Revision) else None
    repository = target.repository if isinstance(target, Revision) else target
    holds = action is Action.QUARANTINE
    at = timezone.now() if holds else None
    with transaction.atomic():
        # Locked first, as pushes do: main may be about to move, and a statement that waits still sees the old refs.
        Repository.objects.select_for_update().filter(pk=repository.pk).values_list("pk").first()
        # The condition decides between two who act at once: one ruling, one event.
        row = type(target)._default_manager.filter(pk=target.pk, quarantined_at__isnull=holds)
        if not row.update(quarantined_at=at):
            return False
        Repository.objects.filter(pk=repository.pk).update(is_main_held=refs.main_is_held())
        ModerationDecision.objects.create(
            repository=repository, revision=revision, action=action, reason=reason, note=note, by=by
        )
        kind = Kind.QUARANTINED if holds else Kind.RELEASED
        outbox.record(kind, repository, by, revision=revision.oid if revision else "")
        what = f"{repository.full_name}@{revision.oid}" if revision else repository.full_name
        audit.record(
            by,
            f"{'revision' if revision else 'adapter'}:{action}",
            what,
            about=repository,
            reason=reason,
            note=note,
            before={"quarantined": not holds},
            after={"quarantined": holds},
        )
    target.quarantined_at = at
    return True
