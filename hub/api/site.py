"""The hub itself: what is turned on, and the banner of the operator."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.about import VERSION
from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import site as shapes
from registry.kernel import banner
from registry.kernel.site_settings import get_setting


class Site(View):
    @extend_schema(
        operation_id="site", summary="What this hub takes now, and its banner", responses=shapes.Site,
        parameters=[pages.Nothing],
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        pages.parameters(request, pages.Nothing)
        shown = banner.current()
        return Response(
            {
                "version": VERSION,
                "registration": get_setting("registration"),
                "pull_policy": get_setting("pull_policy"),
                "uploads": get_setting("uploads") == "on",
                "new_repositories": get_setting("new_repositories") == "on",
                "writable": get_setting("read_only") == "off",
                "banner": shown.document() if shown else None,
            }
        )
