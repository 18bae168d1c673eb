"""Appeals, and a person's standing: an owner asks to release what is held back, both write, a moderator decides.

The standing of a person is their strikes, what follows from those that count, what of theirs is held back, and appeals.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from features.moderation import strikes
from features.moderation.models import AppealMessage
from registry.kernel import audit, outbox, policy, refusals
from registry.kernel.errors import Conflict, Missing, NotAllowed, TakenDown, ValueInvalid
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller
from registry.kernel.texts import names
from registry.models import Appeal, ModerationDecision, Repository, Revision, Strike, User
from registry.moderation import quarantine
from registry.proof.verified import withdrawals

State, Action = Appeal.State, ModerationDecision.Action
MAX_TEXT = 10_000
MAX_MESSAGES = 200  # in one appeal
MAX_ROWS = 50  # of each list of a standing
DECIDED_LATELY = timedelta(days=7)  # how long the home of its owner shows the answer to an appeal


class AppealNotFound(Missing):
    code = "appeal-not-found"
    default_fix = "Your appeals are listed at /settings/standing."


class AppealClosed(Conflict):
    code = "appeal-closed"
    default_fix = "Read what was decided; a new hold can be appealed again."


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
        raise ValueInvalid(f"{repository.full_name} is not quarantined.", fix="There is nothing to appeal.")
    if decision.action == Action.TAKEDOWN:
        raise TakenDown(f"{repository.full_name} was taken down: {decision.reason}")
    text = names.require_text(text, "text", MAX_TEXT)
    try:
        with transaction.atomic():
            appeal = Appeal.objects.create(decision=decision, user=person)
            audit.record(person, "appeal:open", repository.full_name, after={"appeal": appeal.pk})
    except IntegrityError:  # theirs is open already
        appeal = Appeal.objects.get(decision=decision, user=person, state=State.OPEN)
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
            raise ValueInvalid(f"This appeal has {MAX_MESSAGES} messages, the limit.", fix="Wait for the decision.")
        AppealMessage.objects.create(
            appeal=current, author=actor, of_moderator=as_moderator, is_internal=internal and as_moderator, text=text
        )
        if not internal:
            outbox.record(Kind.APPEAL_ANSWERED if as_moderator else Kind.APPEALED, None, actor, appeal=appeal.pk)


def decide(appeal: Appeal, by: Caller, *, approve: bool, reason: str) -> Appeal:
    """Approve an appeal, which releases what is held back and voids the strike of its case, or reject it.

    A version that a later decision holds back stays held back. Raises AppealClosed, NotAllowed for one's own appeal,
    ValueInvalid without a reason, TakenDown.
    """
    actor = policy.require_moderator(by)
    reason = quarantine.check_reason(reason)
    with transaction.atomic():
        withdrawals.lock(appeal.decision.repository)  # before any appeal, as a release does, which answers them all
        current = _locked(appeal)
        if current.user_id == actor.pk:
            raise NotAllowed("You cannot decide your own appeal.", fix="Ask another moderator.")
        _close(current, actor, State.APPROVED if approve else State.REJECTED)  # first: a release approves what is open
        if approve:
            _grant(current, by, f"The appeal was approved: {reason}"[: quarantine.MAX_REASON])
        _answer(current, actor, reason)
    return current


def _grant(appeal: Appeal, by: Caller, why: str) -> None:
    """Release what is held back by the decision of an appeal, unless a later one holds it back; undo what it led to.

    The strikes of its case are void, and its reports count as wrong.
    """
    decision = appeal.decision
    in_force = withdrawals.decision_in_force(decision.revision or decision.repository)
    if in_force == decision or (in_force is not None and in_force.action == Action.TAKEDOWN):
        quarantine.release(decision.repository, by, reason=why, revision=decision.revision)
    if decision.case:
        decision.case.reports.update(upheld=False)
        for strike in decision.case.strikes.filter(voided_at__isnull=True):
            strikes.void(strike, by, reason=why)


def _close(appeal: Appeal, actor: User, state: Appeal.State) -> None:
    appeal.state = state
    Appeal.objects.filter(pk=appeal.pk).update(state=state, decided_at=Now(), decided_by=actor)


def _answer(appeal: Appeal, actor: User, reason: str) -> None:
    """Write the answer into an appeal that was closed just now, and tell its owner."""
    AppealMessage.objects.create(appeal=appeal, author=actor, of_moderator=True, text=reason)
    verb = "approve" if appeal.state == State.APPROVED else "reject"
    name = appeal.decision.repository.full_name
    audit.record(actor, f"appeal:{verb}", name, reason=reason, after={"appeal": appeal.pk})
    outbox.record(Kind.APPEAL_ANSWERED, None, actor, appeal=appeal.pk)


def approve_open(held: Repository | Revision, actor: User, reason: str) -> None:
    """Approve the open appeals about what was released just now; a later hold needs an appeal of its own."""
    rows = Appeal.objects.select_for_update(of=("self",), no_key=True).select_related("decision__repository__namespace")
    for appeal in rows.filter(decision__in=withdrawals.decisions_on(held), state=State.OPEN).order_by("pk"):
        _close(appeal, actor, State.APPROVED)
        _answer(appeal, actor, reason)


def against(held: Repository | Revision, user: User | None) -> Appeal | None:
    """Return a person's newest appeal against the decision that holds something back now."""
    decision = withdrawals.decision_in_force(held)
    return decision.appeals.filter(user=user).order_by("-pk").first() if decision and user else None


