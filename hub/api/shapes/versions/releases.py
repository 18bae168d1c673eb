"""The shapes of releases in our REST, and the bodies that make and edit them."""

from rest_framework import serializers as s

from hub.api.shapes import Data, Text
from registry.models.repos.releases import MAX_NOTES, MAX_TITLE


class EditRelease(s.Serializer[Data]):
    title = Text(required=False, allow_blank=True, max_length=MAX_TITLE, help_text="beside the tag on its page")
    notes = Text(required=False, allow_blank=True, max_length=MAX_NOTES, help_text="Markdown")
    prerelease = s.BooleanField(required=False, help_text="never the latest; always true of `v1.0.0-rc.1`")


class MakeRelease(EditRelease):
    tag = Text(
        max_length=64, help_text="a semantic version, as `v1.2.0`; created unless it names that revision already"
    )
    revision = Text(
        required=False,
        max_length=200,
        help_text="a commit id, tag, branch or alias; by default the tag's, else `verified`",
    )
    force = s.BooleanField(required=False, default=False, help_text="also of a revision that has not passed")


class Release(s.Serializer[Data]):
    """A tag that is a semantic version, with a title and notes."""

    tag = s.CharField()
    title = s.CharField(allow_blank=True)
    notes = s.CharField(allow_blank=True, help_text="Markdown")
    revision = s.CharField(help_text="the commit id that its tag names")
    state = s.CharField(allow_null=True, help_text="of the newest verdict of that revision; null for none")
    yanked = s.BooleanField()
    prerelease = s.BooleanField()
    latest = s.BooleanField(help_text="the highest version that is no pre-release, held back or yanked")
    forced = s.BooleanField(help_text="it was made of a revision that had not passed")
    created_by = s.CharField()
    created_at = s.DateTimeField()
    edited_at = s.DateTimeField(allow_null=True)


class ReleasePage(s.Serializer[Data]):
    items = Release(many=True)
    next = s.URLField(allow_null=True)


class DeleteRelease(s.Serializer[Data]):
    keep_tag = s.BooleanField(required=False, default=True, help_text="false: its tag is deleted too")
