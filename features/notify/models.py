"""Alerts for people, the channel that they choose for each topic of them, and the repositories that they watch."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models import (
    AccessRequest,
    Appeal,
    Case,
    Discussion,
    Invitation,
    ModerationDecision,
    Repository,
    Strike,
    Token,
    Verdict,
)


class Topic(models.TextChoices):
    """A class of alerts that a person switches as a whole; preferences.py has their rules."""

    OWN = "own"
    ACCESS = "access"
    DISCUSSIONS = "discussions"
    MENTIONS = "mentions"
    INVITATIONS = "invitations"
    WATCHED = "watched"
    FOLLOWED = "followed"
    REPORTS = "reports"
    CASES = "cases"
    OVERDUE = "overdue"
    HOLDS = "holds"
    SECURITY = "security"
    USAGE = "usage"


class Channel(models.TextChoices):
    """The ways of alerts of a topic to a person; each but the first is also on the website."""

    OFF = "off"
    SITE = "site"
    DIGEST = "digest"
    MAIL = "mail"


class TopicChoice(models.Model):
    """The channel that a person chose for a topic; a topic without a row has its default."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="topic_choices")
    topic = models.CharField(max_length=12, choices=Topic.choices)
    channel = models.CharField(max_length=8, choices=Channel.choices)

    class Meta:
        app_label = "registry"
        constraints = [
            models.UniqueConstraint(fields=["user", "topic"], name="topic_choice_unique"),
            models.CheckConstraint(condition=Q(channel__in=["off", "site", "digest", "mail"]), name="channel_known"),
        ]

    def __str__(self) -> str:
        return f"{self.topic}: {self.channel}"


