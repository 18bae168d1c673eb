"""The shapes of adapters in our REST: in lists, alone, and what a search takes."""

from rest_framework import serializers as s

from hub.api.pages import Paging
from hub.api.shapes import Data
from hub.api.shapes.versions.lifecycle import Deprecated, Yanked
from hub.shared.list_parameters import Search


class ShortVerdict(s.Serializer[Data]):
    """The last finished verdict of `verified`; of main where nothing is verified."""

    revision = s.CharField()
    state = s.CharField()
    finished_at = s.DateTimeField(allow_null=True)


class NewestVersion(s.Serializer[Data]):
    """A newer version than the verified one, which all other fields describe."""

    revision = s.CharField()
    state = s.CharField()
    checks = s.ListField(child=s.CharField(), help_text="ids of those that failed")


class Repository(s.Serializer[Data]):
    """An adapter in a list, as its verified version is where there is one; sizes are bytes."""

    id = s.CharField(help_text="namespace/name")
    author = s.CharField()
    private = s.BooleanField()
    summary = s.CharField()
    format = s.CharField()
    kind = s.CharField()
    base = s.CharField()
    task = s.CharField()
    license = s.CharField()
    rank = s.IntegerField(allow_null=True)
    size = s.IntegerField()
    tags = s.ListField(child=s.CharField())
    downloads = s.IntegerField()
    likes = s.IntegerField()
    gated = s.CharField(allow_null=True, help_text="auto, manual, or null: who sees it may have the files")
    created_at = s.DateTimeField()
    updated_at = s.DateTimeField()
    verdict = ShortVerdict(allow_null=True)
    newest = NewestVersion(allow_null=True, help_text="of main, where it is another version than the verified one")
    status = s.ChoiceField(choices=["active", "deprecated", "archived"])
    yanked = Yanked(allow_null=True, help_text="of main, where it is yanked: lists show it to its writers alone")


class SearchPaging(Search, Paging):
    facets = s.BooleanField(required=False, default=False, help_text="add counts to the page")


class FacetValue(s.Serializer[Data]):
    value = s.CharField()
    count = s.IntegerField()


class AdapterPage(s.Serializer[Data]):
    items = Repository(many=True)
    next = s.URLField(allow_null=True)
    facets = s.DictField(child=FacetValue(many=True), required=False, help_text="with facets=1")
    facets_at_least = s.BooleanField(
        required=False, help_text="more match than were read to be counted: each count is the least that it is"
    )


class AdapterDetail(Repository):
    """One adapter: the newest commit of main, the newest one that passed, its branches, tags and aliases."""

    kinds = s.ListField(child=s.CharField(), help_text="of all adapters in it, by its newest verdict")
    deprecated = Deprecated(allow_null=True)
    archived_at = s.DateTimeField(allow_null=True)
    latest = s.CharField(allow_null=True)
    verified = s.CharField(allow_null=True)
    verified_is_run = s.BooleanField(allow_null=True, help_text="false: its shapes fit, and no engine ran it")
    branches = s.DictField(child=s.CharField())
    revision_tags = s.DictField(child=s.CharField())
    aliases = s.DictField(child=s.CharField(), help_text="what each serves")
