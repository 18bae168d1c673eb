"""Work on a case: claim it, note something, close it with a decision that takes effect in the same transaction."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from registry.kernel import audit, outbox, policy
from registry.kernel.errors import CaseClosed, CaseNotFound, RegistryError
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller
from registry.kernel.texts import names
from registry.models import Case, CaseNote, User
from registry.moderation import impartiality
from registry.moderation.cases import outcomes
from registry.moderation.cases.outcomes import Decision
from registry.moderation.reasons import MAX_NOTE, check_reason

State, Outcome = Case.State, Case.Outcome
MAX_AT_ONCE = 100


def with_target() -> QuerySet[Case]:
    """Return the query for cases with the rows that they are about."""
    return Case.objects.select_related(
        "repository__namespace__person", "revision__author", "revision__repository__namespace", "discussion__author",
        "discussion__repository__namespace", "comment__author", "namespace__person", "claimed_by", "closed_by",
    )  # fmt: skip


def get_case(number: int, by: Caller) -> Case:
    """Return a case for a moderator. Raises CaseNotFound, and what policy.require_moderator raises."""
    policy.require_moderator(by)
    case = with_target().filter(pk=number).first()
    if case is None:
        raise CaseNotFound(f"There is no case {number}.")
    return case


def claim(case: Case, by: Caller) -> bool:
    """Take a case, also from another moderator; return False if it was the caller's already. Raises CaseClosed."""
    actor = policy.require_moderator(by)
    with transaction.atomic():
        current = _locked(case)
        if current.claimed_by_id == actor.pk:
            return False
        before = current.claimed_by.username if current.claimed_by else None
        current.state, current.claimed_by = State.CLAIMED, actor
        current.save(update_fields=["state", "claimed_by"])
        audit.record(actor, "case:claim", case.label[:255], before=before, after={"case": case.pk})
    return True


def give_back(case: Case, by: Caller) -> bool:
    """Put a claimed case back into the queue; return False if nobody had claimed it. Raises CaseClosed."""
    actor = policy.require_moderator(by)
    with transaction.atomic():
        current = _locked(case)
        if current.claimed_by_id is None:
            return False
        current.state, current.claimed_by = State.OPEN, None
        current.save(update_fields=["state", "claimed_by"])
        audit.record(actor, "case:give-back", case.label[:255], after={"case": case.pk})
    return True


def add_note(case: Case, by: Caller, text: str) -> CaseNote:
    """Write an internal note on a case, also on a closed one. Raises ValueInvalid for an empty one."""
    actor = policy.require_moderator(by)
    return CaseNote.objects.create(case=case, author=actor, text=names.require_text(text, "note", MAX_NOTE))


def close(case: Case, by: Caller, decision: Decision) -> Case:
    """Decide a case: the deed, its log entry, the strike and the end of the case in one transaction.

    Reporters and the owner are told after the commit. Raises CaseClosed, NotAllowed for a moderator's own matter,
    ValueInvalid without a reason or for an outcome that this target cannot have, and what the deed raises; then
    nothing has happened.
    """
    actor = policy.require_moderator(by)
    reason = check_reason(decision.reason)
    with transaction.atomic():
        current = _locked(case)
        impartiality.require_for_case(by, current)
        outcomes.carry_out(current, by, decision)
        current.state, current.outcome, current.answer = State.CLOSED, decision.outcome, reason
        current.closed_by, current.closed_at = actor, timezone.now()
        current.save(update_fields=["state", "outcome", "answer", "closed_by", "closed_at"])
        current.reports.update(upheld=decision.outcome != Outcome.NO_ACTION)
        if decision.note:
            add_note(current, by, decision.note)
        after = {"case": case.pk, "outcome": decision.outcome}
        audit.record(actor, "case:close", case.label[:255], reason=reason, note=decision.note, after=after)
        outbox.record(Kind.CASE_CLOSED, None, actor, case=case.pk)
    return current


def close_many(numbers: Sequence[int], by: Caller, decision: Decision) -> tuple[list[Case], list[tuple[int, str]]]:
    """Close several cases with one decision, each in a transaction of its own.

    Returns the closed ones, and number and sentence of each that could not be closed.
    """
    policy.require_moderator(by)
    closed: list[Case] = []
    refused: list[tuple[int, str]] = []
    for number in numbers[:MAX_AT_ONCE]:
        try:
            closed.append(close(get_case(number, by), by, decision))
        except RegistryError as refusal:
            refused.append((number, refusal.detail))
    return closed, refused


def own_reports(user: User) -> QuerySet[Case]:
    """Return the cases that somebody reported, with what came of them, newest first."""
    return Case.objects.filter(reports__reporter=user).order_by("-pk")


def _locked(case: Case) -> Case:
    """Return the current row of a case under a lock. Raises CaseClosed, and CaseNotFound for one that is gone."""
    current = with_target().select_for_update(of=("self",), no_key=True).filter(pk=case.pk).first()
    if current is None:
        raise CaseNotFound(f"There is no case {case.pk}.")
    if current.state == State.CLOSED:
        who = current.closed_by.username if current.closed_by else "somebody"
        raise CaseClosed(f"Case {case.pk} was closed by {who}: {current.get_outcome_display().lower()}.")
    return current
