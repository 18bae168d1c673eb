"""Alerts for people: an adapter stopped passing, access was requested, a discussion changed."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from registry.models.discussions import Discussion
from registry.models.gates import AccessRequest
from registry.models.invitations import Invitation
from registry.models.repositories import Repository
from registry.models.verdicts import Verdict


class Alert(models.Model):
    """One alert for one person: on the website, and by e-mail if that is set up and wanted.

    While it is not read, more of the same makes it newer and its `count` larger, and not another row.
    """

    class Kind(models.TextChoices):
        VERDICT = "verdict"  # their adapter does not pass
        ASKED = "access-asked"  # a person requests access to their gated repository
        DECIDED = "access-decided"  # their own request was decided
        OPENED = "discussion-opened"  # a thread or a pull request on their repository
        SAID = "discussion-changed"  # something new in a thread that they own or take part in
        MENTIONED = "mentioned"  # a text says @name
        INVITED = "invited"  # into an organisation

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="alerts")
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.VERDICT)
    repository = models.ForeignKey(  # null for an organisation's alert
        Repository, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts"
    )
    verdict = models.ForeignKey(Verdict, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts")
    discussion = models.ForeignKey(Discussion, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts")
    request = models.ForeignKey(AccessRequest, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts")
    invitation = models.ForeignKey(Invitation, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts")
    by = models.ForeignKey(  # the author of its newest event; null for the hub itself
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    count = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True, blank=True)
    mailed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
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
                fields=["invitation"], name="alert_of_invitation_once", condition=Q(read_at__isnull=True)
            ),
            models.CheckConstraint(
                condition=Q(kind="verdict", verdict__isnull=False)
                | Q(kind__in=["access-asked", "access-decided"], request__isnull=False)
                | Q(kind__in=["discussion-opened", "discussion-changed", "mentioned"], discussion__isnull=False)
                | Q(kind="invited", invitation__isnull=False),
                name="alert_kind_known",
            ),
            models.CheckConstraint(
                condition=Q(repository__isnull=False) ^ Q(invitation__isnull=False), name="alert_is_of_one_thing"
            ),
        ]
        indexes = [models.Index(fields=["user"], name="alert_unread", condition=Q(read_at__isnull=True))]

    def __str__(self) -> str:
        return f"{self.user} of {self.verdict or self.discussion or self.request or self.invitation}"