def _rows() -> QuerySet[Appeal]:
    return Appeal.objects.select_related(
        "user",
        "decided_by",
        "decision__repository__namespace__person",
        "decision__revision",
        "decision__case",
        "decision__by",
    )


def _locked(appeal: Appeal) -> Appeal:
    current = _rows().select_for_update(of=("self",), no_key=True).get(pk=appeal.pk)
    if current.decision.revision is not None:
        current.decision.revision.repository = current.decision.repository
    if current.state != State.OPEN:
        raise AppealClosed(f"Appeal {appeal.pk} is {current.state}.")
    return current


@dataclass(frozen=True)
class Standing:
    """The points, strikes, holds and appeals of a person, and the pause in force."""

    points: int
    paused_until: datetime | None
    strikes: list[Strike]
    holds: list[ModerationDecision]  # on repositories and versions of theirs, in force
    appeals: list[Appeal]


def of_person(user: User, by: Caller) -> Standing:
    """Return the standing of a person: their own, or for a moderator anybody's.

    Of what an organisation owns, they see what they may write to. Raises what policy.require_moderator raises.
    """
    is_own = by.user is not None and by.user.pk == user.pk
    if not is_own:
        policy.require_moderator(by)
    paused = user.paused_until if user.paused_until and user.paused_until > timezone.now() else None
    return Standing(
        points=strikes.points(user),
        paused_until=paused,
        strikes=list(user.strikes.select_related("case", "voided_by")[:MAX_ROWS]),
        holds=_holds(policy.writable_by(by) if is_own else Q(namespace_id=user.namespace_id)),
        appeals=list(by_person(user)[:MAX_ROWS]),
    )


def unanswered(user: User, by: Caller) -> list[ModerationDecision]:
    """Return what holds something of the caller's back that they may appeal against and did not; two queries."""
    holds = [row for row in _holds(policy.writable_by(by)) if row.action != Action.TAKEDOWN]
    appealed = set(Appeal.objects.filter(user=user, decision__in=holds).values_list("decision", flat=True))
    return [row for row in holds if row.pk not in appealed]


def answered(user: User) -> QuerySet[Appeal]:
    """Return somebody's appeals that were decided lately, and open ones in which a moderator wrote last."""
    messages = AppealMessage.objects.filter(appeal=OuterRef("pk"), is_internal=False).order_by("-pk")
    rows = by_person(user).annotate(waits_for_owner=Subquery(messages.values("of_moderator")[:1]))
    return rows.filter(Q(state=State.OPEN, waits_for_owner=True) | Q(decided_at__gt=timezone.now() - DECIDED_LATELY))


def _holds(owned: Q) -> list[ModerationDecision]:
    """Return the newest decision about each of these repositories, and each revision of them, that is held back."""
    held = Q(revision__isnull=True, repository__quarantined_at__isnull=False) | Q(
        revision__quarantined_at__isnull=False
    )
    rows = ModerationDecision.objects.filter(held, repository__in=Repository.objects.filter(owned))
    rows = rows.exclude(action=Action.RELEASE).select_related("repository__namespace", "revision")
    newest = {(row.repository_id, row.revision_id): row for row in rows.order_by("pk")}
    return sorted(newest.values(), key=lambda row: -row.pk)[:MAX_ROWS]
