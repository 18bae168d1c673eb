"""Follows of people, organisations and base models, discussions of a repository, and the feed of changes.

Discussions are threads and pull requests, with the events in each. The feed has one order, for mirrors and other
servers.
"""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.accounts import Namespace
from registry.models.repositories import Repository, Revision


class Follow(models.Model):
    """A person follows another person or an organisation."""

    follower = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="follows")
    namespace = models.ForeignKey(Namespace, on_delete=models.CASCADE, related_name="followed_by")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["follower", "namespace"], name="follow_unique")]


class BaseFollow(models.Model):
    """A person follows a base model, which need not be in the base cache."""

    follower = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="followed_bases")
    base = models.CharField(max_length=200)  # the id under which this hub knows it
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    asked_at = models.DateTimeField(null=True)  # when they asked administrators for it

    class Meta:
        constraints = [models.UniqueConstraint(fields=["base", "follower"], name="base_follow_unique")]

    def __str__(self) -> str:
        return f"{self.follower} follows {self.base}"


class Event(models.Model):
    """One change; its `seq` tells the order of commits (registry/talk/dispatch.py), and feeds hold none without."""

    class Kind(models.TextChoices):
        PUSH = "push"
        VERDICT = "verdict"
        QUARANTINE = "quarantine"
        RELEASE = "release"
        DELETE = "delete"
        MOVE = "move"
        RESTORE = "restore"
        YANK = "yank"
        UNYANK = "unyank"
        ALIAS = "alias"
        REGRESSION = "regression"
        TAG_RELEASE = "tag-release"  # RELEASE is of what moderation held back

    seq = models.BigIntegerField(null=True, blank=True, unique=True)
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=12, choices=Kind.choices)
    repository = models.ForeignKey(Repository, null=True, on_delete=models.SET_NULL, related_name="events")
    type = models.CharField(max_length=8, choices=Repository.Type.choices)
    name = models.CharField(max_length=200)  # its name at that time
    was_public = models.BooleanField()
    revision = models.CharField(max_length=40, blank=True)
    data = models.JSONField(default=dict, db_default={})

    class Meta:
        indexes = [models.Index(fields=["id"], name="event_unnumbered", condition=Q(seq__isnull=True))]

    def __str__(self) -> str:
        return f"{self.seq}: {self.kind} {self.name}"


class Discussion(models.Model):
    """A thread about a repository; a pull request is one whose proposal is the ref refs/pr/{number}."""

    class Status(models.TextChoices):
        DRAFT = "draft"  # a pull request that does not ask to be merged yet
        OPEN = "open"
        CLOSED = "closed"
        MERGED = "merged"

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="discussions")
    number = models.PositiveIntegerField()  # from 1 in each repository; threads and pull requests count together
    is_pull_request = models.BooleanField(default=False, db_default=False)
    title = models.CharField(max_length=500)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.OPEN, db_default=Status.OPEN)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="discussions")
    base = models.CharField(max_length=255, blank=True)  # the branch that a pull request is for
    # The merge base of the proposal, for the three-way merge; later pushes to refs/pr/N do not move it.
    merge_base = models.ForeignKey(Revision, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    merged_as = models.ForeignKey(Revision, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    comments = models.PositiveIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["repository", "number"], name="discussion_number_unique"),
            models.CheckConstraint(
                condition=Q(status__in=["open", "closed"]) | Q(status__in=["draft", "merged"], is_pull_request=True),
                name="discussion_status_known",
            ),
            models.CheckConstraint(
                condition=Q(is_pull_request=True, base__startswith="refs/heads/") | Q(is_pull_request=False, base=""),
                name="discussion_base_iff_pull_request",
            ),
        ]
        indexes = [models.Index(fields=["repository", "status", "-number"], name="discussion_by_status")]

    def __str__(self) -> str:
        return f"{self.repository.full_name}#{self.number}"

    def get_absolute_url(self) -> str:
        return f"{self.repository.get_absolute_url()}/discussions/{self.number}"

    @property
    def ref(self) -> str:
        """The ref that holds a pull request's proposal."""
        return f"refs/pr/{self.number}"


class DiscussionEvent(models.Model):
    """One thing that happened in a discussion; comments may be edited and hidden, the rest never changes."""

    class Kind(models.TextChoices):
        COMMENT = "comment"
        STATUS = "status-change"
        COMMIT = "commit"
        TITLE = "title-change"

    discussion = models.ForeignKey(Discussion, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="discussion_events")
    text = models.TextField(blank=True)  # of a comment, in Markdown
    data = models.JSONField(default=dict, db_default={})  # status · subject and oid · from and to
    edits = models.PositiveIntegerField(default=0, db_default=0)
    edited_at = models.DateTimeField(null=True, blank=True)
    hidden = models.BooleanField(default=False, db_default=False)
    hidden_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["comment", "status-change", "commit", "title-change"]),
                name="discussion_event_kind_known",
            ),
            models.CheckConstraint(
                condition=Q(kind="comment") | Q(text="", edits=0, hidden=False),
                name="discussion_event_only_comments_change",
            ),
        ]
