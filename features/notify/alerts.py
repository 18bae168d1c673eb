"""A person's alerts: lists, counts and marks them as read; events.py creates them."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from features.notify.models import Alert, Topic
from registry.kernel import policy
from registry.kernel.policy import Caller, listed_to
from registry.models import Ref, Repository, User
from registry.people.organizations import invitations
from registry.talk import dispatch

Kind = Alert.Kind
OF_MODERATION = (Kind.HELD, Kind.RELEASED, Kind.REPORT, Kind.STRIKE, Kind.APPEALED, Kind.ANSWERED, Kind.OVERDUE)
OF_ACCOUNTS = (
    *(Kind.SIGNED_IN, Kind.ACCOUNT, Kind.TOKEN_ENDS, Kind.TOKEN_LEAKED, Kind.QUOTA, Kind.QUOTA_CHANGED),
    Kind.BASE_ARRIVED,
)
# Of what other people own, as all of what is watched.
OF_NEWS = (Kind.PUSHED, Kind.VERIFIED, Kind.CREATED, Kind.ALIAS_MOVED, Kind.RELEASE_MADE)
# The kinds that are read when a person looks at a page: those about its row, if it is about one.
SEEN_ON: Mapping[str, tuple[Kind, ...]] = {
    "repository": (Kind.DECIDED, *OF_NEWS),
    "releases": (Kind.RELEASE_MADE,),
    "commits": (Kind.ALIAS_MOVED, Kind.ALIAS_FELL_BACK),
    "verdict": (Kind.REGRESSED,),
    "discussion": (Kind.OPENED, Kind.SAID, Kind.MENTIONED),
    "access": (Kind.ASKED,),
    "held": (Kind.HELD,),
    "appeal": (Kind.APPEALED, Kind.ANSWERED),
    "standing": (Kind.STRIKE,),
    "organizations": (Kind.INVITED,),
}
MAX_UNREAD = 99  # counted on every page


def of(user: User, by: Caller | None = None) -> QuerySet[Alert]:
    """Return the alerts that a person may still see, newest first; for a token, those that the token may see."""
    dispatch.catch_up()
    return _seen_by(user, by)


def _seen_by(user: User, by: Caller | None) -> QuerySet[Alert]:
    caller = by or Caller(user=user)
    open_ones = Exists(invitations.acceptable_invitations().filter(pk=OuterRef("invitation")))
    # News of a version that is held back or yanked tells of it, also where an older one is served.
    is_held = Q(revision__quarantined_at__isnull=False) | Q(revision__yanked_at__isnull=False)
    held = Ref.objects.filter(is_held, repository=OuterRef("repository"), name=Ref.MAIN)
    is_listed = Exists(Repository.objects.filter(listed_to(caller), pk=OuterRef("repository"))) & ~Exists(held)
    is_served = Q(verdict__revision__quarantined_at__isnull=True, verdict__revision__yanked_at__isnull=True)
    is_news = Q(kind__in=OF_NEWS) | Q(topic=Topic.WATCHED)
    seen: Any = ~is_news & policy.has_visible_repository(caller) | is_news & is_served & is_listed | open_ones
    if caller.token is None:  # what moderation tells a person is about what nobody may see
        seen = seen | Q(kind__in=(*OF_MODERATION, *OF_ACCOUNTS))
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
    """Return the number of unread alerts of a person, counted up to MAX_UNREAD + 1.

    Most people have none on most pages, and then nobody asks which of them they may still see, which takes long.
    """
    dispatch.catch_up()
    if not Alert.objects.filter(user=user, read_at__isnull=True).exists():  # quicker than what may be seen
        return 0
    return _seen_by(user, by).filter(read_at__isnull=True)[: MAX_UNREAD + 1].count()


def read(user: User, up_to: int, topic: str = "") -> int:
    """Mark all alerts (of one topic) up to this row id as read; return the number of changed alerts."""
    rows = Alert.objects.filter(user=user, pk__lte=up_to, read_at__isnull=True)
    return (rows.filter(topic=topic) if topic else rows).update(read_at=Now())


def unread_topics(user: User) -> set[Topic]:
    """Return the topics of which a person has unread alerts."""
    rows = of(user).filter(read_at__isnull=True).order_by().values_list("topic", flat=True).distinct()
    return {Topic(topic) for topic in rows}


def saw(user: User, page: str, row: Model | None = None) -> None:
    """Mark the alerts about a page as read, because the person looks at it now."""
    if kinds := SEEN_ON.get(page):
        dispatch.catch_up()
        about = {str(row._meta.model_name): row} if row else {}
        rows = Alert.objects.filter(user=user, kind__in=kinds, read_at__isnull=True, **about)
        if rows.exists():  # usually there are none, and then a reader needs no write lock
            rows.update(read_at=Now())


def set_mail(user: User, wanted: bool) -> None:
    """Turn e-mail alerts on or off but for mandatory ones; after turning off, earlier alerts are never sent."""
    User.objects.filter(pk=user.pk).update(mail_alerts=wanted)
    if not wanted:
        Alert.objects.filter(user=user, mailed_at__isnull=True).exclude(mail=Alert.Mail.ALWAYS).update(mailed_at=Now())
    user.mail_alerts = wanted
