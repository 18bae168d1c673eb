"""Preferences of people: the channel of each topic of alerts, which have defaults, and watched repositories.

Links in e-mails end those of a topic without a sign-in: signed, for one person, without an end.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.core import signing
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_noop as _

from features.notify.models import Alert, Channel, RepositoryWatch, Topic, TopicChoice
from registry.kernel import policy
from registry.kernel.errors import NotAllowed, ValueInvalid
from registry.kernel.policy import Caller
from registry.models import Repository, User

Mail, Level = Alert.Mail, RepositoryWatch.Level
MAILS = {Channel.SITE: Mail.NONE, Channel.DIGEST: Mail.DIGEST, Channel.MAIL: Mail.NOW}
HOURS = range(24)
MAX_WATCHED = 5_000  # repositories of one person
SALT = "registry.talk.unsubscribing"  # of links in e-mails that were sent


@dataclass(frozen=True)
class Rule:
    """A topic in English words, which the settings page translates, and its channel for a person who chose none."""

    label: str
    help: str
    default: Channel = Channel.MAIL
    is_mandatory: bool = False  # always sent by e-mail, at once
    is_for_staff: bool = False  # only moderators and administrators get it


RULES: dict[Topic, Rule] = {
    Topic.OWN: Rule(
        _("Your adapters"), _("One of your adapters failed or stopped passing, or one of your aliases fell back.")
    ),
    Topic.ACCESS: Rule(
        _("Access to files"), _("Somebody requests access to your files, or your own request is decided.")
    ),
    Topic.DISCUSSIONS: Rule(_("Discussions"), _("Threads on your adapters and threads you take part in.")),
    Topic.MENTIONS: Rule(_("Mentions"), _("Somebody mentions you with @ and your name.")),
    Topic.INVITATIONS: Rule(_("Invitations"), _("An organisation invites you.")),
    Topic.WATCHED: Rule(_("Watched adapters"), _("News about the adapters you watch."), Channel.DIGEST),
    Topic.FOLLOWED: Rule(
        _("People, organisations and bases you follow"), _("New adapters and new verified versions."), Channel.DIGEST
    ),
    Topic.REPORTS: Rule(_("Your reports"), _("Moderators decided on something you reported.")),
    Topic.CASES: Rule(_("Moderation"), _("Owners appeal, or reply in an appeal."), Channel.DIGEST, is_for_staff=True),
    Topic.OVERDUE: Rule(
        _("Overdue cases"), _("A severe case has been open longer than this hub's target."), is_for_staff=True
    ),
    Topic.HOLDS: Rule(
        _("Decisions about you"),
        _("Something of yours is held back or released; strikes and appeals."),
        is_mandatory=True,
    ),
    Topic.USAGE: Rule(_("Quota"), _("You or your organisations get close to a storage limit, or the limit changes.")),
    Topic.SECURITY: Rule(
        _("Security"),
        _("Sign-ins from new places, changes of your account, tokens about to end, leaked tokens."),
        is_mandatory=True,
    ),
}
OPTIONAL = tuple(topic for topic, rule in RULES.items() if not rule.is_mandatory)


def offered(user: User) -> list[Topic]:
    """Return the topics that this person can choose a channel for, in the order of the settings page."""
    is_staff = user.role != User.Role.USER
    return [topic for topic in OPTIONAL if is_staff or not RULES[topic].is_for_staff]


def channels(user: User) -> dict[Topic, Channel]:
    """Return the channel of every topic that this person can choose one for."""
    chosen = dict(TopicChoice.objects.filter(user=user).values_list("topic", "channel"))
    return {topic: Channel(chosen.get(topic, RULES[topic].default)) for topic in offered(user)}


def mails(people: Mapping[int, Topic]) -> dict[int, str]:
    """Return how an alert is sent by e-mail to each of these people (row id → topic) who did not switch it off."""
    rows = TopicChoice.objects.filter(user__in=people, topic__in=set(people.values()))
    chosen = {(user, topic): channel for user, topic, channel in rows.values_list("user", "topic", "channel")}
    wanted: dict[int, str] = {}
    for person, topic in people.items():
        rule = RULES[topic]
        channel = Channel(chosen.get((person, topic), rule.default))
        if rule.is_mandatory:
            wanted[person] = Mail.ALWAYS
        elif channel != Channel.OFF:
            wanted[person] = MAILS[channel]
    return wanted


def choose(user: User, chosen: Mapping[Topic, str]) -> None:
    """Set channels of a person; alerts that wait for an e-mail follow. Raises ValueInvalid."""
    for topic, channel in chosen.items():
        if topic not in OPTIONAL or channel not in Channel.values:
            raise ValueInvalid(
                f"The topic {topic!r} does not support the channel {channel!r}.", fix="Choose one of those shown."
            )
    rows = [TopicChoice(user=user, topic=topic, channel=channel) for topic, channel in chosen.items()]
    with transaction.atomic():
        TopicChoice.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["user", "topic"], update_fields=["channel"]
        )
        waiting = Alert.objects.filter(user=user, mailed_at__isnull=True).exclude(mail=Mail.ALWAYS)
        for topic, channel in chosen.items():
            waiting.filter(topic=topic).exclude(mail=Mail.NONE).update(mail=MAILS.get(Channel(channel), Mail.NONE))


def stop_mail(user: User, stopped: Iterable[Topic]) -> None:
    """Keep alerts of these topics on the website alone; a topic that is off stays off."""
    now = channels(user)
    silent = (Channel.OFF, Channel.SITE)
    choose(user, {topic: Channel.SITE for topic in stopped if topic in now and now[topic] not in silent})


def sign(user: User, stopped: Iterable[Topic]) -> str:
    """Return the part of a link that stands for this person and these topics."""
    return signing.dumps([user.pk, list(stopped)], salt=SALT)


def verify(signed: str) -> tuple[User, list[Topic]]:
    """Return the person and the topics that a link stands for. Raises NotAllowed."""
    try:
        number, names = signing.loads(signed, salt=SALT)
        return User.objects.get(pk=number), [Topic(name) for name in names if name in OPTIONAL]
    except (signing.BadSignature, User.DoesNotExist):
        raise NotAllowed(
            "This unsubscribe link is incomplete.",
            fix="Copy the whole link from the e-mail, or choose your e-mails in the notification settings.",
        ) from None


def set_hour(user: User, hour: int) -> None:
    """Set the hour of UTC in which the daily digest is sent. Raises ValueInvalid."""
    if hour not in HOURS:
        raise ValueInvalid(f"{hour} is not an hour.", fix="Use 0 to 23.")
    User.objects.filter(pk=user.pk).update(digest_hour=hour)
    user.digest_hour = hour


def reachable() -> Q:
    """Return the condition on people that an e-mail may be sent to: active, with an address that they proved."""
    return Q(is_active=True, email_verified=True) & ~Q(email="")


def watch(repository: Repository, level: str, by: Caller) -> bool:
    """Watch a repository that the caller can see; return whether that changed anything. Raises ValueInvalid.

    Raises as require_person does, too.
    """
    user = policy.require_person(by, "watch a repository")
    if level not in Level.values:
        raise ValueInvalid(f"Unknown level {level[:40]!r}.", fix=f"Use one of {', '.join(Level.values)}.")
    rows = RepositoryWatch.objects.filter(user=user)
    if rows.filter(repository=repository).exclude(level=level).update(level=level):
        return True
    if rows.count() >= MAX_WATCHED:
        raise ValueInvalid(f"You already watch {MAX_WATCHED:,}, the limit.", fix="Stop watching some first.")
    return RepositoryWatch.objects.get_or_create(repository=repository, user=user, defaults={"level": level})[1]


def unwatch(repository: Repository, by: Caller) -> bool:
    """Stop watching, or ignoring; return False if the caller did neither."""
    user = policy.require_person(by, "stop watching a repository")
    return bool(RepositoryWatch.objects.filter(repository=repository, user=user).delete()[0])


def level_of(by: Caller, repository: Repository) -> str:
    """Return the level at which the caller watches, or ""."""
    if by.user is None:
        return ""
    rows = RepositoryWatch.objects.filter(repository=repository, user=by.user)
    return rows.values_list("level", flat=True).first() or ""


def watched(user: User) -> QuerySet[RepositoryWatch]:
    """Return what a person watches or ignores and may still see, newest first."""
    rows = RepositoryWatch.objects.filter(policy.has_listed_repository(Caller(user=user)), user=user)
    return rows.select_related("repository__namespace").order_by("-pk")
