"""The shapes of aliases in our REST: what each serves, its history, and the bodies that move it."""

from rest_framework import serializers as s

from hub.api.pages import Paging
from hub.api.shapes import Data, Text
from registry import models


class SetAlias(s.Serializer[Data]):
    revision = Text(max_length=200, help_text="a commit id, `verified`, a tag, a branch or another alias")
    reason = Text(required=False, allow_blank=True, default="", max_length=500, help_text="public; force needs one")
    force = s.BooleanField(required=False, default=False, help_text="also where the revision has not passed")


class MoveAlias(s.Serializer[Data]):
    reason = Text(required=False, allow_blank=True, default="", max_length=500, help_text="public")


class Alias(s.Serializer[Data]):
    """A movable name for a revision."""

    alias = s.CharField()
    revision = s.CharField(allow_null=True, help_text="what it serves now; null: nothing, and it is not found")
    chosen = s.CharField(allow_null=True, help_text="what it was set to; null where you may not see that revision")
    fallback = s.BooleanField(help_text="`chosen` is held back or yanked, and `revision` is served in its place")
    fallback_reason = s.CharField(allow_null=True)
    forced = s.BooleanField(help_text="it was set to a revision that had not passed")
    reason = s.CharField(allow_blank=True, help_text="of the newest move by a person")
    set_by = s.CharField()
    set_at = s.DateTimeField()


class AliasPage(s.Serializer[Data]):
    items = Alias(many=True)
    next = s.URLField(allow_null=True)


class AliasMove(s.Serializer[Data]):
    """One move of an alias. `before` and `after` are commit ids of that time; null for none, or one you may not see."""

    at = s.DateTimeField()
    action = s.ChoiceField(
        choices=models.AliasMove.Action.choices,
        help_text="fallback, return: by the hub; rewrite: the same version under another commit id",
    )
    before = s.CharField(allow_null=True)
    after = s.CharField(allow_null=True)
    forced = s.BooleanField()
    reason = s.CharField(allow_blank=True)
    by = s.CharField(allow_null=True, help_text="null: the hub")


class AliasMovePage(s.Serializer[Data]):
    items = AliasMove(many=True)
    next = s.URLField(allow_null=True)


class AliasPaging(Paging):
    """Pages of the history of an alias."""
