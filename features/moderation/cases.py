"""Work on a case: claim it, note something, close it with a decision that takes effect in the same transaction.

DEEDS are the outcomes that a case can have: for which targets, what each does, and the strike that goes with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from features.moderation import strikes, targets
from features.moderation.models import CaseNote
from registry.kernel import audit, outbox, policy, seams
from registry.kernel.errors import Conflict, Missing, RegistryError, ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.texts import names
from registry.models import Case, DiscussionEvent, Membership, Repository, Revision, User
from registry.moderation import quarantine, suspension
from registry.repos import refs

Outcome, State, Target = Case.Outcome, Case.State, Case.Target
MAX_AT_ONCE = 100
IN_REPOSITORY = frozenset({Target.REPOSITORY, Target.REVISION, Target.FILE})
IN_DISCUSSIONS = frozenset({Target.DISCUSSION, Target.COMMENT})
EVERYWHERE = frozenset(Target)


class CaseNotFound(Missing):
    code = "case-not-found"
    default_fix = "Look in the queue at /moderation for the cases that exist."


class CaseClosed(Conflict):
    code = "case-closed"
    default_fix = "Open it to see what was decided; a new report of the same thing opens a new case."


@dataclass(frozen=True)
class Decision:
    """The decision of a moderator: the outcome, the reason that people read, and a note for moderators."""

    outcome: str
    reason: str
    note: str = ""
    strike: bool = False  # whether the responsible person gets a strike


@dataclass(frozen=True)
class Deed:
    """The act of an outcome, the targets for which it exists, and the points of its strike."""

    targets: frozenset[Case.Target]
    act: Callable[[Case, Caller, Decision], None]
    points: int = 0
    is_final: bool = False  # cannot be undone: the page asks for the name and for the password again


def _nothing(case: Case, by: Caller, decision: Decision) -> None:
    """Change nothing but the case."""


def _hide(case: Case, by: Caller, decision: Decision) -> None:
    """Hide the comment, or all comments by the person who opened the discussion."""
    discussion = case.discussion
    if discussion is None:
        raise ValueInvalid("The discussion was deleted.", fix="Close the case without action.")
    rows = discussion.events.select_for_update(no_key=True).filter(kind=DiscussionEvent.Kind.COMMENT, hidden=False)
    rows = rows.filter(author=discussion.author) if case.comment is None else rows.filter(pk=case.comment.pk)
    seams.threads().hide(discussion, rows.order_by("pk"), policy.require_moderator(by))


def _hold_version(case: Case, by: Caller, decision: Decision) -> None:
    repository, revision = _repository(case), version(case)
    if revision is None:
        raise ValueInvalid(
            "The case names no version.", fix="Quarantine the whole repository, or choose another outcome."
        )
    quarantine.quarantine(repository, by, reason=decision.reason, note=decision.note, revision=revision, case=case)


def _hold(case: Case, by: Caller, decision: Decision) -> None:
    quarantine.quarantine(_repository(case), by, reason=decision.reason, note=decision.note, case=case)


def _take_down(case: Case, by: Caller, decision: Decision) -> None:
    quarantine.take_down(_repository(case), by, reason=decision.reason, note=decision.note, case=case)


def _suspend(case: Case, by: Caller, decision: Decision) -> None:
    person = targets.responsible(case)
    if person is None:
        raise ValueInvalid("This has no owner who could get a strike.", fix="Choose another outcome.")
    suspension.suspend(person, by, reason=decision.reason, note=decision.note)


DEEDS: dict[str, Deed] = {
    Outcome.NO_ACTION: Deed(EVERYWHERE, _nothing),
    Outcome.WARNED: Deed(EVERYWHERE, _nothing, points=1),
    Outcome.HIDDEN: Deed(IN_DISCUSSIONS, _hide, points=1),
    Outcome.HELD_VERSION: Deed(IN_REPOSITORY, _hold_version, points=1),
    Outcome.HELD: Deed(IN_REPOSITORY, _hold, points=1),
    Outcome.TAKEN_DOWN: Deed(IN_REPOSITORY, _take_down, points=2, is_final=True),
    Outcome.SUSPENDED: Deed(EVERYWHERE - {Target.ORGANIZATION}, _suspend, is_final=True),
}


def possible(case: Case) -> list[Case.Outcome]:
    """Return the outcomes that a case can have, the mildest first."""
    deeds = [Outcome(name) for name, deed in DEEDS.items() if case.target in deed.targets]
    gone = case.repository is None and case.target not in (Target.PERSON, Target.ORGANIZATION)
    return [Outcome.NO_ACTION] if gone else deeds


def version(case: Case) -> Revision | None:
    """Return the version that a case is about: the one that was reported, else what main points to."""
    if case.revision is not None or case.repository is None:
        return case.revision
    main = refs.main_revisions([case.repository]).get(case.repository.pk)
    if main is not None:
        main.repository = case.repository
    return main


def confirmation(case: Case, outcome: str) -> str:
    """Return the name that must be typed before an outcome that cannot be undone; "" for the others."""
    if outcome == Outcome.SUSPENDED:
        person = targets.responsible(case)
        return person.username if person else ""
    return case.repository.full_name if outcome == Outcome.TAKEN_DOWN and case.repository else ""


def carry_out(case: Case, by: Caller, decision: Decision) -> None:
    """Do what a decision says, in the caller's transaction. Raises ValueInvalid for an outcome that does not fit."""
    if decision.outcome not in possible(case):
        raise ValueInvalid(
            f"A case about a {case.get_target_display().lower()} cannot end with {decision.outcome!r}.",
            fix=f"Use one of {', '.join(possible(case))}.",
        )
    deed = DEEDS[decision.outcome]
    person = targets.responsible(case)
    deed.act(case, by, decision)
    if decision.strike and deed.points and person is not None and person.role == User.Role.USER:
        strikes.give(person, decision.reason, case=case, by=policy.require_moderator(by), points=deed.points)


