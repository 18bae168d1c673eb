"""Telling people what concerns them: verdicts, requests for files, what is said to them, and who invites them.

Rows are written in the transaction of what happened and bounded by who may be told at once; letters.py sends them.
"""

import re
from collections.abc import Iterable, Mapping

from django.db.models import Count, Exists, Max, OuterRef, QuerySet
from django.db.models.functions import Now
from django.urls import reverse

from registry.kernel import policy
from registry.kernel.links import absolute
from registry.kernel.policy import Caller
from registry.models import (
    AccessRequest,
    Alert,
    Discussion,
    Invitation,
    Membership,
    Namespace,
    Ref,
    Repository,
    User,
    Verdict,
)
from registry.proof import proofs
from registry.repos.refs import MAIN, short
from registry.talk import events, webhooks

State, Status = Verdict.State, AccessRequest.Status
Kind = Alert.Kind
OF_THREADS = (Kind.OPENED, Kind.SAID, Kind.MENTIONED)
MAX_UNREAD = 99  # that are counted, on every page
MAX_TOLD = 50  # people told of one thing
MAX_MENTIONS = 10  # of them by name in one text
MAX_FROM_ONE = 50  # alerts of one person's doing that another one has not read: more are noise
_STRENGTH = (Kind.SAID, Kind.OPENED, Kind.MENTIONED)  # what an alert of a thread says, the strongest last
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_MENTION = re.compile(r"(?<![\w@/.+-])@([A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?)(?![A-Za-z0-9_@])")


# --- verdicts --------------------------------------------------------------------------------------------------------
def finished(verdict: int) -> None:
    """Write down whether the same bytes were judged otherwise before, and tell those who want to know.

    Call it in the transaction in which the verdict got its last state.
    """
    now = Verdict.objects.select_related("revision__repository__namespace", "revision__author").get(pk=verdict)
    earlier = now.revision.verdicts.filter(finished_at__isnull=False, number__lt=now.number).order_by("-number").first()
    was = earlier.state if earlier else ""
    now.proven_with = proofs.digest(now.result.get("proven_with"))
    now.changed_from = was if was != now.state else ""
    now.save(update_fields=["proven_with", "changed_from"])
    repository = now.revision.repository
    check, _ = proofs.refusal(now.result)
    events.note(repository, "verdict", now.revision, state=now.state, number=now.number, check=check or None)
    if not Ref.objects.filter(repository=repository, name=MAIN, revision=now.revision_id).exists():
        return
    _announce(repository, now, was)
    if _is_news(now.state, was):
        if same := _same_before(now):  # who has not read of it yet is told no second time
            Alert.objects.filter(verdict=same, read_at__isnull=True).update(verdict=now)
        rows = [Alert(user=user, repository=repository, verdict=now) for user in _concerned(now)]
        Alert.objects.bulk_create(rows, ignore_conflicts=True)


def _is_news(state: str, was: str) -> bool:
    """Whether somebody should hear of it: of a failure once, and of an error of ours where nothing was wrong before."""
    if state == State.FAILED:
        return was != State.FAILED
    return state == State.ERRORED and was in ("", State.PASSED)


def _same_before(verdict: Verdict) -> Verdict | None:
    """Return the last verdict on the revision before it, if it is no for the same reason."""
    before = Verdict.objects.filter(revision=verdict.revision.parent_id, state=verdict.state)
    last = before.order_by("-number").first()
    return last if last and proofs.refusal(last.result) == proofs.refusal(verdict.result) else None


def _announce(repository: Repository, verdict: Verdict, was: str) -> None:
    check, _ = proofs.refusal(verdict.result)
    said = {
        "revision": verdict.revision.oid,
        "number": verdict.number,
        "state": verdict.state,
        "was": was or None,
        "check": check or None,
        "url": absolute(verdict.get_absolute_url()),
    }
    webhooks.announce(repository, "update", "verdict", verdict=said)


def _concerned(verdict: Verdict) -> list[User]:
    """Whose it is, and who pushed it if he still may."""
    repository, author = verdict.revision.repository, verdict.revision.author
    found = {user.pk: user for user in owners(repository)}
    if author.is_active and policy.may_write(Caller(user=author), repository):
        found[author.pk] = author
    return list(found.values())


def owners(repository: Repository) -> QuerySet[User]:
    """Return the person whose adapter it is, or who administers the organisation."""
    namespace = repository.namespace
    if namespace.kind == Namespace.Kind.PERSON:
        rows = User.objects.filter(namespace=namespace)
    else:
        admins = Membership.objects.filter(organization__namespace=namespace, role=Membership.Role.ADMIN)
        rows = User.objects.filter(pk__in=admins.values("user"))
    return rows.filter(is_active=True).order_by("pk")


