"""The shapes of organisations, their members and invitations in our REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data, Text
from registry import models

ROLES = models.Membership.Role.choices
VISIBILITY = ["public", "private"]


class NewOrganization(s.Serializer[Data]):
    name = Text(max_length=96)
    full_name = Text(required=False, allow_blank=True, default="", max_length=200)
    default_visibility = s.ChoiceField(choices=VISIBILITY, required=False, default="public")


class OrganizationChange(s.Serializer[Data]):
    """The fields to change; a missing one stays as it is."""

    name = Text(required=False, max_length=96, help_text="all its repositories move with it")
    full_name = Text(required=False, allow_blank=True, max_length=200)
    default_visibility = s.ChoiceField(choices=VISIBILITY, required=False)
    second_factor_required = s.BooleanField(
        required=False, help_text="of members, for their role to count; false in a session only"
    )


class Organization(s.Serializer[Data]):
    name = s.CharField()
    full_name = s.CharField(allow_blank=True)
    members = s.IntegerField(help_text="how many")
    role = s.ChoiceField(choices=ROLES, allow_null=True, help_text="the caller's")
    default_visibility = s.ChoiceField(choices=VISIBILITY, allow_null=True, help_text="null for who is not in it")
    second_factor_required = s.BooleanField(allow_null=True, help_text="null for who is not in it")


class Member(s.Serializer[Data]):
    name = s.CharField()
    full_name = s.CharField(allow_blank=True)
    role = s.ChoiceField(choices=ROLES)


class ListedMember(Member):
    second_factor = s.BooleanField(help_text="whether the person has an app or a passkey")
    teams = s.ListField(child=s.CharField(), help_text="their names")


class MemberPage(s.Serializer[Data]):
    items = ListedMember(many=True)
    next = s.URLField(allow_null=True)


class NewRole(s.Serializer[Data]):
    role = s.ChoiceField(choices=ROLES)


class _Asked(s.Serializer[Data]):
    full_name = s.CharField(allow_blank=True)
    role = s.ChoiceField(choices=ROLES)
    by = s.CharField(help_text="who asks")
    asked_at = s.DateTimeField()
    ends_at = s.DateTimeField()


class Invitation(_Asked):
    """A person who is invited, and becomes a member when they accept."""

    name = s.CharField()


class InvitationPage(s.Serializer[Data]):
    items = Invitation(many=True)
    next = s.URLField(allow_null=True)


class OwnInvitation(_Asked):
    """An organisation that invites the caller."""

    organization = s.CharField()


class OwnInvitationPage(s.Serializer[Data]):
    items = OwnInvitation(many=True)
    next = s.URLField(allow_null=True)


class JoinByLink(s.Serializer[Data]):
    link = Text(max_length=2000, help_text="the address of an invitation, or its secret alone")


class Joined(s.Serializer[Data]):
    organization = s.CharField()
    role = s.ChoiceField(choices=ROLES)
