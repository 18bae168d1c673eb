"""The shapes of a caller's account and tokens in our REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data, Text
from registry import models


class OrganizationRole(s.Serializer[Data]):
    name = s.CharField()
    role = s.CharField()


class Token(s.ModelSerializer[models.Token]):
    """A token without its value, which nobody can read again."""

    class Meta:
        model = models.Token
        fields = ("id", "name", "role", "created_at", "last_used_at", "expires_at")


class Usage(s.Serializer[Data]):
    """The bytes that the person's own repositories hold."""

    bytes = s.IntegerField()
    limit = s.IntegerField(allow_null=True, help_text="null: no limit")


class RepositoryUsage(s.Serializer[Data]):
    type = s.CharField()
    name = s.CharField()
    bytes = s.IntegerField()
    in_bin = s.BooleanField(help_text="deleted, and not gone for good yet")


class UsageInFull(Usage):
    """The contents of a namespace, the bin included; each file counts once in a repository."""

    binned_bytes = s.IntegerField(help_text="the part of the bytes that lies in the bin")
    repositories = s.IntegerField(help_text="how many, those in the bin too")
    repository_limit = s.IntegerField(allow_null=True, help_text="null: no limit")
    largest = RepositoryUsage(many=True, help_text="the repositories that hold most")


class Me(s.Serializer[Data]):
    name = s.CharField()
    full_name = s.CharField(allow_blank=True)
    email = s.CharField(allow_blank=True)
    role = s.CharField()
    organizations = OrganizationRole(many=True)
    usage = Usage()
    token = Token(allow_null=True, help_text="the one that asked")


class NewToken(s.Serializer[Data]):
    name = Text(max_length=100)
    role = s.ChoiceField(choices=models.Token.Role.choices)
    expires_at = s.DateTimeField(required=False, allow_null=True)
    repos = s.DictField(
        child=s.ChoiceField(choices=["read", "write"]),
        required=False,
        help_text="fine-grained only: namespace/name → right",
    )


class MadeToken(Token):
    """A new token; this is the only answer that ever holds its value."""

    value = s.CharField()

    class Meta(Token.Meta):
        fields = (*Token.Meta.fields, "value")  # type: ignore[assignment]  # one more


class S3Key(s.Serializer[Data]):
    """The key and the address of an S3 client."""

    access_key_id = s.CharField()
    secret_access_key = s.CharField()
    endpoint_url = s.URLField()


class TokenPage(s.Serializer[Data]):
    items = Token(many=True)
    next = s.URLField(allow_null=True)


class Session(s.Serializer[Data]):
    """A browser in which the person is signed in."""

    id = s.IntegerField()
    browser = s.CharField(help_text="and the system: Firefox on Linux")
    address = s.CharField(help_text="IP address of its latest use")
    created_at = s.DateTimeField()
    last_seen_at = s.DateTimeField(help_text="written at most every ten minutes")
    current = s.BooleanField(help_text="whether it is the one that asks")


class SessionPage(s.Serializer[Data]):
    items = Session(many=True)
    next = s.URLField(allow_null=True)