def _repository(case: Case) -> Repository:
    if case.repository is None:
        raise ValueInvalid("The repository was deleted.", fix="Close the case without action.")
    return case.repository


def with_target() -> QuerySet[Case]:
    """Return the query for cases with the rows that they are about."""
    return Case.objects.select_related(
        *("repository__namespace__person", "revision__author", "revision__repository__namespace"),
        *("discussion__author", "discussion__repository__namespace", "comment__author"),
        *("namespace__person", "claimed_by", "closed_by"),
    )


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
    return CaseNote.objects.create(case=case, author=actor, text=names.require_text(text, "note", quarantine.MAX_NOTE))


def close(case: Case, by: Caller, decision: Decision) -> Case:
    """Decide a case: the deed, its log entry, the strike and the end of the case in one transaction.

    Reporters and the owner are told after the commit. Raises CaseClosed, NotAllowed for a moderator's own matter,
    ValueInvalid without a reason or for an outcome that this target cannot have, and what the deed raises; then
    nothing has happened.
    """
    actor = policy.require_moderator(by)
    reason = quarantine.check_reason(decision.reason)
    with transaction.atomic():
        current = _locked(case)
        _require_impartial(by, current)
        carry_out(current, by, decision)
        current.state, current.outcome, current.answer = State.CLOSED, decision.outcome, reason
        current.closed_by, current.closed_at = actor, timezone.now()
        current.save(update_fields=["state", "outcome", "answer", "closed_by", "closed_at"])
        current.reports.update(upheld=decision.outcome != Outcome.NO_ACTION)
        if decision.note:
            add_note(current, by, decision.note)
        after = {"case": case.pk, "outcome": decision.outcome}
        audit.record(actor, "case:close", case.label[:255], reason=reason, note=decision.note, after=after)
        outbox.record(outbox.Kind.CASE_CLOSED, None, actor, case=case.pk)
    return current


def _require_impartial(by: Caller, case: Case) -> None:
    """Raise NotAllowed for a moderator who wrote what a case is about, may write there, or administers it."""
    is_author = targets.responsible(case) == by.user
    repository = case.repository if case.target in IN_REPOSITORY else None
    is_writer = repository is not None and policy.may_write(by, repository)
    organization = case.namespace_id if case.target == Target.ORGANIZATION else None
    administers = organization is not None and by.roles.get(organization) == Membership.Role.ADMIN
    if (is_author or is_writer or administers) and not policy.is_hub_admin(by):
        raise quarantine.own_matter(f"Case {case.pk}")


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
