"""Creates alerts for people who watch a repository, or follow its owner or its base.

One event alerts at most AT_ONCE people, with the same few queries for one and for all; for those who are left it
records another event, so that no transaction and no reader waits for thousands of rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, QuerySet

from registry.kernel import outbox, policy
from registry.kernel.outbox import Kind as Happened
from registry.models import (
    Alert,
    BaseFollow,
    Discussion,
    Follow,
    OutboxEvent,
    Ref,
    Repository,
    RepositoryWatch,
    Topic,
    Verdict,
)
from registry.repos import bases
from registry.repos.refs import BRANCHES, TAGS, VERIFIED
from registry.talk.alerts import alert_rows, recipients
from registry.talk.alerts.alerting import is_news

Kind, Level = Alert.Kind, RepositoryWatch.Level
AT_ONCE = 500  # people alerted by one event


@dataclass(frozen=True)
class News:
    """An occurrence at a repository, and its audience besides the people who watch everything there."""

    kind: Alert.Kind
    levels: tuple[str, ...] = (Level.ALL,)
    for_followers: bool = False
    base: str = ""  # whose followers hear of it too
    columns: dict[str, Any] = field(default_factory=dict)  # of the alerts


def consume(event: OutboxEvent) -> None:
    """Alert the first people who watch or follow; record an event for the others."""
    kind, data, after = event.kind, event.data, 0
    if kind == Happened.FANNED_OUT:
        kind, data, after = data["of"], data["event"], data["after"]
    if kind not in READERS:
        return
    repository = _current(event)
    news = READERS[kind](repository, data) if repository else None
    if repository is None or news is None:
        return
    people, last = _audience(news, repository, after)
    if people:
        _alert(news, repository, people, event)
    if last:
        more = outbox.event(Happened.FANNED_OUT, repository, event.by, of=kind, event=data, after=last)
        more.at = event.at
        outbox.record_all([more])


def _current(event: OutboxEvent) -> Repository | None:
    """Return the repository as it is now, private also if it was at the event; None if it is gone or withheld."""
    then = outbox.snapshot(event)
    repository = Repository.objects.select_related("namespace__person").filter(pk=then.id).first()
    if repository is None or policy.is_withheld(repository) or repository.is_main_held:
        return None
    repository.private = repository.private or then.private
    return repository


# --- events ----------------------------------------------------------------------------------------------------------
def _pushed(repository: Repository, data: dict[str, Any]) -> News | None:
    is_of_branch = data["is_push"] and data["ref"].startswith(BRANCHES)
    return News(Kind.PUSHED) if is_of_branch else None


def _created(repository: Repository, data: dict[str, Any]) -> News:
    return News(Kind.CREATED, levels=(), for_followers=True)


def _judged(repository: Repository, data: dict[str, Any]) -> News | None:
    """Return the news that a version of main is verified now, or that it does not pass."""
    state, was = data["state"], data["was"] or ""
    if not data["is_main"]:
        return None
    verdict = Verdict.objects.filter(pk=data["verdict"], revision__repository=repository).first()
    if verdict is None:
        return None
    if is_news(state, was):
        return News(Kind.VERDICT, columns={"verdict": verdict})
    if state != Verdict.State.PASSED or was == state or not _is_verified(repository, verdict):
        return None
    return _verified(repository, verdict)


def _regression_changed(repository: Repository, data: dict[str, Any]) -> News | None:
    """Return the news that a version that was held back is verified now."""
    rows = Verdict.objects.filter(revision__repository=repository, revision__oid=data["revision"])
    verdict = rows.filter(finished_at__isnull=False).order_by("-number").first()
    if verdict is None or data["held"] or not _is_verified(repository, verdict):
        return None
    return _verified(repository, verdict)


def _is_verified(repository: Repository, verdict: Verdict) -> bool:
    return Ref.objects.filter(repository=repository, name=VERIFIED, revision=verdict.revision_id).exists()


def _verified(repository: Repository, verdict: Verdict) -> News:
    passed = Verdict.objects.filter(revision__repository=repository, state=Verdict.State.PASSED)
    others = passed.exclude(revision=verdict.revision_id)
    base = "" if others.exists() else bases.canonical_name(repository.base)
    levels = (Level.ALL, Level.RELEASES)
    return News(Kind.VERIFIED, levels, for_followers=True, base=base, columns={"verdict": verdict})


def _alias_moved(repository: Repository, data: dict[str, Any]) -> News:
    return News(Kind.ALIAS_MOVED, columns={"data": {name: data[name] for name in ("alias", "action", "after")}})


def _release_made(repository: Repository, data: dict[str, Any]) -> News | None:
    """Return the news of a release, unless it is gone or its version is held back."""
    release = repository.releases.filter(ref__name=TAGS + data["tag"], ref__revision__quarantined_at=None)
    if not release.exists():
        return None
    return News(Kind.RELEASE_MADE, (Level.ALL, Level.RELEASES), columns={"data": {"tag": data["tag"]}})


def _discussed(repository: Repository, data: dict[str, Any], kind: Alert.Kind = Kind.SAID) -> News | None:
    if not data["is_news"] or not RepositoryWatch.objects.filter(repository=repository, level=Level.ALL).exists():
        return None  # as nearly always: threads are many, and people who watch everything are few
    discussion = Discussion.objects.filter(pk=data["discussion"]["id"]).first()
    return News(kind, columns={"discussion": discussion}) if discussion else None


READERS: dict[str, Callable[[Repository, dict[str, Any]], News | None]] = {
    Happened.REF_MOVED: _pushed,
    Happened.CREATED: _created,
    Happened.VERDICT_REACHED: _judged,
    Happened.REGRESSION: _regression_changed,
    Happened.ALIAS_MOVED: _alias_moved,
    Happened.RELEASE_CREATED: _release_made,
    Happened.DISCUSSION_OPENED: lambda repository, data: _discussed(repository, data, Kind.OPENED),
    Happened.DISCUSSION_CHANGED: _discussed,
    Happened.COMMENT_ADDED: _discussed,
}


# --- people ----------------------------------------------------------------------------------------------------------
def _sources(news: News, repository: Repository, after: int) -> Iterator[tuple[list[int], Topic, str]]:
    """Yield people who want the news, in their order after this one: their row ids, the topic, the base they follow."""
    if news.levels:
        watches = RepositoryWatch.objects.filter(repository=repository, level__in=news.levels)
        yield _next(watches, "user", after), Topic.WATCHED, ""
    if news.for_followers:
        yield _next(Follow.objects.filter(namespace=repository.namespace_id), "follower", after), Topic.FOLLOWED, ""
    if news.base:
        yield _next(BaseFollow.objects.filter(base=news.base), "follower", after), Topic.FOLLOWED, news.base


def _next(rows: QuerySet[Any], column: str, after: int) -> list[int]:
    """Return the next people of these rows after this one, in their order: one more than are alerted at once."""
    later = rows.filter(**{f"{column}__gt": after}).order_by(column)
    return list(later.values_list(column, flat=True)[: AT_ONCE + 1])


def _audience(news: News, repository: Repository, after: int) -> tuple[dict[int, tuple[Topic, str]], int]:
    """Return the next people (row id → topic, base), and the last of them if more follow, else 0."""
    people: dict[int, tuple[Topic, str]] = {}
    for rows, topic, base in _sources(news, repository, after):
        for person in rows:
            people.setdefault(person, (topic, base))
    chosen = sorted(people)[:AT_ONCE]
    return {person: people[person] for person in chosen}, chosen[-1] if len(people) > AT_ONCE else 0


def _alert(news: News, repository: Repository, people: dict[int, tuple[Topic, str]], event: OutboxEvent) -> None:
    """Alert those of these people who may see the repository, except those alerted of it for a better reason."""
    topics = {person: topic for person, (topic, _) in people.items()}
    sees = policy.readers_of(repository) & ~Q(pk__in=_alerted(news))
    chosen = recipients.select(topics, event.by, repository, sees)
    if news.kind == Kind.VERDICT:
        alert_rows.insert(news.kind, chosen, event.by, repository=repository, **news.columns)
        return
    bases_of = {person: base for person, (_, base) in people.items()}
    alert_rows.replace(
        repository, dict.fromkeys(chosen, news.kind), chosen, event.by, bases_of=bases_of, **news.columns
    )


def _alerted(news: News) -> QuerySet[Alert, int]:
    """Return the people whom alerting.py has alerted of the same thread: as owner, participant, or by name."""
    rows = Alert.objects.filter(read_at__isnull=True).exclude(topic=Topic.WATCHED).values_list("user", flat=True)
    discussion = news.columns.get("discussion")
    return rows.filter(discussion=discussion) if discussion else rows.none()
