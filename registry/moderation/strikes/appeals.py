"""Appeals: an owner asks to release what is held back, both sides write, a moderator approves or rejects."""

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from registry.kernel import audit, outbox, policy, refusals
from registry.kernel.errors import AppealClosed, AppealNotFound, NotAllowed, TakenDown, ValueInvalid
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller
from registry.kernel.texts import names
from registry.models import Appeal, AppealMessage, ModerationDecision, Repository, Revision, User
from registry.moderation import quarantine
from registry.moderation.reasons import MAX_REASON, check_reason
from registry.moderation.strikes import strikes
from registry.moderation.strikes.appeal_answers import answer
from registry.proof.verified import withdrawals

MAX_TEXT = 10_000
MAX_MESSAGES = 200  # in one appeal
Action = ModerationDecision.Action


def open_appeal(repository: Repository, by: Caller, text: str, *, revision: Revision | None = None) -> Appeal:
    """Appeal against what holds a repository, or one revision of it, back; the caller's open appeal takes the text.

    Raises RepositoryNotFound for who may not write there, ValueInvalid for what is not held back or an empty text, and
    TakenDown.
    """
    person = policy.require_person(by, "appeal", publishes=False)
    if not policy.may_write(by, repository):
        raise refusals.repository_not_found(repository.full_name)
    held = revision or repository
    decision = withdrawals.decision_in_force(held) if held.is_quarantined else None
    if decision is None:
        raise ValueInvalid(f"{repository.full_name} is not held back.", fix="There is nothing to appeal against.")
    if decision.action == Action.TAKEDOWN:
        raise TakenDown(f"{repository.full_name} was taken down: {decision.reason}")
    text = names.require_text(text, "text", MAX_TEXT)
    try:
        with transaction.atomic():
            appeal = Appeal.objects.create(decision=decision, user=person)
            audit.record(person, "appeal:open", repository.full_name, after={"appeal": appeal.pk})
    except IntegrityError:  # theirs is open already
        appeal = Appeal.objects.get(decision=decision, user=person, state=Appeal.State.OPEN)
    write(appeal, by, text)
    return appeal


def by_person(user: User) -> QuerySet[Appeal]:
    """Return somebody's appeals, newest first."""
    return _rows().filter(user=user).order_by("-pk")


def get_own(number: int, by: Caller) -> Appeal:
    """Return one of the caller's own appeals. Raises AppealNotFound."""
    appeal = by_person(by.user).filter(pk=number).first() if by.user else None
    if appeal is None:
        raise AppealNotFound(f"You have no appeal {number}.")
    return appeal


def for_moderators(by: Caller) -> QuerySet[Appeal]:
    """Return all appeals, the oldest first. Raises what policy.require_moderator raises."""
    policy.require_moderator(by)
    return _rows().order_by("pk")


def get_for_moderator(number: int, by: Caller) -> Appeal:
    """Return an appeal for a moderator. Raises AppealNotFound, and what policy.require_moderator raises."""
    appeal = for_moderators(by).filter(pk=number).first()
    if appeal is None:
        raise AppealNotFound(f"There is no appeal {number}.")
    return appeal


def messages(appeal: Appeal, *, with_notes: bool) -> QuerySet[AppealMessage]:
    """Return the messages of an appeal, oldest first; internal notes only for moderators."""
    rows = appeal.messages.select_related("author")
    return rows if with_notes else rows.filter(is_internal=False)


def write(appeal: Appeal, by: Caller, text: str, *, internal: bool = False, as_moderator: bool = False) -> None:
    """Add a message of the owner, or of a moderator, to an open appeal, and tell the other side.

    Raises AppealClosed, ValueInvalid for an empty message or too many of them.
    """
    actor = policy.require_moderator(by) if as_moderator else policy.require_person(by, "appeal", publishes=False)
    if not as_moderator and actor.pk != appeal.user_id:
        raise AppealNotFound(f"You have no appeal {appeal.pk}.")
    text = names.require_text(text, "message", MAX_TEXT)
    with transaction.atomic():
        current = _locked(appeal)
        if current.messages.count() >= MAX_MESSAGES:
            raise ValueInvalid(f"This appeal has {MAX_MESSAGES} messages.", fix="Wait for the decision.")
        AppealMessage.objects.create(
            appeal=current, author=actor, of_moderator=as_moderator, is_internal=internal and as_moderator, text=text
        )
        if not internal:
            outbox.record(Kind.APPEAL_ANSWERED if as_moderator else Kind.APPEALED, None, actor, appeal=appeal.pk)


def decide(appeal: Appeal, by: Caller, *, approve: bool, reason: str) -> Appeal:
    """Approve an appeal, which releases what is held back and voids the strike of its case, or reject it.

    What a later decision holds back stays held back. Raises AppealClosed, NotAllowed for one's own appeal, ValueInvalid
    without a reason, TakenDown.
    """
    actor = policy.require_moderator(by)
    reason = check_reason(reason)
    with transaction.atomic():
        withdrawals.lock(appeal.decision.repository)  # before any appeal, as a release does, which answers them all
        current = _locked(appeal)
        if current.user_id == actor.pk:
            raise NotAllowed("You cannot decide an appeal of your own.", fix="Ask another moderator.")
        if approve:
            _grant(current, by, f"The appeal was approved: {reason}"[:MAX_REASON])
        answer(current, actor, Appeal.State.APPROVED if approve else Appeal.State.REJECTED, reason)
    return current


def _grant(appeal: Appeal, by: Caller, why: str) -> None:
    """Release what is held back by the decision of an appeal, unless a later one holds it back; undo what it led to.

    The strikes of its case are void, and its reports count as wrong.
    """
    decision = appeal.decision
    in_force = withdrawals.decision_in_force(decision.revision or decision.repository)
    if in_force == decision or (in_force is not None and in_force.action == Action.TAKEDOWN):
        quarantine.release(decision.repository, by, reason=why, revision=decision.revision, appeal=appeal)
    if decision.case:
        decision.case.reports.update(upheld=False)
        for strike in decision.case.strikes.filter(voided_at__isnull=True):
            strikes.void(strike, by, reason=why)


def against(held: Repository | Revision, user: User | None) -> Appeal | None:
    """Return a person's newest appeal against the decision that holds something back now."""
    decision = withdrawals.decision_in_force(held)
    return decision.appeals.filter(user=user).order_by("-pk").first() if decision and user else None


def _rows() -> QuerySet[Appeal]:
    return Appeal.objects.select_related(
        "user", "decided_by", "decision__repository__namespace__person", "decision__revision", "decision__case",
        "decision__by",
    )  # fmt: skip


def _locked(appeal: Appeal) -> Appeal:
    current = _rows().select_for_update(of=("self",), no_key=True).get(pk=appeal.pk)
    if current.decision.revision is not None:
        current.decision.revision.repository = current.decision.repository
    if current.state != Appeal.State.OPEN:
        raise AppealClosed(f"Appeal {appeal.pk} is {current.state}.")
    return current
