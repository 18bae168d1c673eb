"""The owners' override: what measured worse, or adds nothing, becomes `verified` for a reason that all read."""

from django.db import transaction
from django.utils import timezone

from registry.kernel import audit, policy
from registry.kernel.errors import ValueInvalid, VersionNotHeld
from registry.kernel.policy import Caller, Permission
from registry.kernel.texts import names
from registry.models import Regression, Revision
from registry.models.proof.regressions import MAX_REASON
from registry.proof.verified import regressions
from registry.proof.verified.verified import move_verified
from registry.repos import eligibility

LEAST_REASON = 10  # characters: "ok" tells nobody why


def override(revision: Revision, by: Caller, reason: str) -> bool:
    """Let `verified` move to a version that is held back; return False, with the first reason kept, if it may already.

    Raises VersionNotHeld for a version that neither measured worse nor adds nothing, ValueInvalid for a short reason,
    and what policy.require raises for CONFIGURE: who owns the adapter answers for what people get, not everybody who
    pushes.
    """
    with transaction.atomic():
        revision.repository = policy.require_now(by, Permission.CONFIGURE, revision.repository)
        reason = _checked(reason)
        row, because = _held(revision)
        if row.is_overridden:
            return False
        row.override_by, row.override_reason, row.override_at = by.user, reason, timezone.now()
        _change(row, revision, by, "override", because, reason)
    return True


def withdraw(revision: Revision, by: Caller, reason: str = "") -> bool:
    """Take an override back, so that `verified` passes the version by again; return False if there is none.

    Raises VersionNotHeld, ValueInvalid, and what policy.require raises for CONFIGURE.
    """
    reason = names.check_text(reason, "reason", MAX_REASON)
    with transaction.atomic():
        revision.repository = policy.require_now(by, Permission.CONFIGURE, revision.repository)
        row, because = _held(revision)
        if not row.is_overridden:
            return False
        row.override_by, row.override_reason, row.override_at = None, "", None
        _change(row, revision, by, "withdraw", because, reason)
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


def _held(revision: Revision) -> tuple[Regression, str]:
    """Return the row that holds the override, new where there is nothing to compare with, and what it overrides."""
    row = Regression.objects.filter(revision=revision).first()
    verdict = eligibility.last_decided(revision)
    because = eligibility.because_without_override(verdict, row) if verdict else None
    is_overridden = row is not None and row.is_overridden  # also where nothing holds it any more
    if verdict is None or not (is_overridden or because in eligibility.OVERRIDABLE):
        raise VersionNotHeld(
            f"Revision {revision.oid} of {revision.repository.full_name} is not held back from `verified` by what was"
            " measured, which is all that an override lets through.",
            fix="Its verdict says under `verified` what else keeps it from there.",
        )
    first = regressions.FIRST
    new = Regression(revision=revision, verdict=verdict, outcome=first.outcome, result=first.as_json())
    return row or new, because or eligibility.REGRESSION


def _change(row: Regression, revision: Revision, by: Caller, action: str, because: str, reason: str) -> None:
    """Save a changed override, move `verified`, and record both."""
    row.save()
    repository = revision.repository
    move_verified(repository.pk)
    row.refresh_from_db()
    held, stated = not row.is_overridden, row.override_reason or row.result["reason"]
    if because != eligibility.REGRESSION and held:
        stated, _ = eligibility.REASONS[because]
    regressions.record(revision, stated, because, held=held, against=row.against_id, by=by.user)
    audit.record(
        by.user,
        f"regression:{action}",
        f"{repository.full_name}@{revision.oid}",
        about=repository,
        reason=reason,
        before={"held": not held},
        after={"held": held},
    )