# --- access to gated files -------------------------------------------------------------------------------------------
def asked(request: AccessRequest) -> None:
    """Tell the owners that somebody asks for the files of their adapter, or was let in by its automatic gate."""
    told = dict.fromkeys((user.pk for user in owners(request.repository)[:MAX_TOLD]), Kind.ASKED)
    _tell(request.repository, told, request.user, request=request)


def decided(request: AccessRequest, by: User | None) -> None:
    """Tell whoever asked what became of it; what is decided waits for no other owner any more."""
    unread = Alert.objects.filter(repository=request.repository, read_at__isnull=True)
    if not request.repository.access_requests.filter(status=Status.PENDING).exists():
        unread.filter(kind=Kind.ASKED).update(read_at=Now())
    if request.status == Status.PENDING:  # taken back before it was read: nothing happened
        unread.filter(kind=Kind.DECIDED, user=request.user).delete()
    else:
        _tell(request.repository, {request.user_id: Kind.DECIDED}, by, request=request)


# --- discussions -----------------------------------------------------------------------------------------------------
def discussed(discussion: Discussion, by: User, text: str = "", *, opened: bool = False) -> None:
    """Tell of something new in a thread: its owners, who takes part, and who is mentioned in the text.

    Call it under the lock of the adapter, in the transaction of what happened.
    """
    told = dict.fromkeys(
        (user.pk for user in owners(discussion.repository)[:MAX_TOLD]), Kind.OPENED if opened else Kind.SAID
    )
    if not opened:
        told |= dict.fromkeys(_taking_part(discussion), Kind.SAID)
    told |= dict.fromkeys(_mentioned(discussion.repository, text), Kind.MENTIONED)
    _tell(discussion.repository, told, by, discussion=discussion)


def _taking_part(discussion: Discussion) -> list[int]:
    """Who opened the thread, and who did something in it last."""
    rows = discussion.events.values("author").annotate(last=Max("pk")).order_by("-last")
    return [discussion.author_id, *rows.values_list("author", flat=True)[:MAX_TOLD]]


def mentions(text: str) -> list[str]:
    """Return the names that a text mentions as @name outside code, in lower case, at most MAX_MENTIONS."""
    found: dict[str, None] = {}
    for match in _MENTION.finditer(_CODE.sub(" ", text)):
        found.setdefault(match[1].lower())
        if len(found) == MAX_MENTIONS:
            break
    return list(found)


def _mentioned(repository: Repository, text: str) -> list[int]:
    if not (named := mentions(text)):
        return []
    people = User.objects.filter(namespace__name__lower__in=named)
    return [user.pk for user in people if policy.may_see(Caller(user=user), repository)]


# --- organisations ---------------------------------------------------------------------------------------------------
def invited(invitation: Invitation) -> None:
    """Tell somebody that an organisation asks him in; what it asked before is forgotten."""
    Alert.objects.filter(invitation=invitation).delete()
    told = _listening([invitation.user_id], invitation.by)
    rows = [Alert(user_id=user, kind=Kind.INVITED, invitation=invitation, by=invitation.by) for user in told]
    Alert.objects.bulk_create(rows)


# --- rows ------------------------------------------------------------------------------------------------------------
def _tell(
    repository: Repository,
    told: Mapping[int, Kind],
    by: User | None,
    *,
    discussion: Discussion | None = None,
    request: AccessRequest | None = None,
) -> None:
    """Write one unread alert for each person, in place of the one that he has not read of the same."""
    people = _listening(told, by)
    unread = Alert.objects.filter(user__in=people, repository=repository, read_at__isnull=True).select_related("by")
    unread = unread.filter(discussion=discussion) if discussion else unread.filter(kind__in=set(told.values()))
    before = {alert.user_id: alert for alert in unread}
    unread.delete()
    rows = []
    for person in people:
        row = Alert(
            user_id=person, kind=told[person], repository=repository, discussion=discussion, request=request, by=by
        )
        if old := before.get(person):
            row.count += old.count
            if _strength(old.kind) > _strength(row.kind):
                row.kind, row.by = old.kind, old.by
        rows.append(row)
    Alert.objects.bulk_create(rows, ignore_conflicts=True)


