"""The outcomes that a case can have: for which targets, what each does, and the strike that goes with it."""

from collections.abc import Callable
from dataclasses import dataclass

from registry.kernel import policy, seams
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Caller
from registry.models import Case, DiscussionEvent, Repository, Revision, User
from registry.moderation import quarantine, targets
from registry.moderation.strikes import strikes, suspension
from registry.repos import refs

Outcome, Target = Case.Outcome, Case.Target
IN_REPOSITORY = frozenset({Target.REPOSITORY, Target.REVISION, Target.FILE})
IN_DISCUSSIONS = frozenset({Target.DISCUSSION, Target.COMMENT})
EVERYWHERE = frozenset(Target)


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
        raise ValueInvalid("The discussion is gone.", fix="Close the case without action.")
    rows = discussion.events.select_for_update(no_key=True).filter(kind=DiscussionEvent.Kind.COMMENT, hidden=False)
    rows = rows.filter(author=discussion.author) if case.comment is None else rows.filter(pk=case.comment.pk)
    seams.threads().hide(discussion, rows.order_by("pk"), policy.require_moderator(by))


def _hold_version(case: Case, by: Caller, decision: Decision) -> None:
    repository, revision = _repository(case), version(case)
    if revision is None:
        raise ValueInvalid("There is no version to hold back.", fix="Quarantine the whole, or choose another outcome.")
    quarantine.quarantine(repository, by, reason=decision.reason, note=decision.note, revision=revision, case=case)


def _hold(case: Case, by: Caller, decision: Decision) -> None:
    quarantine.quarantine(_repository(case), by, reason=decision.reason, note=decision.note, case=case)


def _take_down(case: Case, by: Caller, decision: Decision) -> None:
    quarantine.take_down(_repository(case), by, reason=decision.reason, note=decision.note, case=case)


def _suspend(case: Case, by: Caller, decision: Decision) -> None:
    person = targets.responsible(case)
    if person is None:
        raise ValueInvalid("No person answers for this.", fix="Choose another outcome.")
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
        raise ValueInvalid("The repository is gone.", fix="Close the case without action.")
    return case.repository
