"""Membership of a namespace: teams, invitations, links by which strangers may join the hub, and trusted publishers.

Publishers are CI systems that may publish without a secret; the jobs in which they did are rows too.
"""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils import timezone

from registry.models.accounts import Membership, Namespace, Organization, Token
from registry.models.repositories import Repository


class Team(models.Model):
    """Members of an organisation who have roles in some of its repositories together."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="teams")
    name = models.CharField(max_length=96)
    full_name = models.CharField(max_length=200, blank=True)  # of a group in a directory, its name there
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint("organization", Lower("name"), name="team_name_unique")]

    def __str__(self) -> str:
        return f"{self.organization}/{self.name}"


class TeamMember(models.Model):
    """A member of the organisation in a team; who leaves the organisation leaves its teams with the same row."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="members")
    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="teams")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "membership"], name="team_member_unique")]

    def __str__(self) -> str:
        return f"{self.membership.user} in {self.team}"


class TeamGrant(models.Model):
    """A role that a team has in the repositories of its organisation whose names match a pattern.

    It follows the name: a renamed repository is opened by the patterns that match its new name, and by no others.
    """

    class Role(models.TextChoices):
        READ = "read"
        WRITE = "write"
        ADMIN = "admin"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="grants")
    type = models.CharField(max_length=8, choices=Repository.Type.choices, blank=True)  # empty: any
    pattern = models.CharField(max_length=96)  # in lower case; * is any characters, ? is one
    role = models.CharField(max_length=16, choices=Role.choices)

    class Meta:
        ordering = ["pattern", "type"]
        constraints = [
            models.UniqueConstraint(fields=["team", "type", "pattern"], name="team_grant_unique"),
            models.CheckConstraint(condition=Q(role__in=["read", "write", "admin"]), name="team_grant_role_known"),
            models.CheckConstraint(
                condition=Q(type__in=["", "model", "dataset", "space"]), name="team_grant_type_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} on {self.type or 'any'} {self.pattern}"


class Invitation(models.Model):
    """One person invited to one organisation; one row for the pair, deleted when the person is a member.

    Declined and withdrawn invitations stay, so that nobody is asked again and again; a row in the state `left` keeps
    administrators from adding that person again. The end of a membership stays too, `left` or `removed`: older links
    must not let that person in again.
    """

    class State(models.TextChoices):
        OPEN = "open"
        DECLINED = "declined"
        WITHDRAWN = "withdrawn"
        LEFT = "left"
        REMOVED = "removed"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="invitations")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=16, choices=Membership.Role.choices)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=9, choices=State.choices, default=State.OPEN, db_default=State.OPEN)
    asked_at = models.DateTimeField(default=timezone.now, db_default=Now())  # when the person was last alerted
    answered_at = models.DateTimeField(null=True, blank=True)  # when it was declined, or the membership ended

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="invitation_unique"),
            models.CheckConstraint(
                condition=Q(role__in=["member", "read", "contributor", "write", "admin"]), name="invitation_role_known"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["open", "declined", "withdrawn", "left", "removed"]),
                name="invitation_state_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} to {self.organization}"


class JoinLink(models.Model):
    """A link by which so many people may join the hub, or become members of an organisation; only its digest is kept.

    Links of the hub are needed while registration is by invitation. Ended ones stay: letters are counted by them.
    """

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, null=True, blank=True, related_name="join_links"
    )
    role = models.CharField(max_length=16, choices=Membership.Role.choices, blank=True)  # in the organisation
    sha256 = models.CharField(max_length=64, unique=True)
    note = models.CharField(max_length=200, blank=True)
    email = models.EmailField(blank=True)  # where the link was sent, if it was
    uses = models.PositiveIntegerField(default=0, db_default=0)
    max_uses = models.PositiveIntegerField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    ends_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(uses__lte=models.F("max_uses")), name="join_link_used_up"),
            models.CheckConstraint(
                condition=Q(organization__isnull=True, role="")
                | Q(organization__isnull=False, role__in=["member", "read", "contributor", "write", "admin"]),
                name="join_link_role_known",
            ),
        ]

    def __str__(self) -> str:
        return self.note or f"link {self.pk}"


class TrustedPublisher(models.Model):
    """A job of a CI system, pinned by claims of its identity token, that may publish to one repository.

    While the repository does not exist it is pending: its first push may create it.
    """

    type = models.CharField(
        max_length=8, choices=Repository.Type.choices, default=Repository.Type.MODEL, db_default=Repository.Type.MODEL
    )
    namespace = models.ForeignKey(Namespace, on_delete=models.CASCADE, related_name="publishers")
    name = models.CharField(max_length=96)  # of the repository; a pending one has nothing else
    repository = models.ForeignKey(
        Repository, null=True, blank=True, on_delete=models.CASCADE, related_name="publishers"
    )
    issuer = models.CharField(max_length=255)
    claims = models.JSONField()  # claim → list of accepted values; one that ends in * accepts a prefix
    account = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="publisher")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="made_publishers"
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(condition=Q(type__in=["model", "dataset", "space"]), name="publisher_type_known")
        ]
        indexes = [models.Index("type", "namespace", Lower("name"), name="publisher_by_address")]

    def __str__(self) -> str:
        return self.account.username

    @property
    def full_name(self) -> str:
        """The id of the repository, which a pending publisher has not created yet."""
        return self.repository.full_name if self.repository else f"{self.namespace.name}/{self.name}"


class PublishingRun(models.Model):
    """One CI job that got a token for its identity token, which is never accepted again."""

    publisher = models.ForeignKey(TrustedPublisher, null=True, on_delete=models.SET_NULL, related_name="runs")
    issuer = models.CharField(max_length=255)
    jti_sha256 = models.CharField(max_length=64)  # of the identity token's own id
    claims = models.JSONField()  # of the identity token, those that pages show
    token = models.OneToOneField(Token, null=True, on_delete=models.SET_NULL, related_name="run")
    started_at = models.DateTimeField(default=timezone.now, db_default=Now())
    expires_at = models.DateTimeField()  # until then the identity token would be valid

    class Meta:
        constraints = [models.UniqueConstraint(fields=["issuer", "jti_sha256"], name="publishing_run_once")]
        indexes = [models.Index(fields=["expires_at"], name="publishing_run_by_end")]
