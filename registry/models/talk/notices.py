"""The notices that people choose: repositories they watch, bases they follow, and the channel of each topic."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.repositories import Repository


class Topic(models.TextChoices):
    """A class of alerts that a person switches as a whole; registry/talk/alerts/topics.py has their rules."""

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
        verbose_name_plural = "repository watches"
        constraints = [
            models.UniqueConstraint(fields=["repository", "user"], name="repository_watch_unique"),
            models.CheckConstraint(condition=Q(level__in=["releases", "all", "ignore"]), name="watch_level_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} watches {self.repository}: {self.level}"
