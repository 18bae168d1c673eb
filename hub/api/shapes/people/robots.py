"""The shapes of robots and their tokens in our REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data, Text
from hub.api.shapes.people.account import Token
from registry import models
from registry.people.tokens.tokens import MACHINE_GRANTS


class NewRobot(s.Serializer[Data]):
    name = Text(max_length=96, help_text="deploy, of acme+deploy")
    purpose = Text(required=False, allow_blank=True, default="", max_length=200)


class Robot(s.ModelSerializer[models.User]):
    name = s.CharField(source="robot_name")
    purpose = s.CharField(source="full_name")
    tokens = Token(many=True)

    class Meta:
        model = models.User
        fields = ("name", "username", "purpose", "created_at", "tokens")


class RobotPage(s.Serializer[Data]):
    items = Robot(many=True)
    next = s.URLField(allow_null=True)


class NewRobotToken(s.Serializer[Data]):
    name = Text(max_length=100)
    expires_at = s.DateTimeField(help_text="within a year")
    repos = s.DictField(
        child=s.ChoiceField(choices=MACHINE_GRANTS), help_text="repositories of the organisation, or prefix* → right"
    )
