"""Watching an adapter: at which level the caller does, setting it, and ending it."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes.people import notifications as shapes
from registry.kernel import policy
from registry.kernel.policy import Permission
from registry.models import Repository
from registry.repos import lookup
from registry.talk import watching


class Watch(View):
    @extend_schema(operation_id="watching", summary="The level at which you watch", responses=shapes.Watched)
    def get(self, request: Request, ns: str, name: str) -> Response:
        pages.parameters(request, pages.Nothing)
        repository = self._browsed(ns, name)
        self.person()
        return Response(_answer(repository, watching.level_of(self.caller, repository)))

    @extend_schema(
        operation_id="watch", summary="Watch or ignore it", request=shapes.WatchLevel, responses=shapes.Watched
    )
    def put(self, request: Request, ns: str, name: str) -> Response:
        pages.parameters(request, pages.Nothing)
        repository = self._browsed(ns, name)
        policy.require_person(self.caller, "watch a repository")
        body = pages.body(request, shapes.WatchLevel)
        level = body["level"]
        watching.watch(repository, level, self.caller)
        return Response(_answer(repository, level))

    @extend_schema(operation_id="unwatch", summary="Stop watching or ignoring it", responses={200: shapes.Watched})
    def delete(self, request: Request, ns: str, name: str) -> Response:
        pages.parameters(request, pages.Nothing)
        repository = self._browsed(ns, name)
        watching.unwatch(repository, self.caller)
        return Response(_answer(repository, ""))

    def _browsed(self, ns: str, name: str) -> Repository:
        return lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.BROWSE)


def _answer(repository: Repository, level: str) -> dict[str, object]:
    return {"adapter": repository.full_name, "level": level or None}
