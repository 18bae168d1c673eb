"""The shapes of saved searches in our REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data, Text
from hub.shared.list_parameters import ROUTES
from registry.repos.lists.saved_searches import MAX_NAME, MAX_QUERY


class NewSavedSearch(s.Serializer[Data]):
    name = Text(max_length=MAX_NAME)
    type = s.ChoiceField(choices=list(ROUTES), default="model")
    query = Text(max_length=MAX_QUERY, allow_blank=True, help_text="the parameters of a list, as in its address")


class SavedSearch(s.Serializer[Data]):
    id = s.IntegerField()
    name = s.CharField()
    type = s.ChoiceField(choices=list(ROUTES))
    query = s.CharField(allow_blank=True)
    url = s.URLField(help_text="of the list")
    feed = s.URLField(help_text="of its Atom feed")
    created_at = s.DateTimeField()


class SavedSearchPage(s.Serializer[Data]):
    items = SavedSearch(many=True)
    next = s.URLField(allow_null=True)
