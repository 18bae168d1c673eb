"""The blocklist of files over REST, for moderators in a session."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import moderation as shapes
from registry.kernel.texts import cursors
from registry.moderation import blocklist


class Blocklist(View):
    @extend_schema(
        operation_id="blocklist", summary="Blocked files, newest first", parameters=[pages.Paging],
        responses=shapes.BlockedPage,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        self.require_moderator()
        asked = pages.parameters(request, pages.Paging)
        below, limit = cursors.row_id(asked.pop("cursor", "")), asked.pop("limit")
        rows = cursors.newest_first(blocklist.listed(), below, limit)
        return Response(pages.page(request, list(shapes.Blocked(rows.items, many=True).data), rows.next))

    @extend_schema(
        operation_id="block_files", summary="Block files by sha256, and hold back what holds one",
        request=shapes.NewBlock, responses=shapes.NewlyBlocked,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        self.require_moderator()
        given = pages.body(request, shapes.NewBlock)
        new = blocklist.block(given["sha256"], self.caller, reason=given["reason"], note=given["note"])
        return Response({"blocked": new})


class OneBlocked(View):
    @extend_schema(operation_id="unblock_file", summary="Take a file off the blocklist", responses={204: None})
    def delete(self, request: Request, sha256: str) -> Response:
        self.require_moderator()
        blocklist.unblock(sha256, self.caller)
        return Response(status=status.HTTP_204_NO_CONTENT)
