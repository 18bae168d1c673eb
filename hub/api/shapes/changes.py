"""The shapes of the feed of what happened in our REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data
from hub.api.waiting import Wait
from registry import models


class Since(Wait):
    since = s.IntegerField(
        required=False, min_value=0, max_value=2**63 - 1, default=0, help_text="the last seq you have"
    )
    limit = s.IntegerField(required=False, min_value=0, max_value=1000, default=100)


class Change(s.Serializer[Data]):
    """One thing that happened to an adapter."""

    seq = s.IntegerField()
    at = s.DateTimeField()
    event = s.ChoiceField(choices=models.Event.Kind.choices)
    type = s.CharField(help_text="model, dataset or space")
    adapter = s.CharField(help_text="as it was called then")
    revision = s.CharField(allow_null=True)
    data = s.DictField(  # type: ignore[assignment]  # a field, which hides nothing: the framework takes it off the class
        help_text="push: ref; verdict: state, number, check; move: before; yank, unyank: reason; "
        "alias: alias, action, before, after, reason; regression: held, because, against, reason; "
        "tag-release: action, tag, title, prerelease"
    )


class ChangePage(s.Serializer[Data]):
    items = Change(many=True)
    next = s.URLField(allow_null=True)
    last = s.IntegerField(help_text="up to which number this page tells")
