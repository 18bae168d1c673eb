"""The shapes of yanks, deprecations and archives in our REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data, Text


class Yank(s.Serializer[Data]):
    revision = Text(max_length=200, help_text="a commit id, a tag or a branch")
    reason = Text(required=False, allow_blank=True, default="", max_length=500, help_text="public; a yank needs one")


class Yanked(s.Serializer[Data]):
    reason = s.CharField()
    at = s.DateTimeField()


class WithdrawnWeights(s.Serializer[Data]):
    """A yanked revision that you may see and that holds the same weights: the same bytes, or the same tensors."""

    adapter = s.CharField()
    revision = s.CharField()
    path = s.CharField(help_text="of the weights in the revision that was asked for")
    reason = s.CharField(help_text="of the yank")
    at = s.DateTimeField(help_text="of the yank")


class YankState(s.Serializer[Data]):
    revision = s.CharField(help_text="40 hex digits")
    yanked = Yanked(allow_null=True)


class Deprecation(s.Serializer[Data]):
    message = Text(required=False, allow_blank=True, default="", max_length=500)
    successor = Text(
        required=False, allow_blank=True, default="", max_length=200, help_text="namespace/name of what to use instead"
    )


class Deprecated(s.Serializer[Data]):
    message = s.CharField(allow_blank=True)
    successor = s.CharField(allow_null=True)
    at = s.DateTimeField()


class AdapterState(s.Serializer[Data]):
    """The states that its owners gave to an adapter as a whole."""

    status = s.ChoiceField(choices=["active", "deprecated", "archived"])
    deprecated = Deprecated(allow_null=True)
    archived_at = s.DateTimeField(allow_null=True)
