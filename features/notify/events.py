"""Events and sweeps that create alerts, for people whom they concern and for those who watch or follow.

One event alerts at most AT_ONCE people who watch or follow, with the same few queries for one and for all; for those
who are left another event is recorded, so that no transaction and no reader waits for thousands of rows.
"""

from collections.abc import Callable, Iterator
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from features.notify import mail, recipients
from features.notify.models import Alert, RepositoryWatch, Topic
from features.notify.rules import NEWS, RULES, News, Rule
from registry.kernel import outbox, policy
from registry.kernel.outbox import Kind as Happened
from registry.kernel.policy import Caller
from registry.models import (
    Base,
    BaseFollow,
    Case,
    Discussion,
    Follow,
    Membership,
    OutboxEvent,
    Repository,
    Token,
    User,
    Verdict,
)
from registry.moderation import overdue
from registry.repos import bases

GRAVE = 3  # malware, backdoors, secrets, illegal content: reported by people or found by the hub
TOKENS, CASES = 500, 100  # rows of one run
Kind = Alert.Kind
AT_ONCE = 500  # people alerted by one event


# --- people whom it concerns -----------------------------------------------------------------------------------------
def consume(event: OutboxEvent) -> None:
    """Alert the people whom the event concerns; nobody if its subject is deleted."""
    if special := SPECIAL.get(event.kind):
        special(event)
    rule = RULES.get(event.kind)
    if rule is None or (rule.when and not rule.when(event)):
        return
    row = rule.about(event) if rule.about else None
    if rule.about and row is None:
        return
    kinds: dict[int, Alert.Kind] = {}
    for kind, who in rule.who.items():
        kinds |= dict.fromkeys(who(event, row), kind)
    if rule.first:
        rule.first(event, row, kinds)
    recipients.create(kinds, None if rule.is_by_hub else event.by, **_columns(rule, event, row))


def _columns(rule: Rule | News, event: OutboxEvent, row: Any) -> dict[str, Any]:
    """Return what alerts of an event about this row hold of both."""
    columns: dict[str, Any] = {"repository": recipients.repository_of(row)}
    names = [field.name for field in Alert._meta.fields if field.related_model is type(row)]
    columns |= dict.fromkeys(names, row)
    if rule.data:
        columns["data"] = {name: event.data[name] for name in rule.data if name in event.data}
    return columns


def _account_changed(event: OutboxEvent) -> None:
    data = {name: event.data[name] for name in ("change", "details")}
    now = timezone.now()  # hub/site/sign_in/allauth_adapters.py has sent its e-mail, of a proven address to the old one
    recipients.create({event.data["person"]: Kind.ACCOUNT}, data=data, mailed_at=now)
    if former_address := event.data.get("former_address"):
        account = User.objects.get(pk=event.data["person"])
        mail.send_address_changed(former_address, account.username, event.data["details"])


def _tokens_leaked(event: OutboxEvent) -> None:
    """Alert the people who can make a new token of each that was revoked: its owner, or administrators."""
    for token in event.data["tokens"]:
        owner = User.objects.filter(pk=token["owner"]).first() if token["owner"] else None
        if token["owner"] and owner is None:
            continue  # the account is gone meanwhile, and its tokens with it: nobody makes a new one
        administrators = User.objects.filter(role=User.Role.ADMIN, is_active=True)
        for person in responsible(owner) if owner else administrators:
            robot = owner.username if owner and owner.is_machine else ""
            data = {"token": token["name"], "robot": robot, "directory": owner is None}
            recipients.create({person.pk: Kind.TOKEN_LEAKED}, data=data | _place(event, person))


def _place(event: OutboxEvent, person: User) -> dict[str, object]:
    """Return where the token lay, if the person may see that repository."""
    if event.repository is None or not policy.may_see(Caller(user=person), outbox.snapshot(event).as_repository()):
        return {}
    return {"repository": outbox.snapshot(event).full_name, "files": event.data["files"]}


SPECIAL: dict[str, Callable[[OutboxEvent], None]] = {
    Happened.ACCOUNT_CHANGED: _account_changed,
    Happened.TOKENS_LEAKED: _tokens_leaked,
}


# --- people who watch or follow --------------------------------------------------------------------------------------
def fan_out(event: OutboxEvent) -> None:
    """Alert the first people who watch or follow; record an event for the others."""
    after, data = 0, event.data
    if event.kind == Happened.FANNED_OUT:
        after, then = data["after"], event.repository
        event = OutboxEvent(kind=data["of"], data=data["event"], repository=then, by=event.by, at=event.at)
    repository = _current(event) if event.kind in NEWS else None
    if repository is None:
        return
    news = next((news for news in NEWS[event.kind] if news.when is None or news.when(event)), None)
    if news is None:
        return
    people, last = _audience(news, repository, event, after)
    row = news.about(event) if people and news.about else None
    if not people or (news.about and row is None):
        return
    columns = _columns(news, event, row) | {"repository": repository}
    drafts = []
    for person, (topic, base) in people.items():
        own = columns | {"data": {"base": base}} if base else columns
        drafts.append(Alert(user_id=person, kind=news.kind, topic=topic, by=event.by, **own))
    recipients.write(drafts, event.by, policy.readers_of(repository) & ~Q(pk__in=_alerted(columns.get("discussion"))))
    if last:
        more = outbox.event(Happened.FANNED_OUT, repository, event.by, of=event.kind, event=event.data, after=last)
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