def _listening(told: Iterable[int], by: User | None) -> list[int]:
    """Who of them hears it: nobody hears of himself, nor of somebody who has filled his list already."""
    people = User.objects.filter(pk__in=list(told), is_active=True)
    if by is None:
        return list(people.values_list("pk", flat=True))
    heard = Alert.objects.filter(by=by, user__in=people, read_at__isnull=True).values("user").annotate(rows=Count("pk"))
    full = {row["user"] for row in heard if row["rows"] >= MAX_FROM_ONE}
    return [person for person in people.values_list("pk", flat=True) if person != by.pk and person not in full]


def _strength(kind: str) -> int:
    return _STRENGTH.index(Kind(kind)) if kind in _STRENGTH else -1


# --- on the website --------------------------------------------------------------------------------------------------
def of(user: User, by: Caller | None = None) -> QuerySet[Alert]:
    """Return what a person was told and may still see, newest first; by a token, what the token may see of it."""
    open_ones = Exists(policy.standing().filter(pk=OuterRef("invitation")))
    rows = Alert.objects.filter(policy.sees(by or Caller(user=user)) | open_ones, user=user)
    of_what = (
        "repository__namespace",
        "verdict__revision",
        "discussion",
        "request",
        "invitation__organization__namespace",
    )
    return rows.select_related(*of_what, "by").order_by("-pk")


def unread(user: User) -> int:
    """Return how many a person has not read; of very many, that they are more than MAX_UNREAD."""
    return of(user).filter(read_at__isnull=True)[: MAX_UNREAD + 1].count()


def read(user: User, up_to: int) -> int:
    """Mark everything up to an alert as read; return how many were not."""
    return Alert.objects.filter(user=user, pk__lte=up_to, read_at__isnull=True).update(read_at=Now())


def saw(user: User | None, kinds: Iterable[Kind], **of: Repository | Discussion) -> None:
    """Mark as read what a person was told of a page that he looks at now."""
    if user is not None:
        rows = Alert.objects.filter(user=user, kind__in=list(kinds), read_at__isnull=True, **of)
        if rows.exists():  # most looks find nothing, and should not wait for whoever writes
            rows.update(read_at=Now())


def set_mail(user: User, wanted: bool) -> None:
    """Send alerts by e-mail from now on, or no longer; what happened before is not sent any more."""
    User.objects.filter(pk=user.pk).update(mail_alerts=wanted)
    if not wanted:
        Alert.objects.filter(user=user, mailed_at__isnull=True).update(mailed_at=Now())
    user.mail_alerts = wanted


def address(alert: Alert) -> str:
    """Return the path of the page that an alert is about."""
    if alert.repository is None:
        return reverse("organizations")
    if alert.verdict:
        return reverse("verdict", args=[alert.repository, alert.verdict.revision.oid])
    if alert.discussion:
        return reverse("discussion", args=[alert.repository, alert.discussion.number])
    return (
        reverse("access", args=[alert.repository]) if alert.kind == Kind.ASKED else alert.repository.get_absolute_url()
    )


def subject(alert: Alert) -> str:
    """Return the name of the adapter, or organisation, that an alert is about."""
    return alert.repository.full_name if alert.repository else str(alert.invitation and alert.invitation.organization)


def sentence(alert: Alert) -> str:
    """Return in one sentence what an alert tells."""
    who = alert.by.username if alert.by else "Somebody"
    if alert.invitation:
        return f"{who} invites you to {alert.invitation.organization} as {alert.invitation.role}."
    name = subject(alert)
    if alert.verdict:
        state, oid = alert.verdict.state, alert.verdict.revision.oid[:12]
        how = f"passed before, and is {state} now" if alert.verdict.changed_from else f"is {state}"
        return f"{name} at {oid} {how}."
    if alert.discussion:
        more = f" (and {alert.count - 1} more)" if alert.count > 1 else ""
        return f"{_deed(alert, alert.discussion, who)} {name}#{alert.discussion.number}: {alert.discussion.title}{more}"
    if alert.kind == Kind.ASKED:
        others = f" and {alert.count - 1} more" if alert.count > 1 else ""
        return f"{who}{others} asked for access to {name}."
    if alert.request and alert.request.status == Status.REJECTED:
        return f"Your request for access to {name} was rejected. {alert.request.reason}".strip()
    return f"You have access to the files of {name} now."


def _deed(alert: Alert, thread: Discussion, who: str) -> str:
    if alert.kind == Kind.MENTIONED:
        return f"{who} mentioned you in"
    if alert.kind == Kind.OPENED:
        return f"{who} proposes a change of {short(thread.base)} in" if thread.is_pull_request else f"{who} opened"
    return f"News from {who} in"
