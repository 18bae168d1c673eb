"""The shapes of teams of an organisation in our REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data, Text
from registry import models

TYPES = ["any", *models.Repository.Type.values]
ROLES = models.TeamGrant.Role.choices


class NewTeam(s.Serializer[Data]):
    name = Text(max_length=96)
    full_name = Text(required=False, allow_blank=True, default="", max_length=200)


class Grant(s.Serializer[Data]):
    """A role in the repositories of the organisation whose names match."""

    pattern = s.CharField(help_text="* is any characters, ? is one")
    type = s.ChoiceField(choices=TYPES)
    role = s.ChoiceField(choices=ROLES)


class NewGrant(s.Serializer[Data]):
    role = s.ChoiceField(choices=ROLES)


class Team(s.Serializer[Data]):
    name = s.CharField()
    full_name = s.CharField(allow_blank=True)
    members = s.ListField(child=s.CharField(), help_text="their user names")
    grants = Grant(many=True)


class TeamPage(s.Serializer[Data]):
    items = Team(many=True)
    next = s.URLField(allow_null=True)
