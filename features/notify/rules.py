"""The table of events: for each kind which alerts it makes, for whom, and of which row. notices.py has their words."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.db.models.functions import Now

from features.notify.models import Alert, RepositoryWatch
from features.notify.recipients import concerned, mentioned, moderators, owners, participants, person, reporters
from registry import models
from registry.kernel import outbox
from registry.kernel.outbox import Kind as Happened
from registry.proof import reports
from registry.repos.refs import BRANCHES, TAGS, VERIFIED

Kind, State, Status, Level = Alert.Kind, models.Verdict.State, models.AccessRequest.Status, RepositoryWatch.Level
RELEASES = (Level.ALL, Level.RELEASES)
FALLBACK = models.AliasMove.Action.FALLBACK
ALIAS = ("alias", "action", "after")
QUOTA, LIMITS = ("owner", "percent", "bytes", "limit"), ("owner", "bytes", "repositories", "reason")


@dataclass(frozen=True)
class Rule:
    """The alerts that an event makes for people whom it concerns."""

    # Row ids of people by the kind of their alert; the last kind for a person counts.
    who: Mapping[Alert.Kind, Callable[[models.OutboxEvent, Any], Iterable[int]]]
    about: Callable[[models.OutboxEvent], Model | None] | None = None  # the row that it is about; None if that is gone
    when: Callable[[models.OutboxEvent], bool] | None = None  # whether it is news
    data: tuple[str, ...] = ()  # names of the event's data that the alert keeps
    is_by_hub: bool = False  # the person who caused the event is alerted too, and not named
    # What is done before, with the people.
    first: Callable[[models.OutboxEvent, Any, Collection[int]], object] | None = None


@dataclass(frozen=True)
class News:
    """The alert that an event makes for people who watch the repository, or follow its owner or its base."""

    kind: Alert.Kind
    about: Callable[[models.OutboxEvent], Model | None] | None = None
    when: Callable[[models.OutboxEvent], bool] | None = None
    data: tuple[str, ...] = ()
    levels: tuple[str, ...] = (Level.ALL,)
    for_followers: bool = False
    for_base: bool = False  # for followers of the base too, if no version passed before


# --- rows that events are about --------------------------------------------------------------------------------------
def _by_id(model: type[Model], name: str, *joined: str) -> Callable[[models.OutboxEvent], Model | None]:
    rows = model._default_manager.select_related(*joined) if joined else model._default_manager.all()

    def find(event: models.OutboxEvent) -> Model | None:
        named = event.data.get(name)
        return rows.filter(pk=named["id"] if isinstance(named, dict) else named).first()

    return find


_verdict = _by_id(models.Verdict, "verdict", "revision__repository__namespace", "revision__author")
_request = _by_id(models.AccessRequest, "request", "repository__namespace", "user")
_discussion = _by_id(models.Discussion, "discussion", "repository__namespace")
_invitation = _by_id(models.Invitation, "invitation")
_decision = _by_id(models.ModerationDecision, "decision", "repository__namespace", "revision__author")
_strike = _by_id(models.Strike, "strike")
_appeal = _by_id(models.Appeal, "appeal", "decision__repository")
_namespace = _by_id(models.Namespace, "namespace")


def _newest_verdict(event: models.OutboxEvent) -> Model | None:
    if event.kind == Happened.VERDICT_REACHED:
        return _verdict(event)
    rows = models.Verdict.objects.filter(revision__repository=outbox.snapshot(event).id, finished_at__isnull=False)
    return rows.filter(revision__oid=event.data["revision"]).order_by("-number").first()


def _revision(event: models.OutboxEvent) -> Model | None:
    rows = models.Revision.objects.select_related("repository__namespace", "author")
    return rows.filter(repository=outbox.snapshot(event).id, oid=event.data["revision"]).first()


def _repository(event: models.OutboxEvent) -> Model | None:
    return models.Repository.objects.select_related("namespace").filter(pk=outbox.snapshot(event).id).first()


# --- when an event is news -------------------------------------------------------------------------------------------
def _is_failure(event: models.OutboxEvent) -> bool:
    """Return whether a verdict is news: once a failure, and an error of the hub if the last verdict was good."""
    state, was = event.data["state"], event.data["was"] or ""
    is_good = was in ("", State.PASSED)
    is_worse = was != State.FAILED if state == State.FAILED else state == State.ERRORED and is_good
    return bool(event.data["is_main"] and is_worse)


def _is_verified(event: models.OutboxEvent) -> bool:
    """Return whether a version of main passed, or is held back no longer, and is `verified`."""
    data = event.data
    if event.kind == Happened.VERDICT_REACHED:
        is_news = data["is_main"] and data["state"] == State.PASSED and data["was"] != State.PASSED
    else:
        is_news = not data["held"]
    repository = outbox.snapshot(event).id
    here = models.Ref.objects.filter(repository=repository, name=VERIFIED, revision__oid=data["revision"])
    return bool(is_news and here.exists())


def _is_released(event: models.OutboxEvent) -> bool:
    """Return whether the tag of a release is still there and its version is not held back."""
    tag = models.Ref.objects.filter(repository=outbox.snapshot(event).id, name=TAGS + event.data["tag"])
    return tag.filter(revision__quarantined_at=None).exists()


def _is_on_branch(event: models.OutboxEvent) -> bool:
    return bool(event.data["is_push"] and event.data["ref"].startswith(BRANCHES))


def _if(name: str, value: object = True) -> Callable[[models.OutboxEvent], bool]:
    return lambda event: bool(event.data[name] == value)


# --- what is done first ----------------------------------------------------------------------------------------------
def _move_older(event: models.OutboxEvent, verdict: models.Verdict, people: Collection[int]) -> None:
    """Let an unread alert of a failure for the same reason at the revision before lead to this verdict."""
    before = models.Verdict.objects.filter(revision=verdict.revision.parent_id, state=verdict.state)
    last = before.order_by("-number").first()
    if last and reports.refusal(last.report) == reports.refusal(verdict.report):
        Alert.objects.filter(verdict=last, read_at__isnull=True).update(verdict=verdict)


def _decided(event: models.OutboxEvent, request: models.AccessRequest) -> list[int]:
    """Return the person who asked, nobody if the decision was withdrawn before it was read."""
    return [] if event.data["status"] == Status.PENDING else [request.user_id]


def _close_request(event: models.OutboxEvent, request: models.AccessRequest, people: Collection[int]) -> None:
    """Mark the owners' alerts as read once no request is pending; a decision that is withdrawn is no news."""
    unread = Alert.objects.filter(repository=request.repository, read_at__isnull=True)
    if not request.repository.access_requests.filter(status=Status.PENDING).exists():
        unread.filter(kind=Kind.ASKED).update(read_at=Now())
    if not people:
        unread.filter(kind=Kind.DECIDED, user=request.user).delete()


