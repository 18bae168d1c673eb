"""Creates alerts from events: for owners, for participants of a thread, and for people who requested something.

People who watch or follow something are alerted by fan_out.py.
"""

from collections.abc import Callable

from django.db.models import Max, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from registry.kernel import outbox, policy
from registry.kernel.outbox import Kind as Happened
from registry.kernel.policy import Caller
from registry.models import (
    AbuseReport,
    AccessRequest,
    Alert,
    AliasMove,
    Appeal,
    Discussion,
    Invitation,
    Membership,
    ModerationDecision,
    Namespace,
    OutboxEvent,
    Repository,
    Revision,
    Strike,
    User,
    Verdict,
)
from registry.proof import proofs
from registry.repos import eligibility
from registry.talk.alerts import alert_rows, leak_alerting, letters, quota_alerting
from registry.talk.alerts.recipients import MAX_RECIPIENTS, owners_of

State, Status = Verdict.State, AccessRequest.Status
Kind = Alert.Kind


def consume(event: OutboxEvent) -> None:
    """Alert the people whom the event concerns; nobody if its subject is deleted."""
    if consumer := CONSUMERS.get(event.kind):
        consumer(event)


# --- verdicts --------------------------------------------------------------------------------------------------------
def _verdict_reached(event: OutboxEvent) -> None:
    data = event.data
    if not data["is_main"] or not is_news(data["state"], data["was"] or ""):
        return
    rows = Verdict.objects.select_related("revision__repository__namespace", "revision__author")
    if (verdict := rows.filter(pk=data["verdict"]).first()) is None:
        return
    if same := _same_before(verdict):  # an unread alert about it then leads to the newer verdict
        Alert.objects.filter(verdict=same, read_at__isnull=True).update(verdict=verdict)
    people = _concerned(verdict.revision.repository, verdict.revision)
    alert_rows.create(people, Kind.VERDICT, repository=verdict.revision.repository, verdict=verdict)


def is_news(state: str, was: str) -> bool:
    """Return whether to alert: once of a failure, and of an error of the hub if the last verdict was good."""
    if state == State.FAILED:
        return was != State.FAILED
    return state == State.ERRORED and was in ("", State.PASSED)


def _same_before(verdict: Verdict) -> Verdict | None:
    """Return the last verdict on the revision before it, if it fails for the same reason."""
    before = Verdict.objects.filter(revision=verdict.revision.parent_id, state=verdict.state)
    last = before.order_by("-number").first()
    return last if last and proofs.refusal(last.report) == proofs.refusal(verdict.report) else None


def _concerned(repository: Repository, revision: Revision | None) -> list[int]:
    """Return the owners, and the author of the commit if that person may still push."""
    people = [user.pk for user in _owners(repository)[:MAX_RECIPIENTS]]
    author = revision.author if revision is not None else None
    if author is not None and author.is_active and policy.may_write(Caller(user=author), repository):
        people.append(author.pk)
    return people


def _owners(repository: Repository) -> QuerySet[User]:
    """Return the person who owns the repository, or who administers it: in its organisation or by a team."""
    is_person = repository.namespace.kind == Namespace.Kind.PERSON
    teams = set() if is_person else policy.teams_with_role(repository, {Membership.Role.ADMIN})
    return owners_of(repository.namespace, teams)


# --- access to gated files -------------------------------------------------------------------------------------------
def _access_asked(event: OutboxEvent) -> None:
    """Alert the owners that somebody requests access, or was admitted by the automatic gate."""
    if request := _request(event):
        owners = _owners(request.repository)[:MAX_RECIPIENTS]
        kinds = dict.fromkeys((user.pk for user in owners), Kind.ASKED)
        alert_rows.notify(request.repository, kinds, request.user, request=request)