def _audience(
    news: News, repository: Repository, event: OutboxEvent, after: int
) -> tuple[dict[int, tuple[Topic, str]], int]:
    """Return the next people after this one (row id → topic, base they follow), and the last if more follow, else 0."""
    people: dict[int, tuple[Topic, str]] = {}
    for rows, column, topic, base in _sources(news, repository, event):
        later = rows.filter(**{f"{column}__gt": after}).order_by(column).values_list(column, flat=True)
        for person in later[: AT_ONCE + 1]:
            people.setdefault(person, (topic, base))
    chosen = sorted(people)[:AT_ONCE]
    return {person: people[person] for person in chosen}, chosen[-1] if len(people) > AT_ONCE else 0


def _sources(news: News, repository: Repository, event: OutboxEvent) -> Iterator[tuple[QuerySet[Any], str, Topic, str]]:
    """Yield rows of people who want the news: with the column of the person, the topic, and the base they follow."""
    if news.levels:
        yield RepositoryWatch.objects.filter(repository=repository, level__in=news.levels), "user", Topic.WATCHED, ""
    if news.for_followers:
        yield Follow.objects.filter(namespace=repository.namespace_id), "follower", Topic.FOLLOWED, ""
    if news.for_base and (base := _new_on_base(repository, event)):
        yield BaseFollow.objects.filter(base=base), "follower", Topic.FOLLOWED, base


def _new_on_base(repository: Repository, event: OutboxEvent) -> str:
    """Return the base of an adapter if no other version of it passed, "" for others."""
    passed = Verdict.objects.filter(revision__repository=repository, state=Verdict.State.PASSED)
    is_first = not passed.exclude(revision__oid=event.data["revision"]).exists()
    return bases.canonical_name(repository.base) if is_first else ""


def _alerted(discussion: Discussion | None) -> QuerySet[Alert, int]:
    """Return the people whom `consume` has alerted of the same thread: as owner, participant, or by name."""
    rows = Alert.objects.filter(read_at__isnull=True).exclude(topic=Topic.WATCHED).values_list("user", flat=True)
    return rows.filter(discussion=discussion) if discussion else rows.none()


# --- sweeps: bases that arrived, tokens that end soon, grave cases that wait -----------------------------------------
def tell_of_bases() -> None:
    """Alert the people who asked for a base that is in the base cache now; they go on following it."""
    asked = BaseFollow.objects.filter(asked_at__isnull=False)
    names = bases.canonical_names(asked.values_list("base", flat=True).distinct())
    here = set(Base.objects.filter(pk__in=names.values(), has_weights=True).values_list("pk", flat=True))
    for name, base in names.items():
        if base in here:
            with transaction.atomic():
                rows = list(asked.filter(base=name).select_for_update().order_by("pk")[:AT_ONCE])
                BaseFollow.objects.filter(pk__in=[row.pk for row in rows]).update(asked_at=None)
                people = [row.follower_id for row in rows]
                recipients.create(dict.fromkeys(people, Kind.BASE_ARRIVED), data={"base": base})


def remind() -> int:
    """Alert of tokens that end within Token.NOTICE, of each once; return how many there were.

    Tokens that live no longer than that end without an alert: their owner has just made them.
    """
    now = timezone.now()
    due = Token.objects.filter(reminded_at=None, expires_at__gt=now, expires_at__lte=now + Token.NOTICE)
    due = due.filter(created_at__lt=F("expires_at") - Token.NOTICE).select_related("user").order_by("expires_at")
    return sum(_remind(token) for token in due[:TOKENS])


def _remind(token: Token) -> bool:
    with transaction.atomic():
        if not Token.objects.filter(pk=token.pk, reminded_at=None).update(reminded_at=timezone.now()):
            return False  # another worker did
        people = responsible(token.user).values_list("pk", flat=True)
        recipients.create(dict.fromkeys(people, Alert.Kind.TOKEN_ENDS), token=token)
    return True


def responsible(owner: User) -> QuerySet[User]:
    """Return the person whose token it is, or who administers the organisation of a robot."""
    people = User.objects.filter(is_active=True)
    if not owner.is_machine:
        return people.filter(pk=owner.pk)
    admins = Membership.objects.filter(organization__namespace=owner.works_for_id, role=Membership.Role.ADMIN)
    return people.filter(pk__in=admins.values("user"))


def alarm() -> int:
    """Alert moderators of grave cases past the target time, again each time that it passes; return how many."""
    age = overdue.target()
    if age is None:
        return 0
    is_silent = Q(alarmed_at__isnull=True) | Q(alarmed_at__lt=timezone.now() - age)
    due = Case.objects.filter(overdue.is_overdue(), is_silent, severity=GRAVE).order_by("pk")
    return sum(_alarm(case) for case in due[:CASES])


def _alarm(case: Case) -> bool:
    with transaction.atomic():
        same = Case.objects.filter(pk=case.pk, alarmed_at=case.alarmed_at).exclude(state=Case.State.CLOSED)
        if not same.update(alarmed_at=timezone.now()):
            return False  # another worker did, or a moderator closed it
        staff = User.objects.filter(role__in=[User.Role.MODERATOR, User.Role.ADMIN], is_active=True)
        Alert.objects.filter(case=case, kind=Alert.Kind.OVERDUE, read_at__isnull=True).delete()
        people = staff.values_list("pk", flat=True)
        recipients.create(dict.fromkeys(people, Alert.Kind.OVERDUE), case=case)
    return True
