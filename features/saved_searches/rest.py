"""Saved searches in our REST: list, save and delete them."""

from typing import Annotated

from django.urls import path
from rest_framework import serializers as s
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.answers.record import Answer, OneOf, Page, Time, Url
from features.saved_searches import addresses, models, verbs
from hub.addresses import absolute
from hub.api import pages
from hub.api.pages import Data, Text
from hub.api.records import of_row, operation
from hub.api.views import View
from hub.list_parameters import ROUTES


class NewSavedSearch(s.Serializer[Data]):
    name = Text(max_length=verbs.MAX_NAME)
    type = s.ChoiceField(choices=list(ROUTES), default="model")
    query = Text(max_length=verbs.MAX_QUERY, allow_blank=True, help_text="the parameters of a list, as in its address")


class SavedSearch(Answer):
    id: int
    name: str
    type: Annotated[str, OneOf(*ROUTES)]
    query: str
    url: Annotated[Url, "of the list"]
    feed: Annotated[Url, "of its Atom feed"]
    created_at: Time


class SavedSearches(View):
    @operation("saved_searches")
    def get(self, request: Request) -> Page[SavedSearch]:
        """Your saved searches."""
        pages.parameters(request, pages.Nothing)
        rows = verbs.list_saved(self.person())
        return pages.page(request, [_line(request, row) for row in rows])

    @operation(
        "save_search",
        body=NewSavedSearch,
        answers={201: SavedSearch, 200: SavedSearch},
        example={"name": "Sentiment", "query": "task=text-classification&verdict=passed&sort=score"},
    )
    def post(self, request: Request) -> Response:
        """Save a search of the catalogue.

        200: you had one of that name, which has these parameters now.
        """
        pages.parameters(request, pages.Nothing)
        self.person()
        body = pages.body(request, NewSavedSearch)
        search, is_new = addresses.save(**body, by=self.caller)
        return Response(_line(request, search), status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)


class OneSavedSearch(View):
    @operation("delete_search")
    def delete(self, request: Request, id: int) -> None:
        """Delete a saved search."""
        verbs.delete(id, self.caller)


def _line(request: Request, search: models.SavedSearch) -> SavedSearch:
    saved = addresses.addressed(search)
    url, feed = (absolute(request._request, path) for path in (saved.path, saved.feed))
    return of_row(SavedSearch, search, url=url, feed=feed)


REST = [
    path("me/searches", SavedSearches.as_view(), name="rest-saved-searches"),
    path("me/searches/<int:id>", OneSavedSearch.as_view(), name="rest-saved-search"),
]