def _access_decided(event: OutboxEvent) -> None:
    """Alert the person who asked, and mark the owners' alerts as read once no request is pending."""
    if (request := _request(event)) is None:
        return
    unread = Alert.objects.filter(repository=request.repository, read_at__isnull=True)
    if not request.repository.access_requests.filter(status=Status.PENDING).exists():
        unread.filter(kind=Kind.ASKED).update(read_at=Now())
    if event.data["status"] == Status.PENDING:  # the decision was withdrawn before it was read
        unread.filter(kind=Kind.DECIDED, user=request.user).delete()
    else:
        alert_rows.notify(request.repository, {request.user_id: Kind.DECIDED}, event.by, request=request)


def _request(event: OutboxEvent) -> AccessRequest | None:
    rows = AccessRequest.objects.select_related("repository__namespace", "user")
    return rows.filter(pk=event.data["request"]).first()


# --- discussions -----------------------------------------------------------------------------------------------------
def _discussed(event: OutboxEvent) -> None:
    """Alert owners, participants and mentioned people of news in a thread."""
    rows = Discussion.objects.select_related("repository__namespace")
    discussion = rows.filter(pk=event.data["discussion"]["id"]).first()
    if discussion is None or not event.data["is_news"]:
        return
    is_new = event.kind == Happened.DISCUSSION_OPENED
    owners = _owners(discussion.repository)[:MAX_RECIPIENTS]
    kinds = dict.fromkeys((user.pk for user in owners), Kind.OPENED if is_new else Kind.SAID)
    if not is_new:
        kinds |= dict.fromkeys(_participants(discussion), Kind.SAID)
    kinds |= dict.fromkeys(_mentioned(event), Kind.MENTIONED)
    alert_rows.notify(discussion.repository, kinds, event.by, discussion=discussion)


def _participants(discussion: Discussion) -> list[int]:
    """Return the author of the thread and its most recent participants."""
    rows = discussion.events.values("author").annotate(last=Max("pk")).order_by("-last")
    return [discussion.author_id, *rows.values_list("author", flat=True)[:MAX_RECIPIENTS]]


def _mentioned(event: OutboxEvent) -> list[int]:
    if not event.data["mentions"]:
        return []
    repository = outbox.snapshot(event).as_repository()
    people = User.objects.filter(policy.readers_of(repository), namespace__name__lower__in=event.data["mentions"])
    return list(people.values_list("pk", flat=True))


# --- organisations ---------------------------------------------------------------------------------------------------
def _invited(event: OutboxEvent) -> None:
    """Alert a person of an invitation, replacing the alert of an earlier one to the same organisation."""
    invitation = Invitation.objects.filter(pk=event.data["invitation"]).first()
    if invitation is None:
        return
    Alert.objects.filter(invitation=invitation).delete()
    alert_rows.create([invitation.user_id], Kind.INVITED, event.by, invitation=invitation)


# --- moderation ------------------------------------------------------------------------------------------------------
def _held_or_released(event: OutboxEvent) -> None:
    """Alert those whom it concerns that something of theirs is held back or served again."""
    rows = ModerationDecision.objects.select_related("repository__namespace", "revision__author")
    decision = rows.filter(pk=event.data.get("decision")).first()
    if decision is None:
        return
    people = _concerned(decision.repository, decision.revision)
    kind = Kind.RELEASED if event.kind == Happened.RELEASED else Kind.HELD
    alert_rows.create(people, kind, event.by, repository=decision.repository, decision=decision)


def _alias_moved(event: OutboxEvent) -> None:
    """Alert the owners that an alias of theirs fell back, because moderators or owners withdrew a version."""
    data = {name: event.data[name] for name in ("alias", "action", "after")}
    repository = Repository.objects.select_related("namespace").filter(pk=outbox.snapshot(event).id).first()
    if repository is not None and data["action"] == AliasMove.Action.FALLBACK:
        people = [user.pk for user in _owners(repository)[:MAX_RECIPIENTS]]
        alert_rows.create(people, Kind.ALIAS_FELL_BACK, repository=repository, data=data)


