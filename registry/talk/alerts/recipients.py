"""The recipients of an alert: nobody who caused it, ignores the repository, switched the topic off, or has enough."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from registry.kernel.second_factors import in_force
from registry.models import Alert, Membership, Namespace, Repository, RepositoryWatch, Topic, User
from registry.talk.alerts import topics

MAX_RECIPIENTS = 50  # people alerted of one event
MAX_FROM_ONE = 50  # unread alerts that one person causes for another: more are noise


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person (row id), the topic under which they get an alert, and how it is sent by e-mail."""

    user: int
    topic: Topic
    mail: str


def owners_of(namespace: Namespace, teams: Collection[int] = ()) -> QuerySet[User]:
    """Return the person whose namespace it is, or the administrators of the organisation and members of the teams."""
    if namespace.kind == Namespace.Kind.PERSON:
        rows = User.objects.filter(namespace=namespace)
    else:
        members = Membership.objects.filter(in_force(), organization__namespace=namespace)
        admins = members.filter(Q(role=Membership.Role.ADMIN) | Q(teams__team__in=teams))
        rows = User.objects.filter(pk__in=admins.values("user"))
    return rows.filter(is_active=True).order_by("pk")


def select(
    people: Mapping[int, Topic], by: User | None, repository: Repository | None = None, sees: Q | None = None
) -> dict[int, Recipient]:
    """Return the recipients among these people (row id → topic), in their order, with two queries however many.

    `sees` is a further condition on people. Mandatory topics reach everybody but the actor and suspended people.
    """
    rows = User.objects.filter(sees or Q(), pk__in=list(people), is_active=True, kind=User.Kind.PERSON)
    optional = [person for person, topic in people.items() if not topics.RULES[topic].is_mandatory]
    if repository is not None:
        rows = rows.exclude(pk__in=_ignoring(repository).filter(user__in=optional))
    if by is not None:
        rows = rows.exclude(pk=by.pk).exclude(pk__in=_sated(by).filter(user__in=optional))
    active = set(rows.values_list("pk", flat=True))
    mails = topics.mails({person: topic for person, topic in people.items() if person in active})
    return {person: Recipient(person, topic, mails[person]) for person, topic in people.items() if person in mails}


def _ignoring(repository: Repository) -> QuerySet[RepositoryWatch, int]:
    rows = RepositoryWatch.objects.filter(repository=repository, level=RepositoryWatch.Level.IGNORE)
    return rows.values_list("user", flat=True)


def _sated(by: User) -> QuerySet[Alert, int]:
    """Return the people who have MAX_FROM_ONE unread alerts of the actor's."""
    unread = Alert.objects.filter(by=by, read_at__isnull=True).order_by().values("user").annotate(rows=Count("pk"))
    return unread.filter(rows__gte=MAX_FROM_ONE).values_list("user", flat=True)