def _delete_invited(event: models.OutboxEvent, invitation: models.Invitation, people: Collection[int]) -> None:
    Alert.objects.filter(invitation=invitation).delete()


def _delete_appealed(event: models.OutboxEvent, appeal: models.Appeal, people: Collection[int]) -> None:
    Alert.objects.filter(appeal=appeal, user__in=people, read_at__isnull=True).delete()


def _delete_full(event: models.OutboxEvent, namespace: models.Namespace, people: Collection[int]) -> None:
    Alert.objects.filter(kind=Kind.QUOTA, data__owner=event.data["owner"], read_at__isnull=True).delete()


# --- the table -------------------------------------------------------------------------------------------------------
_SAID = Rule({Kind.SAID: participants, Kind.MENTIONED: mentioned}, _discussion, _if("is_news"))
RULES: dict[str, Rule] = {
    Happened.VERDICT_REACHED: Rule({Kind.VERDICT: concerned}, _verdict, _is_failure, first=_move_older),
    Happened.REGRESSION: Rule(
        {Kind.REGRESSED: concerned}, _revision, _if("held"), ("revision", "because"), is_by_hub=True
    ),
    Happened.ACCESS_ASKED: Rule({Kind.ASKED: owners}, _request),
    Happened.ACCESS_DECIDED: Rule({Kind.DECIDED: _decided}, _request, first=_close_request),
    Happened.DISCUSSION_OPENED: Rule({Kind.OPENED: owners, Kind.MENTIONED: mentioned}, _discussion, _if("is_news")),
    Happened.DISCUSSION_CHANGED: _SAID,
    Happened.COMMENT_ADDED: _SAID,
    Happened.INVITED: Rule({Kind.INVITED: person}, _invitation, first=_delete_invited),
    Happened.QUARANTINED: Rule({Kind.HELD: concerned}, _decision),
    Happened.RELEASED: Rule({Kind.RELEASED: concerned}, _decision),
    Happened.ALIAS_MOVED: Rule(
        {Kind.ALIAS_FELL_BACK: owners}, _repository, _if("action", FALLBACK), ALIAS, is_by_hub=True
    ),
    Happened.CASE_CLOSED: Rule({Kind.REPORT: reporters}, lambda event: models.Case(pk=event.data["case"])),
    Happened.STRUCK: Rule({Kind.STRIKE: person}, _strike),
    Happened.APPEALED: Rule({Kind.APPEALED: moderators}, _appeal, first=_delete_appealed),
    Happened.APPEAL_ANSWERED: Rule({Kind.ANSWERED: person}, _appeal, first=_delete_appealed),
    Happened.SIGNED_IN: Rule({Kind.SIGNED_IN: person}, data=("browser", "address")),
    Happened.QUOTA_REACHED: Rule({Kind.QUOTA: owners}, _namespace, data=QUOTA, first=_delete_full),
    Happened.QUOTA_CHANGED: Rule({Kind.QUOTA_CHANGED: owners}, _namespace, data=LIMITS),
}
_VERIFIED = News(Kind.VERIFIED, _newest_verdict, _is_verified, levels=RELEASES, for_followers=True, for_base=True)
_SAID_HERE = News(Kind.SAID, _discussion, _if("is_news"))
NEWS: dict[str, tuple[News, ...]] = {  # of an event the first that is news
    Happened.REF_MOVED: (News(Kind.PUSHED, when=_is_on_branch),),
    Happened.CREATED: (News(Kind.CREATED, levels=(), for_followers=True),),
    Happened.VERDICT_REACHED: (News(Kind.VERDICT, _verdict, _is_failure), _VERIFIED),
    Happened.REGRESSION: (_VERIFIED,),
    Happened.ALIAS_MOVED: (News(Kind.ALIAS_MOVED, data=ALIAS),),
    Happened.RELEASE_CREATED: (News(Kind.RELEASE_MADE, when=_is_released, data=("tag",), levels=RELEASES),),
    Happened.DISCUSSION_OPENED: (News(Kind.OPENED, _discussion, _if("is_news")),),
    Happened.DISCUSSION_CHANGED: (_SAID_HERE,),
    Happened.COMMENT_ADDED: (_SAID_HERE,),
}
