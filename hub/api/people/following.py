"""Base models that the caller follows."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes.people import notifications as shapes
from registry.repos import bases
from registry.talk import watching


class FollowedBases(View):
    @extend_schema(operation_id="followed_bases", summary="Base models you follow", responses=shapes.FollowedBasePage)
    def get(self, request: Request) -> Response:
        pages.parameters(request, pages.Nothing)
        rows = watching.followed_bases(self.person())
        return Response({"items": [{"base": row.base, "following": True} for row in rows], "next": None})


class AskedBase(View):
    @extend_schema(
        operation_id="ask_for_base", summary="Ask the administrators for a base model, and follow it", request=None,
        responses=shapes.FollowedBase,
    )  # fmt: skip
    def put(self, request: Request, base: str) -> Response:
        pages.parameters(request, pages.Nothing)
        pages.body(request)
        return Response({"base": watching.ask_for_base(base, self.caller), "following": True})


class OneFollowedBase(View):
    @extend_schema(operation_id="follows_base", summary="Whether you follow it", responses=shapes.FollowedBase)
    def get(self, request: Request, base: str) -> Response:
        pages.parameters(request, pages.Nothing)
        self.person()
        name = bases.canonical_name(base)
        return Response({"base": name, "following": watching.follows_base(self.caller, name)})

    @extend_schema(
        operation_id="follow_base", summary="Follow a base model", request=None, responses=shapes.FollowedBase
    )
    def put(self, request: Request, base: str) -> Response:
        pages.parameters(request, pages.Nothing)
        pages.body(request)
        return Response({"base": watching.follow_base(base, self.caller), "following": True})

    @extend_schema(operation_id="unfollow_base", summary="Stop following it", responses={200: shapes.FollowedBase})
    def delete(self, request: Request, base: str) -> Response:
        pages.parameters(request, pages.Nothing)
        return Response({"base": watching.unfollow_base(base, self.caller), "following": False})