def _regressed(event: OutboxEvent) -> None:
    """Alert the people whom it concerns that a version does not become `verified`."""
    oid = event.data["revision"]
    rows = Revision.objects.select_related("repository__namespace", "author")
    revision = rows.filter(repository=outbox.snapshot(event).id, oid=oid).first()
    if revision is not None and event.data["held"]:
        people = _concerned(revision.repository, revision)
        data = {"revision": oid, "because": event.data.get("because", eligibility.REGRESSION)}
        alert_rows.create(people, Kind.REGRESSED, repository=revision.repository, data=data)


def _case_closed(event: OutboxEvent) -> None:
    """Alert the people who reported something that it is decided."""
    reports = AbuseReport.objects.filter(case=event.data["case"], reporter__isnull=False)
    people = set(reports.values_list("reporter", flat=True))
    alert_rows.create(people, Kind.REPORT, event.by, case_id=event.data["case"])


def _struck(event: OutboxEvent) -> None:
    """Alert a person of a strike."""
    people = set(Strike.objects.filter(pk=event.data["strike"]).values_list("user", flat=True))
    alert_rows.create(people, Kind.STRIKE, event.by, strike_id=event.data["strike"])


def _appealed(event: OutboxEvent) -> None:
    """Alert the moderators of an appeal or a message in it; the owner of a moderator's answer."""
    appeal = Appeal.objects.select_related("decision__repository").filter(pk=event.data["appeal"]).first()
    if appeal is None:
        return
    if event.kind == Happened.APPEAL_ANSWERED:
        people, kind = {appeal.user_id}, Kind.ANSWERED
    else:
        staff = User.objects.filter(role__in=[User.Role.MODERATOR, User.Role.ADMIN], is_active=True).order_by("pk")
        people, kind = set(staff.values_list("pk", flat=True)[:MAX_RECIPIENTS]), Kind.APPEALED
    Alert.objects.filter(appeal=appeal, user__in=people, read_at__isnull=True).delete()
    alert_rows.create(people, kind, event.by, repository=appeal.decision.repository, appeal=appeal)


# --- accounts --------------------------------------------------------------------------------------------------------
def _signed_in(event: OutboxEvent) -> None:
    data = {name: event.data[name] for name in ("browser", "address")}
    alert_rows.create([event.data["person"]], Kind.SIGNED_IN, data=data)


def _account_changed(event: OutboxEvent) -> None:
    data = {name: event.data[name] for name in ("change", "details")}
    now = timezone.now()  # hub/site/sign_in/allauth_adapters.py has sent its e-mail, of a proven address to the old one
    alert_rows.create([event.data["person"]], Kind.ACCOUNT, data=data, mailed_at=now)
    if former_address := event.data.get("former_address"):
        person = User.objects.get(pk=event.data["person"])
        letters.send_address_changed(former_address, person.username, event.data["details"])


CONSUMERS: dict[str, Callable[[OutboxEvent], None]] = {
    Happened.VERDICT_REACHED: _verdict_reached,
    Happened.REGRESSION: _regressed,
    Happened.ACCESS_ASKED: _access_asked,
    Happened.ACCESS_DECIDED: _access_decided,
    Happened.DISCUSSION_OPENED: _discussed,
    Happened.DISCUSSION_CHANGED: _discussed,
    Happened.COMMENT_ADDED: _discussed,
    Happened.INVITED: _invited,
    Happened.QUARANTINED: _held_or_released,
    Happened.RELEASED: _held_or_released,
    Happened.ALIAS_MOVED: _alias_moved,
    Happened.CASE_CLOSED: _case_closed,
    Happened.STRUCK: _struck,
    Happened.APPEALED: _appealed,
    Happened.APPEAL_ANSWERED: _appealed,
    Happened.SIGNED_IN: _signed_in,
    Happened.ACCOUNT_CHANGED: _account_changed,
    Happened.TOKENS_LEAKED: leak_alerting.leaked,
    Happened.QUOTA_REACHED: quota_alerting.reached,
    Happened.QUOTA_CHANGED: quota_alerting.changed,
}
