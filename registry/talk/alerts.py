"""A person's alerts: lists, counts, marks as read and describes them; alerting.py creates them."""

from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.urls import reverse

from registry.kernel import policy
from registry.kernel.policy import Caller
from registry.models import AccessRequest, Alert, Appeal, Discussion, Repository, User
from registry.people import invitations
from registry.repos.refs import short_name
from registry.talk import dispatch

Status = AccessRequest.Status
Kind = Alert.Kind
OF_THREADS = (Kind.OPENED, Kind.SAID, Kind.MENTIONED)
OF_MODERATION = (Kind.HELD, Kind.RELEASED, Kind.REPORT, Kind.STRIKE, Kind.APPEALED, Kind.ANSWERED)
MAX_UNREAD = 99  # counted on every page


def of(user: User, by: Caller | None = None) -> QuerySet[Alert]:
    """Return the alerts that a person may still see, newest first; for a token, those that the token may see."""
    dispatch.catch_up()
    open_ones = Exists(invitations.acceptable_invitations().filter(pk=OuterRef("invitation")))
    seen: Any = policy.has_visible_repository(by or Caller(user=user)) | open_ones
    if by is None or by.token is None:  # what moderation tells a person is about what nobody may see
        seen = seen | Q(kind__in=(*OF_MODERATION, Kind.TOKEN_ENDS))
    rows = Alert.objects.filter(seen, user=user)
    of_what = (
        "repository__namespace",
        "verdict__revision",
        "discussion",
        "request",
        "invitation__organization__namespace",
        "decision__revision",
        "case",
        "strike",
        "appeal",
        "token__user__works_for",
    )
    return rows.select_related(*of_what, "by").order_by("-pk")


def unread(user: User, by: Caller | None = None) -> int:
    """Return the number of unread alerts of a person, counted up to MAX_UNREAD + 1."""
    return of(user, by).filter(read_at__isnull=True)[: MAX_UNREAD + 1].count()


def read(user: User, up_to: int) -> int:
    """Mark all alerts up to this row id as read; return the number of changed alerts."""
    return Alert.objects.filter(user=user, pk__lte=up_to, read_at__isnull=True).update(read_at=Now())


def saw(user: User | None, kinds: Iterable[Kind], **of: Repository | Discussion) -> None:
    """Mark the alerts about a page as read, because the person looks at it now."""
    if user is not None:
        dispatch.catch_up()
        rows = Alert.objects.filter(user=user, kind__in=list(kinds), read_at__isnull=True, **of)
        if rows.exists():  # usually there are none, and then a reader needs no write lock
            rows.update(read_at=Now())


def saw_appeal(user_id: int, appeal: Appeal) -> None:
    """Mark a person's alerts about an appeal as read, because they look at it now."""
    dispatch.catch_up()
    Alert.objects.filter(user=user_id, appeal=appeal, read_at__isnull=True).update(read_at=Now())


def set_mail(user: User, wanted: bool) -> None:
    """Turn e-mail alerts on or off; after turning off, earlier alerts are never sent."""
    User.objects.filter(pk=user.pk).update(mail_alerts=wanted)
    if not wanted:
        Alert.objects.filter(user=user, mailed_at__isnull=True).update(mailed_at=Now())
    user.mail_alerts = wanted


def address(alert: Alert) -> str:
    """Return the path of the page that an alert is about."""
    if alert.kind in _ADDRESSES:
        return _ADDRESSES[Kind(alert.kind)](alert)
    if alert.repository is None:
        return reverse("organizations")
    if alert.verdict:
        return reverse("verdict", args=[alert.repository, alert.verdict.revision.oid])
    if alert.discussion:
        return reverse("discussion", args=[alert.repository, alert.discussion.number])
    return (
        reverse("access", args=[alert.repository]) if alert.kind == Kind.ASKED else alert.repository.get_absolute_url()
    )


def _of_held(alert: Alert) -> str:
    assert alert.repository is not None, "a decision is about a repository"
    revision = alert.decision.revision if alert.decision else None
    return reverse("commit", args=[alert.repository, revision.oid]) if revision else alert.repository.get_absolute_url()


def _of_token(alert: Alert) -> str:
    assert alert.token is not None, "the database keeps no alert of a token without it"
    owner = alert.token.user
    return reverse("robot", args=[owner.works_for, owner.robot_name]) if owner.works_for else reverse("tokens")


_ADDRESSES: dict[Kind, Callable[[Alert], str]] = {
    Kind.TOKEN_ENDS: _of_token,
    Kind.HELD: _of_held,
    Kind.RELEASED: _of_held,
    Kind.REPORT: lambda alert: reverse("own-reports"),
    Kind.STRIKE: lambda alert: reverse("standing"),
    Kind.APPEALED: lambda alert: reverse("moderation-appeal", args=[alert.appeal_id]),
    Kind.ANSWERED: lambda alert: reverse("appeal", args=[alert.appeal_id]),
}


def subject(alert: Alert) -> str:
    """Return the name of the adapter, or organisation, that an alert is about."""
    if alert.case is not None:
        return alert.case.label
    if alert.strike is not None:
        return "Your account"
    if alert.token is not None:
        return alert.token.name
    return alert.repository.full_name if alert.repository else str(alert.invitation and alert.invitation.organization)


def sentence(alert: Alert) -> str:
    """Return an alert as one sentence."""
    who = alert.by.username if alert.by else "Somebody"
    if alert.invitation:
        return f"{who} invites you to {alert.invitation.organization} as {alert.invitation.role}."
    name = subject(alert)
    if alert.kind in OF_MODERATION:
        return _of_moderation(alert, name)
    if alert.token is not None:
        whose = f"The token {name} of {alert.token.user}" if alert.token.user.is_machine else f"Your token {name}"
        return f"{whose} ends on {alert.token.expires_at:%-d %B %Y}: make a new one in time."
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


def _of_moderation(alert: Alert, name: str) -> str:
    """Return what moderation tells a person, with the reason."""
    if alert.decision is not None:
        what = f"Revision {alert.decision.revision.oid[:12]} of {name}" if alert.decision.revision else name
        state = "is served again" if alert.kind == Kind.RELEASED else "is held back"
        return f"{what} {state}: {alert.decision.reason}"
    if alert.case is not None:
        return f"Your report of {name} is decided. {alert.case.get_outcome_display()}: {alert.case.answer}"
    if alert.strike is not None:
        return f"You got a strike, which counts until {alert.strike.expires_at:%-d %B %Y}: {alert.strike.reason}"
    if alert.kind == Kind.APPEALED:
        return f"An owner appeals to release {name}."
    state = alert.appeal.state if alert.appeal else "open"
    news = "was answered by a moderator" if state == "open" else f"was {state}"
    return f"Your appeal about {name} {news}."


def _deed(alert: Alert, thread: Discussion, who: str) -> str:
    if alert.kind == Kind.MENTIONED:
        return f"{who} mentioned you in"
    if alert.kind == Kind.OPENED:
        return f"{who} proposes a change of {short_name(thread.base)} in" if thread.is_pull_request else f"{who} opened"
    return f"News from {who} in"
