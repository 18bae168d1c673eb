"""The shapes of links by which people join an organisation in our REST."""

from typing import Any

from rest_framework import serializers as s

from hub.api.shapes import Data, Text
from hub.api.shapes.people.organizations import ROLES
from registry import models
from registry.people.organizations import join_links


class NewJoinLink(s.Serializer[Data]):
    role = s.ChoiceField(choices=ROLES)
    uses = s.IntegerField(required=False, default=1, min_value=1, max_value=join_links.MAX_USES)
    days = s.IntegerField(required=False, default=7, min_value=1, max_value=join_links.MAX_DAYS)
    email = Text(required=False, allow_blank=True, default="", max_length=254, help_text="where it is sent")
    note = Text(required=False, allow_blank=True, default="", max_length=200, help_text="for administrators")


class JoinLink(s.ModelSerializer[models.JoinLink]):
    by = s.CharField(source="by.username")

    class Meta:
        model = models.JoinLink
        fields = ("id", "role", "note", "email", "uses", "max_uses", "by", "created_at", "ends_at")


class JoinLinkPage(s.Serializer[Data]):
    items = JoinLink(many=True)
    next = s.URLField(allow_null=True)


class MadeJoinLink(JoinLink):
    link = s.URLField(allow_null=True, help_text="null when it went by letter")
    sent_to = s.EmailField(allow_null=True, help_text="null where no letter went out")

    class Meta(JoinLink.Meta):
        fields: Any = (*JoinLink.Meta.fields, "link", "sent_to")
