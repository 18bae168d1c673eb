"""Saved searches in our REST: list, save and delete them."""

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as s
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from features.saved_searches import addresses, models, verbs
from features.saved_searches.verbs import MAX_NAME, MAX_QUERY
from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data, Text
from hub.origin import absolute
from hub.shared.list_parameters import ROUTES


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


class SavedSearches(View):
    @extend_schema(operation_id="saved_searches", summary="Your saved searches", responses=SavedSearchPage)
    def get(self, request: Request) -> Response:
        pages.parameters(request, pages.Nothing)
        rows = verbs.list_saved(self.person())
        return Response(pages.page(request, [_line(request, row) for row in rows]))

    @extend_schema(
        operation_id="save_search", summary="Save a search of the catalogue",
        description="200: you had one of that name, which has these parameters now.",
        request=NewSavedSearch, responses={201: SavedSearch, 200: SavedSearch},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        pages.parameters(request, pages.Nothing)
        self.person()
        body = pages.body(request, NewSavedSearch)
        search, is_new = addresses.save(**body, by=self.caller)
        return Response(_line(request, search), status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)


class OneSavedSearch(View):
    @extend_schema(operation_id="delete_search", summary="Delete a saved search", responses={204: None})
    def delete(self, request: Request, id: int) -> Response:
        verbs.delete(id, self.caller)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _line(request: Request, search: models.SavedSearch) -> Data:
    saved = addresses.addressed(search)
    return {
        "id": search.pk,
        "name": search.name,
        "type": search.type,
        "query": search.query,
        "url": absolute(request._request, saved.path),
        "feed": absolute(request._request, saved.feed),
        "created_at": search.created_at,
    }


REST = [
    path("me/searches", SavedSearches.as_view(), name="rest-saved-searches"),
    path("me/searches/<int:id>", OneSavedSearch.as_view(), name="rest-saved-search"),
]
