"""Teams of an organisation, and the repositories that they open to their members."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils import timezone

from registry.models.people.people import Membership, Organization
from registry.models.repos.repositories import Repository


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
