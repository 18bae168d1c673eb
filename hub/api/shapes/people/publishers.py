"""The shapes of trusted publishers in our REST."""

from typing import Any

from rest_framework import serializers as s

from hub.api.shapes import Data, Text
from registry import models
from registry.models import TrustedPublisher


class Values(s.ListField):
    child = Text(max_length=255)


class NewPublisher(s.Serializer[Data]):
    repository = Text(max_length=96, help_text="its name, without the namespace")
    type = s.ChoiceField(choices=models.Repository.Type.choices, required=False, default="model")
    issuer = Text(max_length=255)
    claims = s.DictField(child=Values(), help_text="claim → accepted values; a * at the end stands for any rest")


class Publisher(s.ModelSerializer[TrustedPublisher]):
    repository = s.CharField(source="full_name")
    pending = s.SerializerMethodField(help_text="true while the repository does not exist")
    username = s.CharField(source="account.username")
    by = s.SerializerMethodField()
    claims: Any = s.DictField(child=s.ListField(child=s.CharField()))

    class Meta:
        model = TrustedPublisher
        fields = (
            "id", "repository", "type", "pending", "issuer", "claims", "username", "by", "created_at", "last_used_at",
        )  # fmt: skip

    def get_pending(self, row: TrustedPublisher) -> bool:
        return row.repository_id is None

    def get_by(self, row: TrustedPublisher) -> str | None:
        return row.created_by.username if row.created_by else None


class PublisherPage(s.Serializer[Data]):
    items = Publisher(many=True)
    next = s.URLField(allow_null=True)
