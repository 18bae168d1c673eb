"""The recipients of alerts: who an event concerns, and which of these people get a row and an e-mail."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Count, Max, Q, QuerySet

from features.notify import preferences
from features.notify.models import Alert, RepositoryWatch, Topic
from features.notify.notices import NOTICES
from registry.kernel import outbox, policy
from registry.kernel.callers import in_force
from registry.models import (
    AbuseReport,
    Appeal,
    Discussion,
    Membership,
    Namespace,
    OutboxEvent,
    Repository,
    Revision,
    User,
    Verdict,
)

Kind = Alert.Kind
MAX_RECIPIENTS = 50  # people alerted of one event
MAX_FROM_ONE = 50  # unread alerts that one person causes for another: more are noise
OF_MODERATORS = (Topic.HOLDS, Topic.REPORTS)
ONCE_UNREAD = (  # an unread one is replaced, those about a thread by one of any kind
    *(Kind.ASKED, Kind.DECIDED, Kind.PUSHED, Kind.VERIFIED, Kind.CREATED, Kind.ALIAS_MOVED, Kind.RELEASE_MADE),
    *(Kind.SAID, Kind.OPENED, Kind.MENTIONED),  # the strongest last: its words stay
)


# --- who it concerns -------------------------------------------------------------------------------------------------
def repository_of(subject: Any) -> Repository | None:
    """Return the repository that a row is about, None for rows of people and organisations."""
    if isinstance(subject, Verdict):
        return subject.revision.repository
    if isinstance(subject, Appeal):
        return subject.decision.repository
    repository: Repository | None = subject if isinstance(subject, Repository) else getattr(subject, "repository", None)
    return repository


def owners(event: OutboxEvent, subject: Any) -> list[int]:
    """Return the person who owns it, or the administrators: of the organisation, and of the repository by a team."""
    repository = repository_of(subject)
    namespace: Namespace = repository.namespace if repository else subject
    if namespace.kind == Namespace.Kind.PERSON:
        rows = User.objects.filter(namespace=namespace)
    else:
        teams = policy.teams_with_role(repository, {Membership.Role.ADMIN}) if repository else set()
        members = Membership.objects.filter(in_force(), organization__namespace=namespace)
        admins = members.filter(Q(role=Membership.Role.ADMIN) | Q(teams__team__in=teams))
        rows = User.objects.filter(pk__in=admins.values("user"))
    return list(rows.filter(is_active=True).order_by("pk").values_list("pk", flat=True)[:MAX_RECIPIENTS])


def concerned(event: OutboxEvent, subject: Any) -> list[int]:
    """Return the owners, and the author of the commit if that person may still push."""
    people, repository = owners(event, subject), repository_of(subject)
    revision = subject if isinstance(subject, Revision) else subject.revision
    author = revision.author if revision else None
    if repository and author and author.is_active and policy.may_write(policy.Caller(user=author), repository):
        people.append(author.pk)
    return people


def participants(event: OutboxEvent, thread: Discussion) -> list[int]:
    """Return the owners, the author of the thread and its most recent participants."""
    rows = thread.events.values("author").annotate(last=Max("pk")).order_by("-last")
    return [*owners(event, thread), thread.author_id, *rows.values_list("author", flat=True)[:MAX_RECIPIENTS]]


def mentioned(event: OutboxEvent, subject: object) -> Iterable[int]:
    """Return the people whom the text names and who may read it."""
    if not event.data["mentions"]:
        return []
    may_read = policy.readers_of(outbox.snapshot(event).as_repository())
    people = User.objects.filter(may_read, namespace__name__lower__in=event.data["mentions"])
    return people.values_list("pk", flat=True)


def moderators(event: OutboxEvent, subject: object) -> Iterable[int]:
    """Return those who decide cases."""
    staff = User.objects.filter(role__in=[User.Role.MODERATOR, User.Role.ADMIN], is_active=True)
    return staff.order_by("pk").values_list("pk", flat=True)[:MAX_RECIPIENTS]


def reporters(event: OutboxEvent, subject: object) -> Iterable[int]:
    """Return the people whose reports are in a case."""
    reports = AbuseReport.objects.filter(case=event.data["case"], reporter__isnull=False)
    return reports.values_list("reporter", flat=True)


def person(event: OutboxEvent, subject: Any) -> list[int]:
    """Return the person of a request, an invitation, a strike or an appeal, or whose account it is."""
    return [subject.user_id if subject else event.data["person"]]


# --- rows ------------------------------------------------------------------------------------------------------------
def create(kinds: Mapping[int, Kind], by: User | None = None, **columns: Any) -> None:
    """Write an alert for each person (row id → kind) who wants it.

    Which moderator decided something is not stored: only moderators may see that.
    """
    drafts = []
    for number, kind in kinds.items():
        topic = NOTICES[kind].topic
        shown = None if topic in OF_MODERATORS else by
        drafts.append(Alert(user_id=number, kind=kind, topic=topic, by=shown, **columns))
    write(drafts, by)


def write(drafts: Iterable[Alert], by: User | None, sees: Q | None = None) -> None:
    """Write those of these alerts, one a person, that their people want, with the same few queries for all.

    `sees` is a further condition on people. Mandatory topics reach everybody but the actor and suspended people.
    """
    wanted = {draft.user_id: draft for draft in drafts}
    if not wanted:
        return
    reached = set(_reached(wanted, by, sees))
    mails = preferences.mails({number: Topic(draft.topic) for number, draft in wanted.items() if number in reached})
    chosen = {number: wanted[number] for number in mails}
    for number, mail in mails.items():
        chosen[number].mail = mail
    _replace({number: draft for number, draft in chosen.items() if draft.kind in ONCE_UNREAD})
    Alert.objects.bulk_create(chosen.values(), ignore_conflicts=True)  # who has one about the same keeps it


def _reached(wanted: Mapping[int, Alert], by: User | None, sees: Q | None) -> QuerySet[User, int]:
    """Return the people who did not cause it, do not ignore the repository, and have not too much from the actor."""
    rows = User.objects.filter(sees or Q(), pk__in=list(wanted), is_active=True, kind=User.Kind.PERSON)
    optional = [number for number, draft in wanted.items() if draft.topic in preferences.OPTIONAL]
    if repository := next(iter(wanted.values())).repository:
        ignored = RepositoryWatch.objects.filter(repository=repository, level=RepositoryWatch.Level.IGNORE)
        rows = rows.exclude(pk__in=ignored.filter(user__in=optional).values("user"))
    if by is not None:
        unread = Alert.objects.filter(by=by, read_at__isnull=True).order_by().values("user").annotate(rows=Count("pk"))
        sated = unread.filter(rows__gte=MAX_FROM_ONE).values("user").filter(user__in=optional)
        rows = rows.exclude(pk=by.pk).exclude(pk__in=sated)
    return rows.values_list("pk", flat=True)


def _replace(drafts: Mapping[int, Alert]) -> None:
    """Delete unread alerts about the same discussion, else of the same kind, and count them in these."""
    if not drafts:
        return
    first, kinds = next(iter(drafts.values())), {draft.kind for draft in drafts.values()}
    unread = Alert.objects.filter(user__in=list(drafts), repository=first.repository, read_at__isnull=True)
    unread = unread.filter(discussion=first.discussion) if first.discussion else unread.filter(kind__in=kinds)
    before = {alert.user_id: alert for alert in unread}
    unread.delete()
    for number, old in before.items():
        new = drafts[number]
        new.count += old.count
        if ONCE_UNREAD.index(old.kind) > ONCE_UNREAD.index(new.kind):
            new.kind, new.topic, new.by_id = old.kind, old.topic, old.by_id
