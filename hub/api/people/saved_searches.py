"""Searches of the catalogue that the caller keeps under a name: list, save and delete them."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.people import saved_searches as shapes
from hub.origin import absolute
from hub.shared import saved_searches as saving
from registry.models import SavedSearch
from registry.repos.lists import saved_searches


class SavedSearches(View):
    @extend_schema(operation_id="saved_searches", summary="Your saved searches", responses=shapes.SavedSearchPage)
    def get(self, request: Request) -> Response:
        pages.parameters(request, pages.Nothing)
        rows = saved_searches.list_saved(self.person())
        return Response(pages.page(request, [_line(request, row) for row in rows]))

    @extend_schema(
        operation_id="save_search", summary="Save a search of the catalogue",
        description="200: you had one of that name, which has these parameters now.",
        request=shapes.NewSavedSearch, responses={201: shapes.SavedSearch, 200: shapes.SavedSearch},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        pages.parameters(request, pages.Nothing)
        self.person()
        body = pages.body(request, shapes.NewSavedSearch)
        search, is_new = saving.save(**body, by=self.caller)
        return Response(_line(request, search), status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)


class OneSavedSearch(View):
    @extend_schema(operation_id="delete_search", summary="Delete a saved search", responses={204: None})
    def delete(self, request: Request, id: int) -> Response:
        saved_searches.delete(id, self.caller)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _line(request: Request, search: SavedSearch) -> Data:
    saved = saving.addressed(search)
    return {
        "id": search.pk,
        "name": search.name,
        "type": search.type,
        "query": search.query,
        "url": absolute(request._request, saved.path),
        "feed": absolute(request._request, saved.feed),
        "created_at": search.created_at,
    }
