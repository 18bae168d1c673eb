"""The owners' override: a version that measured worse becomes `verified` all the same, for a reason that all read."""

from django.db import transaction
from django.utils import timezone

from registry.kernel import audit, names, policy
from registry.kernel.errors import ValueInvalid, VersionNotHeld
from registry.kernel.policy import Caller, Permission
from registry.models import Regression, Repository, Revision
from registry.models.regressions import MAX_REASON
from registry.proof import regressions
from registry.proof.verified import move_verified

LEAST_REASON = 10  # characters: "ok" tells nobody why


def override(revision: Revision, by: Caller, reason: str) -> bool:
    """Let `verified` move to a version that is held back; return False, with the first reason kept, if it may already.

    Raises VersionNotHeld for a version that is not worse, ValueInvalid for a short reason, and what policy.require
    raises for CONFIGURE: who owns the adapter answers for what people get, not everybody who pushes.
    """
    with transaction.atomic():
        repository = policy.require_now(by, Permission.CONFIGURE, revision.repository)
        reason = _checked(reason)
        row = _regression(revision)
        if row.is_overridden:
            return False
        row.override_by, row.override_reason, row.override_at = by.user, reason, timezone.now()
        _change(row, repository, by, "override", reason)
    return True


def withdraw(revision: Revision, by: Caller, reason: str = "") -> bool:
    """Take an override back, so that `verified` passes the version by again; return False if there is none.

    Raises VersionNotHeld, ValueInvalid, and what policy.require raises for CONFIGURE.
    """
    reason = names.check_text(reason, "reason", MAX_REASON)
    with transaction.atomic():
        repository = policy.require_now(by, Permission.CONFIGURE, revision.repository)
        row = _regression(revision)
        if not row.is_overridden:
            return False
        row.override_by, row.override_reason, row.override_at = None, "", None
        _change(row, repository, by, "withdraw", reason)
    return True


def _checked(reason: str) -> str:
    reason = names.check_text(reason, "reason", MAX_REASON)
    if len(reason) < LEAST_REASON:
        raise ValueInvalid(
            f"An override needs a reason of at least {LEAST_REASON} characters.",
            fix="Say in a sentence why the worse number is right, as in `The new rows of label 3 are harder`.",
            field="reason",
        )
    return reason


def _regression(revision: Revision) -> Regression:
    row = Regression.objects.filter(revision=revision, outcome=Regression.Outcome.WORSE).first()
    if row is None:
        raise VersionNotHeld(
            f"Revision {revision.oid} of {revision.repository.full_name} is not held back from `verified`: no verified"
            " version before it measured better beyond chance."
        )
    return row


def _change(row: Regression, repository: Repository, by: Caller, action: str, reason: str) -> None:
    """Save a changed override, move `verified`, and record both."""
    row.save(update_fields=["override_by", "override_reason", "override_at"])
    move_verified(repository.pk)
    regressions.record(row, by.user)
    audit.record(
        by.user,
        f"regression:{action}",
        f"{repository.full_name}@{row.revision.oid}",
        about=repository,
        reason=reason,
        before={"held": not row.is_held},
        after={"held": row.is_held},
    )