class RepositoryWatch(models.Model):
    """A person watches a repository, or ignores it. `Watch` is what a webhook watches."""

    class Level(models.TextChoices):
        RELEASES = "releases"  # releases, and new verified versions
        ALL = "all"  # pushes, verdicts and discussions too
        IGNORE = "ignore"  # nothing, also where the person owns it or takes part

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="watched")
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="watched_by")
    level = models.CharField(max_length=8, choices=Level.choices)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        app_label = "registry"
        verbose_name_plural = "repository watches"
        constraints = [
            models.UniqueConstraint(fields=["repository", "user"], name="repository_watch_unique"),
            models.CheckConstraint(condition=Q(level__in=["releases", "all", "ignore"]), name="watch_level_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} watches {self.repository}: {self.level}"


_OF_NO_REPOSITORY = [
    "base-arrived",
    *("invited", "report-decided", "strike", "signed-in", "account-changed", "token-ends", "token-leaked"),
    *("case-overdue", "quota-reached", "quota-changed"),
]


class Alert(models.Model):
    """One alert for one person: on the website, and by e-mail if that is set up and wanted.

    While it is not read, more of the same makes it newer and its `count` larger, and not another row.
    notices.py has the topic, the text and the address of each kind.
    """

    class Kind(models.TextChoices):
        VERDICT = "verdict"  # their adapter does not pass
        REGRESSED = "regressed"  # a version of theirs passed and is not verified; data: revision, because
        ASKED = "access-asked"  # a person requests access to their gated repository
        DECIDED = "access-decided"  # their own request was decided
        OPENED = "discussion-opened"  # a thread or a pull request on their repository
        SAID = "discussion-changed"  # something new in a thread that they own or take part in
        MENTIONED = "mentioned"  # a text says @name
        INVITED = "invited"  # into an organisation
        HELD = "held"  # a repository or revision of theirs is held back
        RELEASED = "released"  # and served again
        REPORT = "report-decided"  # moderators decided what they reported
        STRIKE = "strike"  # moderators, or a rule, gave them a strike
        APPEALED = "appealed"  # for moderators: an owner appeals, or writes in an appeal
        OVERDUE = "case-overdue"  # for moderators: a grave case waits longer than this hub wants
        ANSWERED = "appeal-answered"  # moderators wrote in their appeal, or decided it
        PUSHED = "pushed"  # a repository that they watch has new commits
        VERIFIED = "verified"  # a repository that they watch, or of what they follow, has a new verified version
        ALIAS_MOVED = "alias-moved"  # an alias of what they watch names another version; data: alias, action, after
        RELEASE_MADE = "release-made"  # of what they watch; data: tag
        ALIAS_FELL_BACK = "alias-fell-back"  # of their own repository, because a version was withdrawn; data: the same
        CREATED = "created"  # a person or organisation that they follow has a new repository
        BASE_ARRIVED = "base-arrived"  # a base that they asked for is in the base cache; data: base
        SIGNED_IN = "signed-in"  # their account was used from a new place; data: browser, address
        ACCOUNT = "account-changed"  # data: change, details
        TOKEN_ENDS = "token-ends"  # noqa: S105  # of theirs, or of a robot of their organisation: it is about to end
        TOKEN_LEAKED = "token-leaked"  # noqa: S105  # a kind; data: token, robot, directory, and where: repository, files
        QUOTA = "quota-reached"  # what they own comes close to its quota; data: owner, percent, bytes, limit
        QUOTA_CHANGED = "quota-changed"  # an administrator set another; data: owner, bytes, repositories, reason

    class Mail(models.TextChoices):
        NONE = "none"
        DIGEST = "digest"  # once a day, with others
        NOW = "now"  # within minutes, with others, at most once an hour
        ALWAYS = "always"  # at once, whatever the person chose

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="alerts")
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.VERDICT, db_default=Kind.VERDICT)
    topic = models.CharField(max_length=12, choices=Topic.choices, default=Topic.OWN, db_default=Topic.OWN)
    repository = models.ForeignKey(  # null for alerts of organisations, cases, strikes and accounts
        Repository, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts"
    )
    verdict = models.ForeignKey(Verdict, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts")
    discussion = models.ForeignKey(Discussion, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts")
    request = models.ForeignKey(AccessRequest, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts")
    invitation = models.ForeignKey(Invitation, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts")
    decision = models.ForeignKey(
        ModerationDecision, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts"
    )
    case = models.ForeignKey(Case, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts")
    strike = models.ForeignKey(Strike, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts")
    appeal = models.ForeignKey(Appeal, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts")
    token = models.ForeignKey(Token, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts")
    by = models.ForeignKey(  # the author of its newest event; null for the hub itself
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    data = models.JSONField(default=dict, db_default={}, blank=True)
    count = models.PositiveIntegerField(default=1, db_default=1)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    read_at = models.DateTimeField(null=True, blank=True)
    mail = models.CharField(max_length=8, choices=Mail.choices, default=Mail.NOW, db_default=Mail.NOW)
    mailed_at = models.DateTimeField(null=True, blank=True)
    mail_attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    mail_due_at = models.DateTimeField(default=timezone.now, db_default=Now())  # later after a failed attempt

    class Meta:
        app_label = "registry"
        constraints = [
            models.UniqueConstraint(fields=["user", "verdict"], name="alert_unique"),
            models.UniqueConstraint(
                fields=["user", "discussion"], name="alert_of_discussion_once", condition=Q(read_at__isnull=True)
            ),
            models.UniqueConstraint(
                fields=["user", "repository", "kind"],
                name="alert_of_access_once",
                condition=Q(read_at__isnull=True, request__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["user", "repository", "kind"],
                name="alert_of_watched_once",
                condition=Q(read_at__isnull=True, kind__in=["pushed", "verified", "created", "alias-moved"]),
            ),
            models.UniqueConstraint(
                fields=["user", "repository"],
                name="alert_of_release_once",
                condition=Q(read_at__isnull=True, kind="release-made"),
            ),
            models.UniqueConstraint(
                fields=["invitation"], name="alert_of_invitation_once", condition=Q(read_at__isnull=True)
            ),
            models.UniqueConstraint(
                fields=["user", "appeal"], name="alert_of_appeal_once", condition=Q(read_at__isnull=True)
            ),
            models.CheckConstraint(
                condition=Q(kind="verdict", verdict__isnull=False)
                | Q(kind__in=["access-asked", "access-decided"], request__isnull=False)
                | Q(kind__in=["discussion-opened", "discussion-changed", "mentioned"], discussion__isnull=False)
                | Q(kind="invited", invitation__isnull=False)
                | Q(kind__in=["held", "released"], decision__isnull=False)
                | Q(kind__in=["report-decided", "case-overdue"], case__isnull=False)
                | Q(kind="strike", strike__isnull=False)
                | Q(kind__in=["appealed", "appeal-answered"], appeal__isnull=False)
                | Q(kind__in=["pushed", "created", "signed-in", "account-changed", "alias-moved", "alias-fell-back"])
                | Q(kind__in=["quota-reached", "quota-changed", "regressed", "token-leaked", "release-made"])
                | Q(kind="base-arrived")
                | Q(kind="token-ends", token__isnull=False)
                | Q(kind="verified", verdict__isnull=False),
                name="alert_kind_known",
            ),
            models.CheckConstraint(
                condition=Q(repository__isnull=True, kind__in=_OF_NO_REPOSITORY)
                | Q(repository__isnull=False) & ~Q(kind__in=_OF_NO_REPOSITORY),
                name="alert_has_repository",
            ),
            models.CheckConstraint(condition=Q(mail__in=["none", "digest", "now", "always"]), name="alert_mail_known"),
        ]
        indexes = [
            models.Index(fields=["user"], name="alert_unread", condition=Q(read_at__isnull=True)),
            models.Index(fields=["mail", "user"], name="alert_to_mail", condition=Q(mailed_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} for {self.user}"
